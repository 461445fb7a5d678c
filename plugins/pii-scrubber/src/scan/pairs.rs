//! Keys with values within a text: queries, forms, cookies, header lines, JSON, and what languages print of their objects.

use super::byte;

/// Bytes of a key that are looked at.
const KEY_BYTES_MAX: usize = 64;
/// Blanks around a separator.
const BLANKS_MAX: usize = 4;
/// What somebody took before.
const FILTERED: &[u8] = b"[Filtered]";

/// The key in front of the `:` or `=` at `at`.
pub(super) fn key(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let next = byte(text, at + 1);
    let is_separator = match text[at] {
        b'=' => next != b'=',
        // Times and ports.
        _ if next.is_ascii_digit() && at > 0 && text[at - 1].is_ascii_digit() => return None,
        _ => next != b':' && text.get(at + 1..at + 3) != Some(b"//"),
    };
    if !is_separator {
        return None;
    }
    let blanks = text[..at].iter().rev().take(BLANKS_MAX).take_while(|b| **b == b' ').count();
    let mut end = at - blanks;
    if end > 0 && matches!(text[end - 1], b'"' | b'\'') {
        end -= 1;
        end -= usize::from(end > 0 && text[end - 1] == b'\\');
    }
    let is_key = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'$');
    let length = text[..end].iter().rev().take(KEY_BYTES_MAX).take_while(|b| is_key(b)).count();
    (length > 0).then_some((end - length, end))
}

/// The value behind the separator at `at`; nothing if it is not a text, or was taken before.
pub(super) fn value(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let arrow = usize::from(text[at] == b'=' && byte(text, at + 1) == b'>');
    let behind = at + 1 + arrow;
    let blanks = text[behind..].iter().take(BLANKS_MAX).take_while(|b| **b == b' ').count();
    let start = behind + blanks;
    let rest = &text[start.min(text.len())..];
    // What opens here has pairs of its own. This is asked first, so that nothing is gone through to no end.
    if rest.starts_with(FILTERED) || matches!(rest.first(), None | Some(b'{' | b'(')) {
        return None;
    }
    let range = match rest[0] {
        b'[' => (start + 1, start + rest.iter().position(|b| *b == b']').unwrap_or(rest.len())),
        _ => quoted(text, start).unwrap_or_else(|| (start, bare_end(text, at, start))),
    };
    let says_nothing = [&b""[..], b"null", b"None", b"nil", b"true", b"false", b"True", b"False"]
        .contains(&&text[range.0..range.1]);
    (!says_nothing).then_some(range)
}

/// What is in the quotes that open at `at`, perhaps behind the letter of a kind of string, perhaps escaped themselves.
fn quoted(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let is_prefix =
        matches!(byte(text, at), b'b' | b'u' | b'r') && matches!(byte(text, at + 1), b'"' | b'\'');
    let mut open = at + usize::from(is_prefix);
    let is_escaped = byte(text, open) == b'\\';
    open += usize::from(is_escaped);
    let quote = byte(text, open);
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let start = open + 1;
    let mut end = start;
    while end < text.len() && text[end] != quote {
        if text[end] == b'\\' {
            if is_escaped && byte(text, end + 1) == quote {
                break;
            }
            end += 1;
        }
        end += 1;
    }
    // A quote that is not closed was cut off.
    Some((start, end.min(text.len())))
}

/// A value without quotes: of a pair with a colon and a blank, as headers have it, the rest of the line.
fn bare_end(text: &[u8], at: usize, start: usize) -> usize {
    let is_line = text[at] == b':' && start > at + 1;
    let stops = |b: &u8| match b {
        b'\n' | b'\r' | b'"' | b'\'' | b';' => true,
        b',' | b'}' => text[at] == b':',
        b'&' | b'<' | b'>' | b'\\' => !is_line,
        b => b.is_ascii_whitespace() && !is_line,
    };
    start + text[start..].iter().position(stops).unwrap_or(text.len() - start)
}
