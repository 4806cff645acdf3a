//! What an answer means for a batch, and when to try again: the
//! [failure rules of OTLP/HTTP](https://opentelemetry.io/docs/specs/otlp/#failures-1), sans-IO.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest wait that a server may ask for. A reply is not trusted to silence the exporter for longer.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// No wait of our own is longer than a year: beyond any use, within what the arithmetic holds.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// What a status code means for the request that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Taken, all or in part.
    Accepted,
    /// Try again later.
    Retry,
    /// The body is too large: smaller ones may pass.
    TooLarge,
    /// It would be refused again.
    Refused,
}

impl Class {
    /// By the specification's table: 429, 502, 503 and 504 are retried and nothing else.
    ///
    /// ```
    /// use obtrace_export::retry::Class;
    /// assert_eq!(Class::of(200), Class::Accepted);
    /// assert_eq!(Class::of(503), Class::Retry);
    /// assert_eq!(Class::of(500), Class::Refused);
    /// ```
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Accepted,
            429 | 502 | 503 | 504 => Self::Retry,
            413 => Self::TooLarge,
            _ => Self::Refused,
        }
    }
}

impl Class {
    /// By the specification's
    /// [table for gRPC](https://opentelemetry.io/docs/specs/otlp/#failures): `CANCELLED`, `DEADLINE_EXCEEDED`, `ABORTED`,
    /// `OUT_OF_RANGE`, `UNAVAILABLE` and `DATA_LOSS` are retried; `RESOURCE_EXHAUSTED` only if the receiver says by a
    /// `RetryInfo` that it can recover; nothing else is.
    ///
    /// ```
    /// use obtrace_export::retry::Class;
    /// assert_eq!(Class::of_grpc(0, false), Class::Accepted);
    /// assert_eq!(Class::of_grpc(14, false), Class::Retry);
    /// assert_eq!((Class::of_grpc(8, false), Class::of_grpc(8, true)), (Class::Refused, Class::Retry));
    /// ```
    #[must_use]
    pub const fn of_grpc(code: u16, has_retry_info: bool) -> Self {
        match code {
            0 => Self::Accepted,
            1 | 4 | 10 | 11 | 14 | 15 => Self::Retry,
            8 if has_retry_info => Self::Retry,
            _ => Self::Refused,
        }
    }
}

/// Exponential back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The first wait. 1 s; each further one is twice as long.
    pub initial: Duration,
    /// The longest wait. 60 s.
    pub max: Duration,
    /// How long a batch is tried for, from its first attempt. 5 min.
    pub give_up_after: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), max: Duration::from_secs(60), give_up_after: Duration::from_secs(300) }
    }
}

