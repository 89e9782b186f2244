//! Bytes as text, where they are that.

use std::fmt::Write;

/// What is no UTF-8 is shown byte by byte, as in `\xf0`: texts that differ are shown differently.
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in before_zero(bytes).utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Whether all of it can be shown as text: printable, and nothing behind its end.
pub fn is_text(bytes: &[u8]) -> bool {
    let shown = before_zero(bytes);
    let is_printable = std::str::from_utf8(shown).is_ok_and(|text| !text.contains(char::is_control));
    is_printable && bytes[shown.len()..].iter().all(|byte| *byte == 0)
}

/// Where a text ends that begins there.
pub fn end(bytes: &[u8], begin: usize) -> usize {
    let rest = bytes.get(begin..).unwrap_or_default();
    begin + before_zero(rest).len()
}

fn before_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
