//! Takes what differs from event to event out of a message: `user 42 not found` becomes `user <int> not found`.
//!
//! A lexer by hand, in one pass: at each place the kinds are tried in Sentry's order, and the first that fits is
//! replaced. What a kind has to look ahead for (the end of a run of digits, the `@` of an address, a closing quote) is
//! remembered until the place is passed, so that no text is scanned again and again.

mod cursor;
mod dates;
mod network;
mod numbers;

use cursor::Cursor;

/// Characters of a text that are looked at. More is not worth the time: such texts are dumps, not messages.
pub(crate) const TEXT_CHARS_MAX: usize = 8192;
/// Lines of a message that count.
const LINES_MAX: usize = 2;

/// A message as it is hashed: its first two lines that are not blank, parameterized.
pub(crate) fn normalize(message: &str, out: &mut String) {
    let message_cut = cut(message);
    let is_one_line = !message_cut.bytes().any(is_line_break_candidate) && !message_cut.trim().is_empty();
    if is_one_line && message_cut.len() == message.len() {
        return parameterize(message, out);
    }
    let lines: Vec<&str> =
        split_lines(message_cut).filter(|line| !line.trim().is_empty()).take(LINES_MAX).collect();
    let mut trimmed = lines.join("\n");
    if trimmed != message {
        trimmed.push_str("...");
    }
    parameterize(&trimmed, out);
}

/// Writes `text` with everything that varies replaced by the name of its kind.
pub(crate) fn parameterize(text: &str, out: &mut String) {
    let text = cut(text);
    let mut cursor = Cursor::new(text);
    let mut written = 0;
    let mut at = 0;
    while at < text.len() {
        match cursor.find(at) {
            Some((kind, end)) => {
                out.push_str(&text[written..at]);
                out.push('<');
                out.push_str(kind);
                out.push('>');
                at = end;
                written = end;
            }
            None => at += cursor.step(at),
        }
    }
    out.push_str(&text[written..]);
}

fn cut(text: &str) -> &str {
    if text.len() <= TEXT_CHARS_MAX {
        return text;
    }
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}

/// The line breaks that Python's `splitlines` knows, on which Sentry's messages are cut.
fn split_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| {
        matches!(
            c,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c' | '\x1d' | '\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    })
}

/// Whether this byte is a line break, or may begin one.
fn is_line_break_candidate(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0x0b | 0x0c | 0x1c..=0x1e | 0xc2 | 0xe2)
}

#[cfg(test)]
mod tests;
