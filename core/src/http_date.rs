//! Dates in HTTP headers and queue messages: `Fri, 31 Dec 9999 23:59:59 GMT`.

use crate::Timestamp;

const TICKS_PER_DAY: i64 = 864_000_000_000;
/// 0001-01-01 was a Monday.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Writes the date, cut to whole seconds.
pub fn format(stamp: Timestamp) -> String {
    // yyyy-MM-ddTHH:mm:ss.fffffffZ
    let iso = stamp.to_string();
    let day = usize::try_from(stamp.ticks() / TICKS_PER_DAY % 7).unwrap_or(0);
    let month = iso[5..7].parse::<usize>().map_or(0, |month| month - 1);
    format!(
        "{}, {} {} {} {} GMT",
        DAYS[day],
        &iso[8..10],
        MONTHS[month],
        &iso[0..4],
        &iso[11..19]
    )
}

/// Reads the date; `None` if it has another form.
pub fn parse(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    format!("{year}-{month:02}-{day:0>2}T{time}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        for text in [
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Sat, 21 Nov 2026 12:30:48 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Thu, 29 Feb 2024 01:02:03 GMT",
        ] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
        assert!(parse("2026-11-21T12:30:48Z").is_none());
        assert!(parse("Sat, 21 Nov 2026").is_none());
        assert!(parse("").is_none());
    }
}
