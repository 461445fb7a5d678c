//! What is recognised by a sign in its middle or front: addresses, keys, paths, tokens.

use std::net::Ipv6Addr;
use std::str;

use super::{begins_word, byte, ends_word, is_word};

/// Bytes of the longest local part that is an address (RFC 5321 allows 64; clients send worse).
const LOCAL_BYTES_MAX: usize = 256;
const DOMAIN_BYTES_MAX: usize = 255;
/// Bytes of credentials in a URL.
const URL_AUTH_BYTES_MAX: usize = 1024;
const IPV6_BYTES_MAX: usize = 45;
/// Bytes of the name of somebody's folder.
const NAME_BYTES_MAX: usize = 256;

/// `at` is the `@`.
pub(super) fn email(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut start = at;
    while start > 0 && at - start < LOCAL_BYTES_MAX {
        let b = text[start - 1];
        let is_local = b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
        // Letters with accents, Greek and Cyrillic ones are two bytes that begin like this. Those of scripts that put no blanks
        // between words would take in the sentence in front.
        let is_letter = b & 0xc0 == 0x80 && start > 1 && matches!(text[start - 2], 0xc3..=0xd4);
        match (is_local, is_letter) {
            (true, _) => start -= 1,
            (_, true) => start -= 2,
            _ => break,
        }
    }
    // Quotes and slashes in front belong to the text around, not to the address; of a pair, only the value is one.
    while start < at && b"'/=|`{}*.?&#!".contains(&text[start]) {
        start += 1;
    }
    if let Some(equals) = text[start..at].iter().rposition(|b| *b == b'=') {
        start += equals + 1;
    }
    let is_domain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let forth = text[at + 1..].iter().take(DOMAIN_BYTES_MAX).take_while(|b| is_domain(b)).count();
    let mut end = at + 1 + forth;
    while end > at + 1 && matches!(text[end - 1], b'.' | b'-') {
        end -= 1;
    }
    let domain = &text[at + 1..end];
    let dot = domain.iter().rposition(|b| *b == b'.')?;
    let top = &domain[dot + 1..];
    let is_name = top.len() >= 2 && top[0].is_ascii_alphabetic() && dot > 0 && domain[0] != b'.';
    (start < at && is_name).then_some((start, end))
}

/// `user:password` in `scheme://user:password@host`. `at` is the first colon.
pub(super) fn url_auth(text: &[u8], at: usize) -> Option<(usize, usize)> {
    if text.get(at + 1..at + 3) != Some(b"//") {
        return None;
    }
    let start = at + 3;
    let stops =
        |b: &u8| matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>') || b.is_ascii_whitespace();
    let authority = text[start..].iter().take(URL_AUTH_BYTES_MAX).take_while(|b| !stops(b));
    // A password may have an `@` of its own: the last one is the separator.
    let length = authority.enumerate().filter(|(_, b)| **b == b'@').last()?.0;
    (length > 0).then_some((start, start + length))
}

/// Six pairs of hexadecimal digits. `at` is the first separator.
pub(super) fn mac(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = at.checked_sub(2)?;
    let end = start + 17;
    let right = text.get(start..end)?.iter().enumerate().all(|(i, b)| match i % 3 {
        2 => *b == text[at],
        _ => b.is_ascii_hexdigit(),
    });
    let stands_alone = begins_word(text, start) && ends_word(text, end) && byte(text, end) != text[at];
    (right && stands_alone).then_some((start, end))
}

/// `at` is its first colon.
pub(super) fn ipv6(text: &[u8], at: usize) -> Option<(usize, usize)> {
    // Times and pairs have colons, too, but few, and no two of them side by side.
    let is_near = |b: u8| b.is_ascii_hexdigit() || b == b':';
    if !is_near(byte(text, at + 1)) {
        return None;
    }
    let is_part = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let back = text[..at].iter().rev().take(IPV6_BYTES_MAX).take_while(|b| is_part(b)).count();
    if text[at - back..at].contains(&b':') {
        return None;
    }
    let forth = text[at..].iter().take(IPV6_BYTES_MAX).take_while(|b| is_part(b)).count();
    let (mut start, mut end) = (at - back, at + forth);
    // A colon in front is that of `address:`, one behind it or a full stop is the sentence's.
    start += usize::from(text[start] == b':' && byte(text, start + 1) != b':');
    let is_sentence = |end: usize| match text[end - 1] {
        b'.' => true,
        b':' => text[end - 2] != b':',
        _ => false,
    };
    while end > start + 2 && is_sentence(end) {
        end -= 1;
    }
    if end <= at
        || end < start + 3
        || end - start > IPV6_BYTES_MAX
        || !begins_word(text, start)
        || !ends_word(text, end)
    {
        return None;
    }
    let colons = text[start..end].iter().filter(|b| **b == b':').count();
    if colons < 6 && !text[start..end].windows(2).any(|pair| pair == b"::") {
        return None;
    }
    // `a::b` is an address by the letter and a path of some language by any measure.
    let has_digit = text[start..end].iter().any(u8::is_ascii_digit);
    let candidate = str::from_utf8(&text[start..end]).ok().filter(|_| has_digit)?;
    candidate.parse::<Ipv6Addr>().is_ok().then_some((start, end))
}

