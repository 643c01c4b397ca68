//! Which leases to take: pure (chapter 01 §5.5).

/// What one pass of the taker may do. Indexes are those of the records, in listing order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// Enough is ours, or nobody has too much.
    Nothing,
    /// Free ones, until `need` of them are ours. Nothing is stolen in such a pass.
    Acquire { free: Vec<usize>, need: usize },
    /// One of these, the first that can be had.
    StealOne(Vec<usize>),
}

/// Decides for the worker `me`, given the holder of every record; `None` is a free one. A greedier
/// or lazier rule makes partitions oscillate (R5-33).
pub(super) fn decide(holders: &[Option<&str>], me: &str) -> Take {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for holder in holders.iter().flatten() {
        match counts.iter_mut().find(|(name, _)| name == holder) {
            Some((_, count)) => *count += 1,
            None => counts.push((holder, 1)),
        }
    }
    if !counts.iter().any(|(name, _)| *name == me) {
        counts.push((me, 0));
    }
    let target = holders.len().div_ceil(counts.len()).max(1);
    let mine = holders.iter().flatten().filter(|name| **name == me).count();
    let need = target.saturating_sub(mine);
    if need == 0 {
        return Take::Nothing;
    }
    let of = |wanted: Option<&str>| {
        let all = holders.iter().enumerate();
        let found = all.filter(|(_, holder)| **holder == wanted);
        found.map(|(index, _)| index).collect::<Vec<_>>()
    };
    let free = of(None);
    if !free.is_empty() {
        return Take::Acquire { free, need };
    }
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let victim = counts.iter().find(|(_, count)| *count == most);
    match victim {
        Some((victim, count)) if *count > target - usize::from(need > 1) => {
            Take::StealOne(of(Some(victim)))
        }
        _ => Take::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each worker holds, how many are free, and what is taken.
    type Vector<'a> = (&'a [(&'a str, usize)], usize, Take);

    /// The vectors of §5.5: what each worker holds, free ones last. covers: R5-33
    #[test]
    fn takes_as_dotnet_does() {
        let steal = |first: usize, count| Take::StealOne((first..first + count).collect());
        let acquire = |first: usize, free: usize, need| Take::Acquire {
            free: (first..first + free).collect(),
            need,
        };
        let me = "me";
        let (a, b, c, d) = ("a", "b", "c", "d");
        let vectors: [Vector<'_>; 12] = [
            (&[], 4, acquire(0, 4, 4)),
            (&[(a, 4)], 0, steal(0, 4)),
            (&[(a, 3), (me, 1)], 0, steal(0, 3)),
            (&[(a, 2), (b, 2)], 0, steal(0, 2)),
            (&[(a, 2), (b, 1), (me, 1)], 0, Take::Nothing),
            (&[(a, 2), (b, 1), (c, 1)], 0, steal(0, 2)),
            (&[(a, 1), (b, 1), (c, 1), (d, 1)], 0, Take::Nothing),
            (&[(a, 2), (me, 1)], 1, acquire(3, 1, 1)),
            (&[(a, 3)], 1, acquire(3, 1, 2)),
            (&[(a, 8), (b, 8)], 0, steal(0, 8)),
            (&[(a, 6), (b, 6), (me, 4)], 0, steal(0, 6)),
            (&[(a, 6), (b, 5), (me, 5)], 0, Take::Nothing),
        ];
        for (held, free, expected) in vectors {
            let mut holders = Vec::new();
            for (name, count) in held {
                holders.extend(std::iter::repeat_n(Some(*name), *count));
            }
            holders.extend(std::iter::repeat_n(None, free));
            assert_eq!(decide(&holders, me), expected, "{held:?} {free}");
        }
        assert_eq!(decide(&[], me), Take::Nothing);
    }
}
