//! Settings with a few named values.

use super::value::SettingValue;

pub use crate::wire::message::TextEncoding as MessageEncoding;
pub use durabletask_core::episode::ErrorMode;

/// Makes an enum readable from settings by its names, in any letter case, as .NET reads enums.
macro_rules! named_setting {
    ($kind:ty, $allowed:literal, $($name:literal => $value:expr),+) => {
        impl SettingValue for $kind {
            const ALLOWED: &'static str = $allowed;

            fn parse(text: &str) -> Option<Self> {
                $(if text.eq_ignore_ascii_case($name) {
                    return Some($value);
                })+
                None
            }
        }
    };
}

/// How workers of a hub agree on who reads which control queue (chapter 01 §5.1). All workers of
/// a hub must use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PartitionManagement {
    /// Rows of `{Hub}Partitions`: default of provider 2.x and extension 3.x, and here.
    #[default]
    Table,
    /// Two blob leases per partition: default of provider 1.8.1 to 1.17, extension 2.3.1 to 2.13.
    Safe,
    /// One blob lease per partition: provider 1.8.0 and older.
    Legacy,
}

impl PartitionManagement {
    /// The word used in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Safe => "safe",
            Self::Legacy => "legacy",
        }
    }
}

named_setting!(MessageEncoding, "UTF8 or Base64",
    "UTF8" => Self::Utf8, "Base64" => Self::Base64);

/// Which existing instances a start with the same id may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverridableStates {
    /// Only finished ones: default of extension 2.x and later.
    #[default]
    NonRunningStates,
    /// All, running ones included.
    AnyState,
}

named_setting!(OverridableStates, "NonRunningStates or AnyState",
    "NonRunningStates" => Self::NonRunningStates, "AnyState" => Self::AnyState);

/// Which versions of an orchestration a worker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VersionMatch {
    /// Any version.
    None,
    /// The worker's own version only.
    Strict,
    /// The worker's version and older ones: default of extension 3.x.
    #[default]
    CurrentOrOlder,
}

named_setting!(VersionMatch, "None, Strict or CurrentOrOlder",
    "None" => Self::None, "Strict" => Self::Strict, "CurrentOrOlder" => Self::CurrentOrOlder);

/// What happens to an orchestration whose version does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VersionFailure {
    /// It is left for other workers: default.
    #[default]
    Reject,
    /// It fails.
    Fail,
}

named_setting!(VersionFailure, "Reject or Fail",
    "Reject" => Self::Reject, "Fail" => Self::Fail);

named_setting!(ErrorMode, "both, failureDetails or exceptions",
    "both" => Self::Both, "failureDetails" => Self::FailureDetails,
    "exceptions" => Self::Exceptions);

/// What a worker does with work whose name is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unregistered {
    /// Give it back, for a worker that knows the name. Default.
    #[default]
    Abandon,
    /// Fail it, as .NET does.
    Fail,
}

/// What becomes of an instance when a message for it was set aside as poison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PoisonedInstance {
    /// It is left as it is, and goes on when the message is put back. Default.
    #[default]
    Leave,
    /// An activity fails; an instance is terminated.
    Fail,
}

named_setting!(PoisonedInstance, "leave or fail",
    "leave" => Self::Leave, "fail" => Self::Fail);

named_setting!(Unregistered, "abandon or fail",
    "abandon" => Self::Abandon, "fail" => Self::Fail);