/// 8-4-4-4-12 hexadecimal digits. `at` is the first dash.
pub(super) fn uuid(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = at.checked_sub(8)?;
    let end = start + 36;
    let right = text.get(start..end)?.iter().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    (right && begins_word(text, start) && ends_word(text, end)).then_some((start, end))
}

/// What lies between `-----BEGIN … KEY-----` and its end. `at` is the first dash.
pub(super) fn pem_key(text: &[u8], at: usize) -> Option<(usize, usize)> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const LABEL_BYTES_MAX: usize = 64;
    let rest = &text[at..];
    if !rest.starts_with(BEGIN) {
        return None;
    }
    let label = rest[BEGIN.len()..].iter().take(LABEL_BYTES_MAX).position(|b| *b == b'-')?;
    let start = at + BEGIN.len() + label + 5;
    let is_key = rest[BEGIN.len()..BEGIN.len() + label].ends_with(b"KEY");
    if !is_key || text.get(start - 5..start) != Some(b"-----") {
        return None;
    }
    // A key that was cut off is a key all the same. The line breaks around it are not its own.
    let length = text[start..].windows(5).position(|w| w == b"-----").unwrap_or(text.len() - start);
    let is_blank = |b: &&u8| b.is_ascii_whitespace();
    let key = &text[start..start + length];
    let (front, back) =
        (key.iter().take_while(is_blank).count(), key.iter().rev().take_while(is_blank).count());
    (front < length).then(|| (start + front, start + length - back))
}

/// The name in `/home/name`, `/Users/name`, `C:\Users\name` and their like. `at` is the slash in front of the folder.
pub(super) fn user_path(text: &[u8], at: usize) -> Option<(usize, usize)> {
    const FOLDERS: [&[u8]; 3] = [b"home", b"users", b"documents and settings"];
    let slash = text[at];
    let rest = &text[at + 1..];
    let folder = FOLDERS.iter().find(|folder| {
        let name = rest.get(..folder.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(folder)) && byte(rest, folder.len()) == slash
    })?;
    let start = at + 2 + folder.len();
    let ends = |b: &u8| *b == slash || matches!(b, b'"' | b'\'' | b':' | b'<' | b'>' | b'\n' | b'\r');
    let name = &text[start..text.len().min(start + NAME_BYTES_MAX)];
    let length = match name.iter().position(ends) {
        // There are blanks in names, if more of the path follows them.
        Some(end) if name[end] == slash => end,
        end => {
            let end = end.unwrap_or(name.len());
            name[..end].iter().position(u8::is_ascii_whitespace).unwrap_or(end)
        }
    };
    let cut = text[start + length..].iter().take_while(|b| **b & 0xc0 == 0x80).count();
    let length = length + cut;
    (length > 0).then_some((start, start + length))
}

/// The token behind `Bearer `. `at` is the B.
pub(super) fn bearer(text: &[u8], at: usize) -> Option<(usize, usize)> {
    const WORD: &[u8] = b"bearer";
    /// Shorter ones are words of a sentence.
    const TOKEN_BYTES_MIN: usize = 8;
    let word = text.get(at..at + WORD.len())?;
    if !word.eq_ignore_ascii_case(WORD) || !begins_word(text, at) {
        return None;
    }
    let behind = at + WORD.len();
    let blanks = text[behind..].iter().take(8).take_while(|b| b.is_ascii_whitespace()).count();
    let start = behind + blanks;
    let is_token = |b: &u8| is_word(*b) || matches!(b, b'.' | b'~' | b'+' | b'/' | b'=' | b'-');
    let length = text[start..].iter().take_while(|b| is_token(b)).count();
    (blanks > 0 && length >= TOKEN_BYTES_MIN).then_some((start, start + length))
}