impl Policy {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Policy::initial`] and [`Policy::max`].
    #[must_use]
    pub fn with_waits(mut self, initial: Duration, max: Duration) -> Self {
        self.initial = initial;
        self.max = max.max(initial);
        self
    }

    /// Sets [`Policy::give_up_after`].
    #[must_use]
    pub fn with_give_up_after(mut self, after: Duration) -> Self {
        self.give_up_after = after;
        self
    }

    /// How long to wait before the next attempt, after `failures` failed ones (1 at least), where the server may have
    /// named a time. `random` is any number, uniformly distributed: exporters that failed together must not come back
    /// together, so a wait of our own varies by a quarter either way, within [`Policy::max`], and one that the server named
    /// is up to 5 % longer.
    ///
    /// A time that the server named is capped at [`MAX_RETRY_AFTER`] and is at least half the first wait of our own, so
    /// that `Retry-After: 0` cannot make a tight loop.
    #[must_use]
    pub fn wait(&self, failures: u32, retry_after: Option<Duration>, random: u64) -> Duration {
        // 0 ..= 1023 of 1024.
        let fraction = u32::try_from(random % 1024).unwrap_or(0);
        if let Some(asked) = retry_after {
            let asked = asked.max(self.initial / 2).min(MAX_RETRY_AFTER);
            return (asked + asked / 20 * fraction / 1024).min(MAX_RETRY_AFTER);
        }
        let doubled = self.initial.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(self.max).min(LONGEST);
        let (shortest, longest) = (doubled / 4 * 3, (doubled / 4 * 5).min(self.max));
        shortest + longest.saturating_sub(shortest) * fraction / 1024
    }
}

/// Reads a `Retry-After` value: seconds or an HTTP date in any of its three forms
/// ([RFC 9110 §10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). `None` if it is neither. At most
/// [`MAX_RETRY_AFTER`]; zero for a date that has passed.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use obtrace_export::retry::retry_after;
///
/// assert_eq!(retry_after(b"120", UNIX_EPOCH), Some(Duration::from_secs(120)));
/// let now = UNIX_EPOCH + Duration::from_secs(784_111_777 - 30);
/// assert_eq!(retry_after(b"Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(30)));
/// assert_eq!(retry_after(b"soon", UNIX_EPOCH), None);
/// ```
#[must_use]
pub fn retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    let value = value.trim_ascii();
    if value.is_empty() || value.len() > 40 {
        return None;
    }
    if value.iter().all(u8::is_ascii_digit) {
        // Forty digits do not fit a number, but they are a number: the cap.
        let seconds = std::str::from_utf8(value).ok()?.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let at = http_date(std::str::from_utf8(value).ok()?, now)?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Some(Duration::from_secs(at.saturating_sub(now)).min(MAX_RETRY_AFTER))
}

/// Seconds since the epoch of an HTTP date ([RFC 9110 §5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7)).
fn http_date(text: &str, now: SystemTime) -> Option<u64> {
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let weekday = words.next()?;
    if weekday.len() < 3 || !weekday.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let second = words.next()?;
    let (day, month, year, time);
    if let Some((d, rest)) = second.split_once('-') {
        // Sunday, 06-Nov-94 08:49:37 GMT
        let (m, y) = rest.split_once('-')?;
        (day, month, year) = (number(d, 2)?, month_number(m)?, two_digit_year(number(y, 2)?, now));
        time = words.next()?;
    } else if second.starts_with(|c: char| c.is_ascii_digit()) {
        // Sun, 06 Nov 1994 08:49:37 GMT
        (day, month, year) = (number(second, 2)?, month_number(words.next()?)?, number(words.next()?, 4)?);
        time = words.next()?;
    } else {
        // Sun Nov  6 08:49:37 1994
        (month, day) = (month_number(second)?, number(words.next()?, 2)?);
        time = words.next()?;
        year = number(words.next()?, 4)?;
    }
    if words.next().is_some_and(|zone| zone != "GMT" && zone != "UTC") || words.next().is_some() {
        return None;
    }
    let mut parts = time.split(':');
    let (hour, minute, second) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    Some(((days_from_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(text: &str, max_digits: usize) -> Option<u64> {
    let digits = (1..=max_digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn month_number(name: &str) -> Option<u64> {
    const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    NAMES.iter().position(|known| *known == name).and_then(|at| u64::try_from(at + 1).ok())
}

/// The year that ends in these digits and is not more than 50 years ahead.
fn two_digit_year(digits: u64, now: SystemTime) -> u64 {
    let years = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 31_556_952;
    let this_year = 1970 + years;
    let year = this_year - this_year % 100 + digits;
    if year > this_year + 50 { year - 100 } else { year }
}

/// Days from 1970-01-01 in the Gregorian calendar, for years from 1970.
fn days_from_epoch(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March here, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_four_codes_are_retried() {
        for status in 100..600 {
            let class = Class::of(status);
            assert_eq!(class == Class::Retry, [429, 502, 503, 504].contains(&status), "{status}");
            assert_eq!(class == Class::Accepted, (200..300).contains(&status), "{status}");
            assert_eq!(class == Class::TooLarge, status == 413, "{status}");
        }
    }

    #[test]
    fn no_time_is_too_long() {
        let policy = Policy::new().with_waits(Duration::MAX, Duration::MAX);
        assert!(policy.wait(40, None, 1023) > 100 * 86_400 * SECOND);
        assert_eq!(
            policy.wait(1, Some(SECOND), 1023),
            MAX_RETRY_AFTER,
            "half the wait of our own, but no more than the cap"
        );
        let policy = Policy::new().with_waits(700 * SECOND, 700 * SECOND);
        assert_eq!(policy.wait(1, Some(SECOND), 0), MAX_RETRY_AFTER);
    }

    #[test]
    fn six_codes_of_grpc_are_retried_and_one_if_asked_for() {
        for code in 0..40 {
            let retried = [1, 4, 10, 11, 14, 15].contains(&code);
            assert_eq!(Class::of_grpc(code, false) == Class::Retry, retried, "{code}");
            assert_eq!(Class::of_grpc(code, true) == Class::Retry, retried || code == 8, "{code}");
            assert_eq!(Class::of_grpc(code, true) == Class::Accepted, code == 0, "{code}");
        }
    }

    #[test]
    fn waits_double_up_to_a_minute() {
        let policy = Policy::new();
        let middle: Vec<u64> =
            (1..10).map(|failures| policy.wait(failures, None, 512).as_secs_f64().round() as u64).collect();
        // At the cap between three quarters of it and all of it.
        assert_eq!(middle, [1, 2, 4, 8, 16, 32, 53, 53, 53]);
        assert!(policy.wait(u32::MAX, None, 1023) <= 60 * SECOND);
        assert_eq!(policy.wait(1, None, 0), Duration::from_millis(750));
        assert!(policy.wait(1, None, 1023) > Duration::from_millis(1240));
    }

    #[test]
    fn those_that_failed_together_come_back_one_by_one_also_after_the_longest_wait() {
        let mut waits: Vec<_> = (0..1024).map(|random| Policy::new().wait(20, None, random)).collect();
        assert!(waits.iter().all(|wait| (45 * SECOND..=60 * SECOND).contains(wait)));
        waits.dedup();
        assert_eq!(waits.len(), 1024);
    }

    #[test]
    fn the_server_is_obeyed_within_limits() {
        let policy = Policy::new();
        for (asked, low, high) in [(0, 0.5, 0.55), (1, 1.0, 1.1), (30, 30.0, 31.6), (299, 299.0, 300.0)] {
            for random in [0, 1, 511, 1023, u64::MAX] {
                let wait = policy.wait(1, Some(asked * SECOND), random).as_secs_f64();
                assert!((low..=high).contains(&wait), "{asked}: {wait}");
            }
        }
        assert_eq!(policy.wait(1, Some(Duration::MAX), u64::MAX), MAX_RETRY_AFTER);
    }

    #[test]
    fn retry_after_in_every_form() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        let minute = Some(60 * SECOND);
        for (value, expected) in [
            ("0", Some(Duration::ZERO)),
            ("60", minute),
            (" 60 ", minute),
            ("1000000000", Some(MAX_RETRY_AFTER)),
            ("99999999999999999999999999999999999999", Some(MAX_RETRY_AFTER)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", minute),
            ("Sunday, 06-Nov-94 08:49:37 GMT", minute),
            ("Sun Nov  6 08:49:37 1994", minute),
            ("Sun, 06 Nov 1994 08:48:36 GMT", Some(Duration::ZERO)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(MAX_RETRY_AFTER)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("60s", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 25:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1894 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT GMT", None),
            ("06 Nov 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(retry_after(value.as_bytes(), now), expected, "{value:?}");
        }
        assert_eq!(retry_after(b"\xff\xfe", now), None);
    }

    #[test]
    fn days_by_known_dates() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((1972, 2, 29), 789),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2026, 11, 21), 20_778),
        ] {
            assert_eq!(days_from_epoch(date.0, date.1, date.2), days, "{date:?}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics_or_passes_the_cap(value in prop::collection::vec(any::<u8>(), 0..50), now in any::<u32>()) {
            let now = UNIX_EPOCH + Duration::from_secs(now.into());
            if let Some(wait) = retry_after(&value, now) {
                prop_assert!(wait <= MAX_RETRY_AFTER);
            }
        }

        #[test]
        fn no_text_like_a_date_panics(value in "[A-Z][a-z]{2},? [0-9]{1,3}[ -][A-Z][a-z]{2}[ -][0-9]{1,5} [0-9:]{1,9}( GMT)?") {
            let _ = retry_after(value.as_bytes(), UNIX_EPOCH);
        }
    }
}
