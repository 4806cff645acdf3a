//! Durations on the command line.

use std::time::Duration;

/// The longest, in milliseconds: a hundred years.
const LONGEST: u64 = 100 * 366 * 86_400_000;

/// A number of seconds, or a number with its unit: `90`, `500ms`, `90s`, `5m`, `12h`, `30d`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("", 1_000)];
    let parsed = units.iter().find_map(|(unit, milliseconds)| {
        let number = text.strip_suffix(unit)?.parse::<u64>().ok()?;
        number.checked_mul(*milliseconds)
    });
    let parsed = parsed.filter(|milliseconds| *milliseconds <= LONGEST);
    parsed.map(Duration::from_millis).ok_or_else(|| "must be like 500ms, 90s, 5m, 12h or 30d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        let right = [
            ("500ms", 500),
            ("90", 90_000),
            ("90s", 90_000),
            ("5m", 300_000),
            ("12h", 43_200_000),
            ("30d", 2_592_000_000),
        ];
        for (text, milliseconds) in right {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "-1s", "1.5h", "5 m", "99999999999d", "99999999999999999999", "5w"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
