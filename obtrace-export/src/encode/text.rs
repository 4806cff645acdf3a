//! JSON's scalars, appended to bytes. Also for whoever prints telemetry in another shape than OTLP's.

use std::io::Write as _;

use crate::{
    model::Text,
    text::{Form, INLINE},
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Both hexadecimal digits of every byte.
static HEX: [[u8; 2]; 256] = {
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    table
};

/// Both decimal digits of every number below 100.
static DECIMAL: [[u8; 2]; 100] = {
    let mut table = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        table[number] = [DIGITS[number / 10], DIGITS[number % 10]];
        number += 1;
    }
    table
};

/// Appends a JSON string with its quotes. Control characters, `"` and `\` are escaped (and DEL and the C1 controls, so that
/// a line of output cannot steer a terminal); everything else stays UTF-8.
///
/// ```
/// let mut out = Vec::new();
/// obtrace_export::encode::text::push_string(&mut out, "a\"b\u{1b}[2J é");
/// assert_eq!(out, r#""a\"b\u001b[2J é""#.as_bytes());
/// ```
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        push_escaped(out, text);
    }
    out.push(b'"');
}

/// Appends a JSON string as [`push_string`] does.
pub fn push_text(out: &mut Vec<u8>, text: &Text) {
    match text.form() {
        Form::Key(json) => out.extend_from_slice(json.as_bytes().split_last().map_or(&[], |(_, string)| string)),
        Form::Plain(text) => {
            out.push(b'"');
            out.extend_from_slice(text.as_bytes());
            out.push(b'"');
        }
        Form::Short(length, bytes) if is_plain_short(bytes) => {
            // All of it at once and the rest taken back: cheaper than a copy of a length that only shows now.
            let length = usize::from(length);
            let mut string = [b'"'; INLINE + 2];
            string[1..=INLINE].copy_from_slice(bytes);
            string[INLINE.min(length) + 1] = b'"';
            let end = out.len() + length + 2;
            out.extend_from_slice(&string);
            out.truncate(end);
        }
        Form::Short(..) | Form::Any => push_string(out, text),
    }
}

/// Appends the key of a JSON object's member: the string and a colon.
///
/// ```
/// use obtrace_export::model::Text;
/// let mut out = Vec::new();
/// obtrace_export::encode::text::push_key(&mut out, &Text::copied("a"));
/// assert_eq!(out, br#""a":"#);
/// ```
pub fn push_key(out: &mut Vec<u8>, key: &Text) {
    if let Form::Key(json) = key.form() {
        out.extend_from_slice(json.as_bytes());
    } else {
        push_text(out, key);
        out.push(b':');
    }
}

/// As [`is_plain`].
fn is_plain_short(bytes: &[u8; INLINE]) -> bool {
    let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) else { return false };
    is_plain_16(first) & is_plain_16(last)
}

/// Whether nothing in it must be escaped. Asks many bytes at a time; bytes above 0x7e go the slow way, which looks closer.
fn is_plain(bytes: &[u8]) -> bool {
    // The last bytes overlap what was asked before: one step instead of one for each of them.
    if let Some(last) = bytes.last_chunk::<16>() {
        return bytes.as_chunks::<16>().0.iter().all(is_plain_16) && is_plain_16(last);
    }
    let word = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            return (marks(u64::from_le_bytes(*first)) | marks(u64::from_le_bytes(*last))) == 0;
        }
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
            }
            _ => return bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(byte)),
        },
    };
    marks(word) == 0
}

/// Without a branch on a byte, so that it becomes a handful of vector instructions.
fn is_plain_16(bytes: &[u8; 16]) -> bool {
    let mut strange = 0;
    for &byte in bytes {
        strange |= u8::from(byte.wrapping_sub(b' ') > b'~' - b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    }
    strange == 0
}

/// High bit of each byte that is less than 0x20, `"`, `\` or above 0x7e. The carries of one byte into the next can only
/// come from a byte that is marked itself, so "none" is exact.
const fn marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    (word.wrapping_sub(ONES * 0x20)
        | quote.wrapping_sub(ONES)
        | backslash.wrapping_sub(ONES)
        | word.wrapping_add(ONES)
        | word)
        & (ONES << 7)
}

