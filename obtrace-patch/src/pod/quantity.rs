//! Kubernetes' quantities.

/// What a quantity comes to: `16Mi`, `0.5`, `250m`, `1e3`, as a string with its quotes or as a number.
///
/// Rounding does not matter here: quantities are compared with one another and with one bound.
pub(crate) fn bytes(json: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(json).ok()?.trim_matches('"');
    let digits = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        "Ei" => 1_152_921_504_606_846_976.0,
        _ => return text.parse().ok(),
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn quantities_of_every_form() {
        for (text, value) in [
            (&br#""16Mi""#[..], 16_777_216.0),
            (br#""1Gi""#, 1_073_741_824.0),
            (br#""500M""#, 5e8),
            (br#""250m""#, 0.25),
            (br#""1e3""#, 1000.0),
            (br#""1.5E3""#, 1500.0),
            (b"268435456", 268_435_456.0),
            (b"0.5", 0.5),
            (br#""2E""#, 2e18),
        ] {
            assert_eq!(bytes(text), Some(value), "{}", String::from_utf8_lossy(text));
        }
        for text in [&b"\"\""[..], b"\"Mi\"", b"\"16MiB\"", b"\"x\"", b"\xff"] {
            assert_eq!(bytes(text), None);
        }
    }
}
