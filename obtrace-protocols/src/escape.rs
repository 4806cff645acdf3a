//! Bytes as text, whatever they are.

use alloc::string::String;
use core::fmt::Write;

/// Appends bytes as text: control characters and what is not UTF-8 as `\xNN`.
pub(crate) fn push_escaped(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        if valid.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
            out.push_str(valid);
        } else {
            for character in valid.chars() {
                if character.is_control() {
                    // Control characters lie below U+0100. Writing to a string cannot fail.
                    let _ = write!(out, "\\x{:02x}", u32::from(character));
                } else {
                    out.push(character);
                }
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_escaped() {
        let mut out = String::from("key ");
        push_escaped(&mut out, b"plain");
        push_escaped(&mut out, b"\x01\x7f\xc2\x85\xc3\xa9\xff\xc3");
        assert_eq!(out, "key plain\\x01\\x7f\\x85\u{e9}\\xff\\xc3");
    }
}
