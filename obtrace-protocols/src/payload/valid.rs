//! Whether a text is JSON, strictly: for what is passed on as it stands.

/// Deepest nesting that is taken.
const MAX_DEPTH: u32 = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// A value or `]`.
    First,
    /// A name or `}`.
    Member,
    Name,
    Colon,
    /// `,` or what closes.
    After,
}

/// Whether it is one object or array and nothing else ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)).
pub(super) fn is_container(text: &str) -> bool {
    let mut rest = text.as_bytes();
    let (mut next, mut depth, mut arrays) = (Next::Value, 0_u32, 0_u64);
    loop {
        rest = rest.trim_ascii_start();
        let Some((&byte, behind)) = rest.split_first() else { return next == Next::After && depth == 0 };
        if depth == 0 && (next == Next::After || !matches!(byte, b'{' | b'[')) {
            return false;
        }
        let in_array = arrays & 1 == 1;
        rest = behind;
        next = match (next, byte) {
            (Next::Value | Next::First, b'{' | b'[') => {
                depth = depth.saturating_add(1);
                if depth > MAX_DEPTH {
                    return false;
                }
                arrays = arrays << 1 | u64::from(byte == b'[');
                if byte == b'[' { Next::First } else { Next::Member }
            }
            (Next::First | Next::After, b']') if in_array => {
                depth = depth.saturating_sub(1);
                arrays >>= 1;
                Next::After
            }
            (Next::Member | Next::After, b'}') if !in_array => {
                depth = depth.saturating_sub(1);
                arrays >>= 1;
                Next::After
            }
            (Next::After, b',') => {
                if in_array {
                    Next::Value
                } else {
                    Next::Name
                }
            }
            (Next::Colon, b':') => Next::Value,
            (Next::Member | Next::Name, b'"') => match string(rest) {
                Some(behind) => {
                    rest = behind;
                    Next::Colon
                }
                None => return false,
            },
            (Next::Value | Next::First, _) => match scalar(byte, rest) {
                Some(behind) => {
                    rest = behind;
                    Next::After
                }
                None => return false,
            },
            _ => return false,
        };
    }
}

/// What is behind a string whose quote was taken.
fn string(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (&byte, behind) = rest.split_first()?;
        rest = match byte {
            b'"' => return Some(behind),
            0..=0x1f => return None,
            b'\\' => {
                let (&escape, behind) = behind.split_first()?;
                match escape {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => behind,
                    b'u' => {
                        let (digits, behind) = behind.split_first_chunk::<4>()?;
                        digits.iter().all(u8::is_ascii_hexdigit).then_some(behind)?
                    }
                    _ => return None,
                }
            }
            _ => behind,
        };
    }
}

/// What is behind a value that is no container and begins with `byte`.
fn scalar(byte: u8, rest: &[u8]) -> Option<&[u8]> {
    match byte {
        b'"' => string(rest),
        b't' => rest.strip_prefix(b"rue"),
        b'f' => rest.strip_prefix(b"alse"),
        b'n' => rest.strip_prefix(b"ull"),
        b'-' => {
            let (&first, rest) = rest.split_first()?;
            number(first, rest)
        }
        _ => number(byte, rest),
    }
}

fn number(first: u8, rest: &[u8]) -> Option<&[u8]> {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = match first {
        b'0' => rest,
        b'1'..=b'9' => rest.get(digits(rest)..)?,
        _ => return None,
    };
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = fraction.get(digits(fraction)..).filter(|behind| behind.len() < fraction.len())?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        rest = exponent.get(digits(exponent)..).filter(|behind| behind.len() < exponent.len())?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_json() {
        for yes in [
            "{}",
            "[]",
            " { \"a\" : [ 1 , -0.5e+3 , null , true , \"\\u00e9\\n\" , {} , [[]] ] } ",
            "[0,10,1E5]",
            "{\"a\":\"\",\"b\":false}",
        ] {
            assert!(is_container(yes), "{yes}");
        }
        for no in [
            "",
            "1",
            "\"a\"",
            "{",
            "}",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "[01]",
            "[1.]",
            "[.5]",
            "[+1]",
            "[1e]",
            "[tru]",
            "[\"a]",
            "[\"\\x\"]",
            "[\"\\u12g4\"]",
            "[\"\n\"]",
            "[1] 2",
            "{}{}",
            "[}",
            "{]",
            "[1 2]",
            "{\"a\":1 \"b\":2}",
            "[,1]",
            "[-]",
        ] {
            assert!(!is_container(no), "{no}");
        }
        let deep = "[".repeat(65) + &"]".repeat(65);
        assert!(!is_container(&deep) && is_container(&deep[1..129]));
    }
}
