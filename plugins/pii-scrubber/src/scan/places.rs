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

/// `at` is the `@`.
pub(super) fn email(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let is_local = |b: &u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(b) || *b >= 0x80;
    let back = text[..at].iter().rev().take(LOCAL_BYTES_MAX).take_while(|b| is_local(b)).count();
    let mut start = at - back;
    // Quotes and slashes in front belong to the text around, not to the address; nor does half a character.
    while start < at && (b"'/=|`{}*.".contains(&text[start]) || text[start] & 0xc0 == 0x80) {
        start += 1;
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
    let stops = |b: &u8| {
        matches!(b, b'@' | b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>') || b.is_ascii_whitespace()
    };
    let length = text[start..].iter().take(URL_AUTH_BYTES_MAX).position(stops)?;
    (length > 0 && text[start + length] == b'@').then_some((start, start + length))
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

/// `at` is any colon of it.
pub(super) fn ipv6(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let is_part = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let back = text[..at].iter().rev().take(IPV6_BYTES_MAX).take_while(|b| is_part(b)).count();
    let forth = text[at..].iter().take(IPV6_BYTES_MAX).take_while(|b| is_part(b)).count();
    let (start, mut end) = (at - back, at + forth);
    if end - start < 3 || !begins_word(text, start) || !ends_word(text, end) {
        return None;
    }
    // What follows may be the end of a sentence or the separator of a port.
    while end > start && matches!(text[end - 1], b'.') {
        end -= 1;
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
    // A key that was cut off is a key all the same.
    let length = text[start..].windows(5).position(|w| w == b"-----").unwrap_or(text.len() - start);
    Some((start, start + length))
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
    let stops =
        |b: &u8| *b == slash || matches!(b, b'"' | b'\'' | b':' | b'<' | b'>') || b.is_ascii_whitespace();
    let length = text[start..].iter().position(stops).unwrap_or(text.len() - start);
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
