//! Values whose type is decided by whoever asks for them.

use std::borrow::Cow;

use durabletask_core::{OrchestrationStatus, Timestamp};

use crate::wire::WireError;

type Result<T> = std::result::Result<T, WireError>;

/// One value. The conversions are as lenient as Newtonsoft's: numbers and booleans may stand in
/// quotes, a text may be a number, null is the default. `member` names the value in errors.
#[derive(Debug, Clone)]
pub(in crate::wire) enum Raw<'a> {
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// A number, `true` or `false`, as written.
    Literal(&'a str),
    /// `null`
    Null,
    /// An object or array, checked, as written; and the depth at which it stands.
    Nested(&'a str, usize),
}

impl Raw<'_> {
    /// A string or null.
    pub(in crate::wire) fn text(self, member: &'static str) -> Result<Option<String>> {
        match self {
            Self::Text(text) => Ok(Some(text.into_owned())),
            Self::Literal(text) => Ok(Some(text.to_owned())),
            Self::Null => Ok(None),
            Self::Nested(..) => Err(WireError::Corrupt(member)),
        }
    }

    /// A whole number or null.
    pub(in crate::wire) fn int<N: TryFrom<i64>>(&self, member: &'static str) -> Result<Option<N>> {
        let Some(text) = self.scalar(member)? else {
            return Ok(None);
        };
        parse_int(text)
            .and_then(|number| N::try_from(number).ok())
            .map(Some)
            .ok_or(WireError::Corrupt(member))
    }

    /// A boolean; null is false.
    pub(in crate::wire) fn flag(&self, member: &'static str) -> Result<bool> {
        self.scalar(member)?
            .map_or(Some(false), parse_flag)
            .ok_or(WireError::Corrupt(member))
    }

    /// A date or null.
    pub(in crate::wire) fn date(&self, member: &'static str) -> Result<Option<Timestamp>> {
        self.scalar(member)?
            .map(|text| text.parse().map_err(|_| WireError::Corrupt(member)))
            .transpose()
    }

    /// A status by number or name, or null.
    pub(in crate::wire) fn status(
        &self,
        member: &'static str,
    ) -> Result<Option<OrchestrationStatus>> {
        self.scalar(member)?
            .map(|text| text.parse().map_err(|_| WireError::Corrupt(member)))
            .transpose()
    }

    /// The text of a scalar; `None` for null and, as for Newtonsoft's nullable types, for `""`.
    fn scalar(&self, member: &'static str) -> Result<Option<&str>> {
        let text = match self {
            Self::Text(text) => text.as_ref(),
            Self::Literal(text) => text,
            Self::Null => "",
            Self::Nested(..) => return Err(WireError::Corrupt(member)),
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

/// A whole number, perhaps with a fraction of zeros.
pub(in crate::wire) fn parse_int(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    };
    whole.parse().ok()
}

/// `true`, `false` in any case, or a number that is not zero.
pub(in crate::wire) fn parse_flag(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        parse_int(text).map(|number| number != 0)
    }
}
