//! Names and units, by the
//! [compatibility specification](https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#metric-metadata-1).

/// A name with only letters, digits and single underscores (and colons, if they are allowed), that no digit begins.
pub(super) fn sanitized(name: &str, colons: bool) -> String {
    let mut clean = String::with_capacity(name.len() + 1);
    for character in name.chars() {
        let kept = character.is_ascii_alphanumeric() || (colons && character == ':');
        let next = if kept { character } else { '_' };
        if clean.is_empty() && next.is_ascii_digit() {
            clean.push('_');
        }
        if next != '_' || !clean.ends_with('_') {
            clean.push(next);
        }
    }
    if clean.is_empty() { "_".to_owned() } else { clean }
}

/// A unit of [UCUM](https://ucum.org/ucum) in words; empty if there is none to tell.
pub(super) fn unit(unit: &str, gauge: bool) -> String {
    // What is counted is no unit: `{request}`, `{call}/s`.
    let mut plain = String::with_capacity(unit.len());
    let mut depth = 0_usize;
    for character in unit.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(character),
            _ => {}
        }
    }
    // As the Collector has it: a counter that counts ones is no ratio.
    if plain == "1" {
        return if gauge { "ratio".to_owned() } else { String::new() };
    }
    let words = match plain.split_once('/') {
        Some((of, per)) if !per.is_empty() => {
            let per = format!("per_{}", single(per));
            if of.is_empty() { per } else { format!("{}_{per}", plural(of)) }
        }
        _ => plural(plain.trim_end_matches('/')).to_owned(),
    };
    let words = sanitized(&words, false);
    words.trim_matches('_').to_owned()
}

fn plural(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tebibytes",
        "KBy" | "kBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "bit" => "bits",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        other => other,
    }
}

fn single(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "min" | "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => plural(other),
    }
}

/// The name of a family: with its unit behind it, without the `_total` of a counter.
pub(super) fn family(name: &str, unit: &str, counter: bool) -> String {
    let mut name = sanitized(name, true);
    if counter && let Some(base) = name.strip_suffix("_total") {
        name.truncate(base.len());
    }
    let has_unit = || name.strip_suffix(unit).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'));
    if !unit.is_empty() && !has_unit() {
        if !name.ends_with('_') {
            name.push('_');
        }
        name.push_str(unit);
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_have_their_unit_and_no_strange_characters() {
        for (given, of, counter, expected) in [
            ("http.server.request.duration", "s", false, "http_server_request_duration_seconds"),
            ("http.server.request.body.size", "By", false, "http_server_request_body_size_bytes"),
            ("traces.span.metrics.calls", "{call}", true, "traces_span_metrics_calls"),
            ("traces_service_graph_request_total", "", true, "traces_service_graph_request"),
            ("a.bytes.total", "By", true, "a_bytes"),
            ("a_seconds", "s", false, "a_seconds"),
            ("seconds", "s", false, "seconds"),
            ("milliseconds", "s", false, "milliseconds_seconds"),
            ("0a--b..c", "1", false, "_0a_b_c_ratio"),
            ("rate", "By/s", false, "rate_bytes_per_second"),
            ("rate", "{call}/min", false, "rate_per_minute"),
            ("x", "km/{a}h", false, "x_km_per_hour"),
            ("", "", false, "_"),
        ] {
            assert_eq!(family(given, &unit(of, !counter), counter), expected, "{given} {of}");
        }
        assert_eq!(unit("1", false), "");
    }

    proptest! {
        #[test]
        fn every_name_is_one_of_prometheus(name in ".{0,20}", of in ".{0,8}", counter: bool) {
            let name = family(&name, &unit(&of, true), counter);
            let valid = |(at, c): (usize, char)| c.is_ascii_alphabetic() || c == '_' || c == ':' || (at > 0 && c.is_ascii_digit());
            prop_assert!(!name.is_empty() && name.chars().enumerate().all(valid), "{}", name);
            prop_assert!(!name.contains("__"), "{}", name);
        }
    }
}
