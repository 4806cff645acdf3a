//! Values as people write them.

use std::{borrow::Cow, fmt, ops::RangeInclusive, time::Duration};

/// What kind of value an option has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A whole number between these two.
    Integer(u64, u64),
    /// A size in bytes: `65536`, `64KiB`, `4MiB`.
    Bytes,
    /// A duration: `500ms`, `10s`, `5m`, `1h`.
    Duration,
    /// `true` or `false`.
    Switch,
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// The URL of a receiver, which is shown without user, password and query.
    Url,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Several texts: a list in the file, separated by commas elsewhere.
    List,
    /// Several numbers or ranges of them: `80,443,8000-8099`.
    Ports,
    /// Several numbers, each larger than the one before: `0.005,0.01,0.1`.
    Numbers,
    /// A port to listen on, with or without its host: `9464`, `:9464`, `0.0.0.0:9464`, `[::1]:9464`.
    Address,
}

impl Kind {
    /// A value as far as it may be shown.
    pub(super) fn shown(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Secret if !text.is_empty() => "(set, not shown)".into(),
            Self::Url => without_secrets(text),
            _ => text.into(),
        }
    }

    /// What a value has to look like, for messages.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Integer(low, high) => format!("a whole number from {low} to {high}"),
            Self::Bytes => "a size such as 65536, 64KiB or 4MiB".to_owned(),
            Self::Duration => "a duration such as 500ms, 10s or 5m".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Text | Self::Url | Self::Secret => "a text".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::List => "texts separated by commas".to_owned(),
            Self::Ports => "ports such as 80,443,8000-8099".to_owned(),
            Self::Numbers => "numbers that grow, such as 0.005,0.01,0.1".to_owned(),
            Self::Address => "a port or HOST:PORT, such as 9464, 127.0.0.1:9464 or [::]:9464".to_owned(),
        }
    }

    /// Whether `text` is such a value.
    pub(super) fn accepts(self, text: &str) -> bool {
        match self {
            Self::Integer(low, high) => text.parse::<u64>().is_ok_and(|number| (low..=high).contains(&number)),
            Self::Bytes => bytes(text).is_some(),
            Self::Duration => duration(text).is_some(),
            Self::Switch => switch(text).is_some(),
            Self::Choice(words) => words.contains(&text),
            Self::Ports => ports(text).is_some(),
            Self::Numbers => numbers(text).is_some(),
            Self::Address => address(text).is_some(),
            Self::Text | Self::Url | Self::Secret | Self::List => true,
        }
    }
}

/// A URL without user, password, query and fragment; it may go without a scheme.
fn without_secrets(url: &str) -> Cow<'_, str> {
    let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| is_scheme(scheme.trim())).unwrap_or(("", url));
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).unwrap_or_default();
    // Maybe the end of a password that holds what ends an authority.
    if rest.contains('@') {
        return "(not shown: it may hold a password)".into();
    }
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.len() == authority.len() && path.len() == rest.len() {
        return url.into();
    }
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{host}{path}").into()
}

/// `64KiB` is 65,536.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "K" | "Ki" | "KiB" => 10,
        "M" | "Mi" | "MiB" => 20,
        "G" | "Gi" | "GiB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `1.5s` is 1,500 ms.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ if text == "0" => 0.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * factor).ok()
}

pub(super) fn switch(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

pub(super) fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

pub(super) fn ports(text: &str) -> Option<Vec<RangeInclusive<u16>>> {
    list(text)
        .iter()
        .map(|item| match item.split_once('-') {
            Some((from, to)) => Some(from.trim().parse().ok()?..=to.trim().parse().ok()?).filter(|r| !r.is_empty()),
            None => item.parse().ok().map(|port| port..=port),
        })
        .collect()
}

/// Finite numbers, each larger than the one before.
pub(super) fn numbers(text: &str) -> Option<Vec<f64>> {
    let numbers: Option<Vec<f64>> =
        list(text).iter().map(|item| item.parse().ok().filter(|number: &f64| number.is_finite())).collect();
    numbers.filter(|numbers| numbers.is_sorted_by(|a, b| a < b))
}

/// The host, empty if there is none, and the port.
pub(super) fn address(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    // An address of IPv6 without brackets: where its port begins is not known.
    let is_clear = inner.is_some() || !host.contains([':', '[', ']', '/']);
    let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten()?;
    is_clear.then_some((inner.unwrap_or(host), port))
}

/// Where a value comes from. The later ones win.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A configuration file.
    File(String),
    /// An environment variable.
    Environment(String),
    /// A flag on the command line.
    Flag(String),
}

impl Origin {
    /// Which of two kinds of origin wins.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File(_) => 1,
            Self::Environment(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        assert_eq!(["0", "12", "64KiB", "4Mi", "1G"].map(bytes), [0, 12, 65_536, 4 << 20, 1 << 30].map(Some));
        assert_eq!(["", "x", "4MB", "-1", "99999999999999999999", "99999999999GiB"].map(bytes), [None; 6]);
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(["0", "500ms", "1.5s", "2m", "1h"].map(millis), [0, 500, 1_500, 120_000, 3_600_000].map(Some));
        assert_eq!(["", "5", "s", "5d", "-1s", "1e400s"].map(millis), [None; 6]);
    }

    #[test]
    fn urls_are_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("", ""),
            ("https://collector:4318/base", "https://collector:4318/base"),
            ("https://user:hunter4@collector:4318/?token=hunter5", "https://collector:4318/"),
            ("https://user:hunter@4@[::1]:4318#hunter", "https://[::1]:4318"),
            ("user:hunter4@collector:4317", "collector:4317"),
            ("user:hunter4@collector?to=http://a", "collector"),
            ("http://user:hunt/er4@collector", "(not shown: it may hold a password)"),
            ("http://user:12?34hunter@collector", "(not shown: it may hold a password)"),
        ] {
            assert_eq!(Kind::Url.shown(url), shown);
        }
    }

    #[test]
    fn numbers_grow() {
        assert_eq!(numbers("0.005, 1, 2.5e1"), Some(vec![0.005, 1.0, 25.0]));
        assert_eq!(["x", "1,1", "2,1", "1,inf", "NaN"].map(numbers), [const { None }; 5]);
    }

    #[test]
    fn addresses_have_a_port_and_may_have_a_host() {
        for (text, expected) in [
            ("9464", Some(("", 9464))),
            (":9464", Some(("", 9464))),
            ("127.0.0.1:0", Some(("127.0.0.1", 0))),
            ("metrics.example:80", Some(("metrics.example", 80))),
            ("[::1]:9464", Some(("::1", 9464))),
            ("::1:9464", None),
            ("http://localhost:9464", None),
            ("localhost", None),
            ("localhost:+1", None),
            ("localhost:65536", None),
            ("", None),
        ] {
            assert_eq!(address(text), expected, "{text}");
        }
    }

    #[test]
    fn ports_are_numbers_and_ranges() {
        assert_eq!(ports("80, 8000-8099"), Some(vec![80..=80, 8000..=8099]));
        assert_eq!(["x", "70000", "9-8", "1-"].map(ports), [const { None }; 4]);
    }
}
