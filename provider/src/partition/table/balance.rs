//! Which rows to ask for: pure (chapter 01 §5.3.4).

/// Rows to ask for among `rows` rows, when `mine` are ours or promised to us and `others` lists
/// the rows of every other worker, in the order of their first row. A greedier formula makes
/// partitions oscillate, a lazier one starves us (R5-15).
pub(super) fn rows_to_ask_for(
    rows: usize,
    mut mine: usize,
    others: &[(String, Vec<usize>)],
) -> Vec<usize> {
    let share = rows / (others.len() + 1);
    let mut asked = Vec::new();
    for (_, theirs) in others {
        let Some(missing) = share.checked_sub(mine) else {
            break;
        };
        let excess = theirs.len().saturating_sub(share);
        let count = match missing {
            0 if excess > 1 => 1,
            _ => missing.min(excess),
        };
        asked.extend(theirs.iter().take(count));
        mine += count;
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of §5.3.4: others own contiguous rows from 00.
    #[test]
    fn asks_as_dotnet_does() {
        // covers: R5-15
        let vectors: [(usize, &[usize], usize, &[usize]); 13] = [
            (1, &[1], 0, &[]),
            (3, &[2], 1, &[]),
            (4, &[4], 0, &[0, 1]),
            (4, &[2, 2], 0, &[0]),
            (4, &[2, 1, 1], 0, &[0]),
            (4, &[1, 1, 1, 1], 0, &[]),
            (4, &[3], 1, &[0]),
            (5, &[3, 1], 1, &[0]),
            (6, &[4, 2], 0, &[0, 1]),
            (7, &[5], 2, &[0]),
            (16, &[16], 0, &[0, 1, 2, 3, 4, 5, 6, 7]),
            (16, &[8, 8], 0, &[0, 1, 2, 8, 9]),
            (16, &[6, 5, 5], 0, &[0, 1, 6, 11]),
        ];
        for (rows, counts, mine, expected) in vectors {
            let mut first = 0;
            let mut others = Vec::new();
            for (worker, count) in counts.iter().enumerate() {
                others.push((worker.to_string(), (first..first + count).collect()));
                first += count;
            }
            assert_eq!(
                rows_to_ask_for(rows, mine, &others),
                expected,
                "{rows} {counts:?}"
            );
        }
        assert!(rows_to_ask_for(4, 4, &[]).is_empty());
    }
}
