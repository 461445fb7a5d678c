//! Numbers and identifiers made of digits.

use super::cursor::{Cursor, Found};

/// Digits of an integer: more of them are an identifier.
const INT_DIGITS_MAX: usize = 7;

/// Trace parents, UUIDs, SHA-1 and MD5 hashes. `at` is on a boundary of a word.
pub(crate) fn fixed_hex(cursor: &mut Cursor<'_>, at: usize) -> Option<Found> {
    let end = cursor.hex_end(at);
    match end - at {
        2 if cursor.bytes[at..].starts_with(b"00-") => {
            let end = groups(cursor, at, &[2, 32, 16, 2], true)?;
            matches!(&cursor.bytes[end - 2..end], b"00" | b"01").then_some(("traceparent", end))
        }
        1 if cursor.bytes[at..].starts_with(b"1-") => {
            Some(("traceparent", groups(cursor, at, &[1, 8, 24], true)?))
        }
        8 => Some(("uuid", groups(cursor, at, &[8, 4, 4, 4, 12], false)?)),
        32 if !cursor.is_word(end) => Some(("md5", end)),
        40 if !cursor.is_word(end) => Some(("sha1", end)),
        _ => None,
    }
}

/// Groups of hexadecimal digits with dashes between, and the end of a word behind.
fn groups(cursor: &Cursor<'_>, at: usize, lengths: &[usize], lower: bool) -> Option<usize> {
    let is_digit = |b: &u8| b.is_ascii_hexdigit() && !(lower && b.is_ascii_uppercase());
    let mut end = at;
    for (i, length) in lengths.iter().enumerate() {
        if i > 0 {
            if cursor.byte(end) != b'-' {
                return None;
            }
            end += 1;
        }
        let group = cursor.bytes.get(end..end + length)?;
        if !group.iter().all(is_digit) {
            return None;
        }
        end += length;
    }
    (!cursor.is_word(end)).then_some(end)
}

/// `150ms` at the beginning of a word, or `1.5s` at the end of one.
pub(crate) fn duration(cursor: &mut Cursor<'_>, at: usize, bounded: bool) -> Option<usize> {
    let digits = cursor.digits_end(at);
    if bounded && cursor.bytes[digits..].starts_with(b"ms") {
        return Some(digits + 2);
    }
    if at < cursor.no_duration_before {
        return None;
    }
    let mut end = digits;
    if cursor.byte(end) == b'.' {
        let fraction = cursor.run(end + 1, |b| b.is_ascii_digit());
        if fraction > end + 1 {
            end = fraction;
        }
    }
    if cursor.byte(end) == b's' && !cursor.is_word(end + 1) {
        return Some(end + 1);
    }
    cursor.no_duration_before = digits;
    None
}

/// `tx`, 21 hexadecimal digits, a dash, 10 more, and whatever follows without a space.
pub(crate) fn swift_transaction(cursor: &Cursor<'_>, at: usize) -> Option<usize> {
    let is_digit = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let id = cursor.bytes.get(at..at + 34)?;
    let fits = id.starts_with(b"tx")
        && id[2..23].iter().all(is_digit)
        && id[23] == b'-'
        && id[24..].iter().all(is_digit);
    fits.then(|| {
        let behind = &cursor.text[at + 34..];
        at + 34 + behind.find(char::is_whitespace).unwrap_or(behind.len())
    })
}

/// What begins with a digit at the beginning of a word: hexadecimal, a git hash, a fraction, an integer.
pub(crate) fn number(cursor: &mut Cursor<'_>, at: usize) -> Option<Found> {
    if cursor.bytes[at] == b'0' && matches!(cursor.byte(at + 1), b'x' | b'X') {
        let end = cursor.run(at + 2, |b| b.is_ascii_hexdigit());
        if end > at + 2 && !cursor.is_word(end) {
            return Some(("hex", end));
        }
    }
    if let Some(found) = bare_hex(cursor, at) {
        return Some(found);
    }
    if let Some(end) = fraction(cursor, at) {
        return Some(("float", end));
    }
    integer(cursor, at).map(|end| ("int", end))
}

/// A dash and a number. A dash joins it also if a word ends before the dash.
pub(crate) fn negative(cursor: &mut Cursor<'_>, at: usize) -> Option<Found> {
    if !cursor.byte(at + 1).is_ascii_digit() {
        return None;
    }
    if let Some(end) = fraction(cursor, at + 1) {
        return Some(("float", end));
    }
    integer(cursor, at + 1).map(|end| ("int", end))
}

/// 8 to 128 hexadecimal digits of one case, or the 7 of a shortened git hash; with a digit among them.
pub(crate) fn bare_hex(cursor: &mut Cursor<'_>, at: usize) -> Option<Found> {
    let end = cursor.hex_end(at);
    let length = end - at;
    if !(7..=128).contains(&length) || cursor.is_word(end) {
        return None;
    }
    let run = &cursor.bytes[at..end];
    let has = |is: fn(&u8) -> bool| run.iter().any(is);
    let (digit, lower, upper) =
        (has(u8::is_ascii_digit), has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
    match length {
        7 => (digit && lower && !upper).then_some(("git_sha", end)),
        _ => (digit && !(lower && upper)).then_some(("hex", end)),
    }
}

fn fraction(cursor: &mut Cursor<'_>, at: usize) -> Option<usize> {
    let digits = cursor.digits_end(at);
    if cursor.byte(digits) != b'.' {
        return None;
    }
    let end = cursor.run(digits + 1, |b| b.is_ascii_digit());
    (end > digits + 1 && !cursor.is_word(end)).then_some(end)
}

fn integer(cursor: &mut Cursor<'_>, at: usize) -> Option<usize> {
    let end = cursor.digits_end(at);
    ((1..=INT_DIGITS_MAX).contains(&(end - at)) && !cursor.is_word(end)).then_some(end)
}
