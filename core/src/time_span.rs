//! Durations as .NET's `TimeSpan` writes them.

use std::time::Duration;

/// Reads `[d.]hh:mm[:ss[.fffffff]]`. What .NET reads as days though it looks like something else,
/// `"5"` and `"24:00:00"`, is refused (R4-05), and so are negative spans.
pub fn parse(text: &str) -> Option<Duration> {
    let mut parts = text.split(':');
    let (first, minutes, seconds) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    if parts.next().is_some() {
        return None;
    }
    let (days, hours) = first.split_once('.').unwrap_or(("0", first));
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let whole = number(days, 8, 10_675_199)? * 86_400
        + number(hours, 2, 23)? * 3_600
        + number(minutes, 2, 59)? * 60
        + number(seconds, 2, 59)?;
    number(fraction, 7, 9_999_999)?;
    let ticks = number(&format!("{fraction:0<7}"), 7, 9_999_999)?;
    Some(Duration::from_secs(whole) + Duration::from_nanos(ticks * 100))
}

/// The constant form `[d.]hh:mm:ss[.fffffff]`.
pub fn text(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, ticks) = (seconds / 86_400, span.subsec_nanos() / 100);
    let days = match days {
        0 => String::new(),
        _ => format!("{days}."),
    };
    let fraction = match ticks {
        0 => String::new(),
        _ => format!(".{ticks:07}"),
    };
    let (hours, minutes) = (seconds / 3_600 % 24, seconds / 60 % 60);
    format!(
        "{days}{hours:02}:{minutes:02}:{:02}{fraction}",
        seconds % 60
    )
}

/// One to `digits` digits that make at most `limit`.
fn number(text: &str, digits: usize, limit: u64) -> Option<u64> {
    let plain = (1..=digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let value = plain.then(|| text.parse::<u64>().ok()).flatten()?;
    (value <= limit).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_dotnet_writes_and_refuses_the_ambiguous() {
        for (text, millis) in [
            ("00:05:00", 300_000),
            ("00:00:00.05", 50),
            ("0:0:30", 30_000),
            ("06:12", 22_320_000),
            ("1.00:00:00", 86_400_000),
            ("00:00:01.5000000", 1_500),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "5",
            "24:00:00",
            "",
            "00:60:00",
            "00:00:60",
            "-00:00:01",
            "1:2:3:4",
            "00:00:00.",
            "00:00:00.12345678",
            "five",
            "00:00:1s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
