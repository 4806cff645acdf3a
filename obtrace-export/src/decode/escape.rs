//! Escapes in JSON strings ([RFC 8259 §7](https://www.rfc-editor.org/rfc/rfc8259#section-7)).

/// The text that is meant, of what stands between the quotes; `None` if an escape is none, or names half a character.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        out.push(match chars.next()? {
            char @ ('"' | '\\' | '/') => char,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (char, after) = unicode(chars.as_str())?;
                rest = after;
                out.push(char);
                continue;
            }
            _ => return None,
        });
        rest = chars.as_str();
    }
    out.push_str(rest);
    Some(out)
}

/// The character of a `\u` escape, or of the pair that it begins, and what follows.
fn unicode(text: &str) -> Option<(char, &str)> {
    let (high, rest) = unit(text)?;
    if !(0xd800..0xdc00).contains(&high) {
        return Some((char::from_u32(high)?, rest));
    }
    let (low, rest) = unit(rest.strip_prefix("\\u")?)?;
    let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x1_0000 + ((high - 0xd800) << 10 | low))?, rest))
}

/// Four hexadecimal digits, and what follows.
fn unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let number = digits.chars().try_fold(0, |number, char| Some(number << 4 | char.to_digit(16)?))?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_serde_json_takes_is_taken_and_nothing_else(
            pieces in prop::collection::vec(prop_oneof![
                r#"\\["\\/bfnrtx0]"#, r"\\u[0-9a-fA-F]{4}", r"\\u[dD][89abAB][0-9a-f]{2}\\u[dD][c-fC-F][0-9a-f]{2}",
                r"\\u[dD][89a-f][0-9a-f]{2}", "[a-zé😀 ]{0,3}", r"\\u[0-9a-g+é]{0,4}",
            ], 0..6),
        ) {
            let text = pieces.concat();
            let theirs = serde_json::from_str::<String>(&format!("\"{text}\"")).ok();
            prop_assert_eq!(unescaped(&text), theirs, "{}", text);
        }
    }
}