#[cold]
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let mut kept = 0;
    for (at, char) in text.char_indices() {
        let short = match char {
            '"' => b'"',
            '\\' => b'\\',
            '\n' => b'n',
            '\r' => b'r',
            '\t' => b't',
            '\0'..' ' | '\u{7f}'..='\u{9f}' => 0,
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[kept..at]);
        kept = at + char.len_utf8();
        if short == 0 {
            // All of these are below 0x100.
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&HEX[char as usize & 0xff]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&text.as_bytes()[kept..]);
}

/// Appends bytes as lower-case hexadecimal.
pub fn push_hex<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N]) {
    out.extend_from_slice(bytes.map(|byte| HEX[usize::from(byte)]).as_flattened());
}

/// Appends a number in decimal.
pub fn push_decimal(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_decimal_u64(out, number.unsigned_abs());
}

/// Appends a number in decimal.
pub fn push_decimal_u64(out: &mut Vec<u8>, mut number: u64) {
    const MOST: usize = 20;
    let mut digits = [0; 2 * MOST];
    let mut at = MOST;
    while number >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&DECIMAL[(number % 100) as usize]);
        number /= 100;
    }
    if number >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&DECIMAL[number as usize]);
    } else {
        at -= 1;
        digits[at] = DIGITS[number as usize];
    }
    // More than there are, and what is too much taken back: cheaper than a copy of a length that only shows now.
    let end = out.len() + MOST - at;
    out.extend_from_slice(&digits[at..at + MOST]);
    out.truncate(end);
}

/// Appends a number: the shortest digits that give it back, or `"NaN"`, `"Infinity"`, `"-Infinity"` in quotes as ProtoJSON
/// has them.
///
/// ```
/// let mut out = Vec::new();
/// obtrace_export::encode::text::push_double(&mut out, f64::NEG_INFINITY);
/// assert_eq!(out, br#""-Infinity""#);
/// ```
pub fn push_double(out: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    } else {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{number:?}");
    }
}

/// Appends bytes in base64 with padding ([RFC 4648 §4](https://www.rfc-editor.org/rfc/rfc4648#section-4)).
pub fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let [a, b, c] = group.map(usize::from);
        let mut digits =
            [ALPHABET[a >> 2], ALPHABET[(a << 4 | b >> 4) & 63], ALPHABET[(b << 2 | c >> 6) & 63], ALPHABET[c & 63]];
        digits[chunk.len() + 1..].fill(b'=');
        out.extend_from_slice(&digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_char_at_every_place_is_escaped_or_kept() {
        for code in (0..0x300).chain([0x2028, 0xffff, 0x1f600]) {
            let Some(char) = char::from_u32(code) else { continue };
            for length in 0..40 {
                for at in 0..=length {
                    let text: String = (0..=length).map(|i| if i == at { char } else { 'x' }).collect();
                    let json = written(|out| push_string(out, &text));
                    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
                    assert!(!json.chars().any(char::is_control), "{code:x}");
                    let needed = char.is_control() || char == '"' || char == '\\';
                    assert_eq!(json.len() == text.len() + 2, !needed, "{code:x} is escaped without need or not at all");
                }
            }
        }
    }

    #[test]
    fn numbers() {
        for number in [0, 1, 9, 10, 99, 100, 101, 12_345, u64::MAX, u64::MAX - 1, 1_000_000_000_000_000_000] {
            assert_eq!(written(|out| push_decimal_u64(out, number)), number.to_string());
        }
        for number in [0, -1, -10, i64::MIN, i64::MAX] {
            assert_eq!(written(|out| push_decimal(out, number)), number.to_string());
        }
        for number in [0.0, -0.0, 1.0, 0.1, -1.5e300, 5e-324, f64::MAX, 1e21] {
            let json = written(|out| push_double(out, number));
            assert_eq!(serde_json::from_str::<f64>(&json).unwrap().to_bits(), number.to_bits(), "{json}");
        }
        assert_eq!(written(|out| push_double(out, f64::NAN)), "\"NaN\"");
        assert_eq!(written(|out| push_double(out, f64::INFINITY)), "\"Infinity\"");
    }

    #[test]
    fn base64_by_the_vectors_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(written(|out| push_base64(out, bytes.as_bytes())), text);
        }
        assert_eq!(written(|out| push_base64(out, &[0xfb, 0xff, 0xfe])), "+//+");
    }

    #[test]
    fn hex_is_lower_case() {
        assert_eq!(written(|out| push_hex(out, &[0x0f, 0xa0])), "0fa0");
    }
}
