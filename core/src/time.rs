//! Points in time as .NET counts them: 100-ns ticks since 0001-01-01, always UTC.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Ticks in one second.
const TICKS_PER_SECOND: i64 = 10_000_000;
const TICKS_PER_DAY: i64 = 86_400 * TICKS_PER_SECOND;
/// 1970-01-01 in ticks.
const UNIX_EPOCH_TICKS: i64 = 719_162 * TICKS_PER_DAY;
/// 9999-12-31T23:59:59.9999999 in ticks.
const MAX_TICKS: i64 = 3_652_059 * TICKS_PER_DAY - 1;

/// A UTC instant with the precision of .NET's `DateTime`: 100 ns, years 1 to 9999.
///
/// `Display` writes the round-trip form with exactly seven fraction digits and `Z`, which is what
/// table columns carry (chapter 03 §1.4); [`Timestamp::to_json_text`] writes the shorter form of
/// queue messages (chapter 02 §1.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// The text was not a date that .NET would read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a date and time of the form 2026-01-31T12:00:00.1234567Z")]
pub struct TimestampError;

impl Timestamp {
    /// 0001-01-01T00:00:00, which .NET writes for "no date".
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.9999999.
    pub const MAX: Self = Self(MAX_TICKS);
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(UNIX_EPOCH_TICKS);

    /// The instant that many 100-ns ticks after 0001-01-01, clamped to the legal range.
    pub const fn from_ticks(ticks: i64) -> Self {
        if ticks < 0 {
            Self::MIN
        } else if ticks > MAX_TICKS {
            Self::MAX
        } else {
            Self(ticks)
        }
    }

    /// 100-ns ticks since 0001-01-01.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// The instant this long after the Unix epoch, cut to 100 ns.
    pub fn from_unix(since_epoch: Duration) -> Self {
        Self::UNIX_EPOCH.saturating_add(since_epoch)
    }

    /// Time since the Unix epoch; zero for instants before it.
    pub fn to_unix(self) -> Duration {
        self.saturating_since(Self::UNIX_EPOCH)
    }

    /// This instant plus `delay`, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, delay: Duration) -> Self {
        let ticks = i64::try_from(delay.as_nanos() / 100).unwrap_or(i64::MAX);
        Self::from_ticks(self.0.saturating_add(ticks))
    }

    /// This instant minus `delay`, at least [`Timestamp::MIN`].
    #[must_use]
    pub fn saturating_sub(self, delay: Duration) -> Self {
        let ticks = i64::try_from(delay.as_nanos() / 100).unwrap_or(i64::MAX);
        Self::from_ticks(self.0.saturating_sub(ticks))
    }

    /// Time from `earlier` to this instant; zero if `earlier` is not earlier.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        let ticks = u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0);
        Duration::new(
            ticks / TICKS_PER_SECOND as u64,
            u32::try_from(ticks % TICKS_PER_SECOND as u64).unwrap_or(0) * 100,
        )
    }

    /// The form of Newtonsoft.Json: fraction without trailing zeros, none if zero; `Z` except for
    /// [`Timestamp::MIN`], which .NET holds as "unspecified" (chapter 02 §1.2).
    pub fn to_json_text(self) -> String {
        let (date, fraction) = self.parts();
        let mut text = date;
        if fraction != 0 {
            let digits = format!("{fraction:07}");
            text.push('.');
            text.push_str(digits.trim_end_matches('0'));
        }
        if self != Self::MIN {
            text.push('Z');
        }
        text
    }

    /// `yyyy-MM-ddTHH:mm:ss` and the number of ticks in the started second.
    fn parts(self) -> (String, i64) {
        let days = self.0 / TICKS_PER_DAY;
        let in_day = self.0 % TICKS_PER_DAY;
        let (year, month, day) = civil_from_days(days);
        let seconds = in_day / TICKS_PER_SECOND;
        let text = format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        );
        (text, in_day % TICKS_PER_SECOND)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, fraction) = self.parts();
        write!(f, "{date}.{fraction:07}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads `yyyy-MM-ddTHH:mm:ss[.fraction][Z|±hh:mm]`. No zone means UTC; digits beyond 100 ns
    /// are cut off.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        parse(text.as_bytes()).ok_or(TimestampError)
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    if text.len() < 19 || text[4] != b'-' || text[7] != b'-' || text[13] != b':' || text[16] != b':'
    {
        return None;
    }
    if !matches!(text[10], b'T' | b't' | b' ') {
        return None;
    }
    let year = number(&text[0..4])?;
    let month = number(&text[5..7])?;
    let day = number(&text[8..10])?;
    let (hour, minute, second) = (
        number(&text[11..13])?,
        number(&text[14..16])?,
        number(&text[17..19])?,
    );
    if year < 1 || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = &text[19..];
    let mut fraction = 0;
    if let Some(after_dot) = rest.strip_prefix(b".") {
        let digits = after_dot.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        for place in 0..7 {
            let digit = after_dot.get(place).filter(|_| place < digits);
            fraction = fraction * 10 + digit.map_or(0, |b| i64::from(b - b'0'));
        }
        rest = &after_dot[digits..];
    }
    let offset_minutes = match rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = number(&[*h1, *h2])? * 60 + number(&[*m1, *m2])?;
            if *sign == b'+' { minutes } else { -minutes }
        }
        _ => return None,
    };
    let seconds = hour * 3600 + (minute - offset_minutes) * 60 + second;
    let ticks =
        days_from_civil(year, month, day) * TICKS_PER_DAY + seconds * TICKS_PER_SECOND + fraction;
    (0..=MAX_TICKS).contains(&ticks).then_some(Timestamp(ticks))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i64::from(byte - b'0'))
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 0001-01-01 of a proleptic Gregorian date.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years start in March, so that the leap day is the last of its year.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    shifted_year * 365 + shifted_year.div_euclid(4) - shifted_year.div_euclid(100)
        + shifted_year.div_euclid(400)
        + day_of_year
        - 306
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 306;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_dotnet_writes() {
        for (text, json) in [
            (
                "2026-11-21T12:30:48.5665703Z",
                "2026-11-21T12:30:48.5665703Z",
            ),
            ("2026-06-24T10:16:00.8003300Z", "2026-06-24T10:16:00.80033Z"),
            ("2024-02-29T23:59:59.0000000Z", "2024-02-29T23:59:59Z"),
            ("0001-01-01T00:00:00.0000000Z", "0001-01-01T00:00:00"),
            (
                "9999-12-31T23:59:59.9999999Z",
                "9999-12-31T23:59:59.9999999Z",
            ),
        ] {
            let stamp: Timestamp = text.parse().unwrap();
            assert_eq!(stamp.to_string(), text);
            assert_eq!(stamp.to_json_text(), json);
            assert_eq!(json.parse::<Timestamp>().unwrap(), stamp);
        }
        let offset: Timestamp = "2026-01-01T00:30:00.5+01:00".parse().unwrap();
        assert_eq!(offset.to_string(), "2025-12-31T23:30:00.5000000Z");
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in [
            "",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01",
            "xyz",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00+1",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_survives_the_calendar() {
        for days in (0..3_652_059).step_by(13) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(
            Timestamp::UNIX_EPOCH.to_string(),
            "1970-01-01T00:00:00.0000000Z"
        );
    }
}
