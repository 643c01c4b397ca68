//! Texts of settings as typed values, converted as the Functions host converts them.

use std::time::Duration;

use durabletask_core::time_span;

/// A type that a setting may have.
pub(super) trait SettingValue: Sized {
    /// What a user may write, for error messages.
    const ALLOWED: &'static str;

    /// The value of a text without surrounding blanks; `None` if it is none.
    fn parse(text: &str) -> Option<Self>;
}

impl SettingValue for String {
    const ALLOWED: &'static str = "text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl SettingValue for bool {
    const ALLOWED: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

impl SettingValue for u32 {
    const ALLOWED: &'static str = "a whole number from 0 to 2147483647";

    /// What a .NET `int` holds.
    fn parse(text: &str) -> Option<Self> {
        i32::parse(text).and_then(|number| number.try_into().ok())
    }
}

impl SettingValue for i32 {
    const ALLOWED: &'static str = "a whole number from -2147483648 to 2147483647";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl SettingValue for u64 {
    const ALLOWED: &'static str = "a whole number, not negative";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl SettingValue for Duration {
    const ALLOWED: &'static str =
        "a duration such as \"00:05:00\" (hh:mm:ss, with days \"1.00:00:00\")";

    fn parse(text: &str) -> Option<Self> {
        time_span::parse(text)
    }
}

/// A setting that may be absent.
impl<T: SettingValue> SettingValue for Option<T> {
    const ALLOWED: &'static str = T::ALLOWED;

    fn parse(text: &str) -> Option<Self> {
        T::parse(text).map(Some)
    }
}
