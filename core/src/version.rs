//! Which of two orchestration versions is older (chapter 04 §7.2).

use std::cmp::Ordering;

/// Compares two versions as .NET workers do: blank is oldest; versions of two to four numbers by
/// their numbers, where `1.0` is older than `1.0.0`; all others as texts, ignoring ASCII case.
pub fn compare_versions(one: &str, other: &str) -> Ordering {
    match (one.trim().is_empty(), other.trim().is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => match (numbers(one), numbers(other)) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => one.to_ascii_uppercase().cmp(&other.to_ascii_uppercase()),
        },
    }
}

/// What `System.Version` reads; parts that are not given are -1.
fn numbers(version: &str) -> Option<[i32; 4]> {
    let mut numbers = [-1; 4];
    let mut count = 0;
    for part in version.split('.') {
        let number = part.trim().parse().ok().filter(|number| *number >= 0)?;
        *numbers.get_mut(count)? = number;
        count += 1;
    }
    (count >= 2).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_dotnet_compares_them() {
        let ascending = ["", "1.0", "1.0.0", "1.0.0.1", "1.2", "1.10", "2.0"];
        for pair in ascending.windows(2) {
            assert_eq!(compare_versions(pair[0], pair[1]), Ordering::Less);
            assert_eq!(compare_versions(pair[1], pair[0]), Ordering::Greater);
        }
        assert_eq!(compare_versions(" ", ""), Ordering::Equal);
        assert_eq!(compare_versions(" 1 . 0 ", "1.0"), Ordering::Equal);
        // No versions, so texts.
        assert_eq!(compare_versions("v1", "V1"), Ordering::Equal);
        assert_eq!(compare_versions("10", "9"), Ordering::Less);
        assert_eq!(compare_versions("1.0-beta", "1.0"), Ordering::Greater);
        assert_eq!(compare_versions("1.2.3.4.5", "1.2.3.4"), Ordering::Greater);
        assert_eq!(compare_versions("1.-1", "1.0"), Ordering::Less);
    }
}
