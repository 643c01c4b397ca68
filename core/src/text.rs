//! Comparing names as .NET's ordinal ignore-case comparison does.

use std::borrow::Cow;

/// Whether two names are the same to .NET: each character in upper case by its simple mapping, no
/// culture.
pub(crate) fn equal_ignoring_case(one: &str, other: &str) -> bool {
    one == other || one.chars().map(upper).eq(other.chars().map(upper))
}

/// A form that two names share exactly if they are equal ignoring case.
pub(crate) fn fold(name: &str) -> Cow<'_, str> {
    if name.chars().all(|letter| upper(letter) == letter) {
        Cow::Borrowed(name)
    } else {
        name.chars().map(upper).collect()
    }
}

/// One character to one character: `ß` stays, and nothing becomes ASCII that was not, as with
/// .NET's casing tables (`ı` and `ſ` stay).
fn upper(letter: char) -> char {
    if letter.is_ascii() {
        return letter.to_ascii_uppercase();
    }
    let mut mapped = letter.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(single), None) if !single.is_ascii() => single,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignores_case_like_dotnet() {
        for (one, other, equal) in [
            ("Approval", "aPPROVAL", true),
            ("GRÖSSE", "grösse", true),
            ("straße", "STRASSE", false),
            ("ı", "I", false),
            ("ſ", "S", false),
            ("日本", "日本", true),
            ("a", "b", false),
            ("a", "ab", false),
        ] {
            assert_eq!(equal_ignoring_case(one, other), equal, "{one} {other}");
            assert_eq!(fold(one) == fold(other), equal, "{one} {other}");
        }
    }
}
