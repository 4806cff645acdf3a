//! Colours.

/// The text in a colour (an SGR code), or as it is.
pub(super) fn paint(text: &str, code: &str, color: bool) -> String {
    if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
