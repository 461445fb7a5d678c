//! Addresses: e-mail, URL, host name, IP.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::cursor::Cursor;

/// Bytes of the longest text of an IPv6 address, an embedded IPv4 address included.
const IPV6_BYTES_MAX: usize = 45;
/// Bytes of one label of a host name.
const LABEL_BYTES_MAX: usize = 63;

/// The top-level domains by which a host name is recognized, all in upper or all in lower case. Not all there are:
/// most others are words.
const DOMAINS: &[&str] = &[
    "ae", "al", "app", "ar", "at", "au", "be", "bg", "biz", "br", "by", "ca", "cat", "cc", "cf", "ch", "cl",
    "club", "cn", "co", "com", "cz", "de", "dk", "edu", "ee", "es", "eu", "fi", "fm", "fr", "ga", "gov",
    "gq", "gr", "hk", "hr", "hu", "id", "ie", "il", "in", "info", "io", "ir", "is", "it", "jobs", "jp", "kr",
    "kz", "la", "link", "lt", "lv", "ly", "me", "mobi", "ms", "mx", "my", "net", "news", "ng", "nl", "no",
    "nz", "online", "org", "pe", "ph", "pl", "pro", "pt", "ro", "rs", "ru", "sa", "se", "sg", "si", "site",
    "sk", "th", "tips", "tk", "to", "tr", "tv", "tw", "ua", "ug", "uk", "us", "vn", "wiki", "xxx", "xyz",
    "za",
];

pub(crate) fn email(cursor: &mut Cursor<'_>, at: usize) -> Option<usize> {
    let local_end = cursor.run(at, is_email_byte);
    if local_end > at && cursor.byte(local_end) == b'@' {
        let mut end = cursor.run(local_end + 1, is_label_byte);
        if end > local_end + 1 {
            while cursor.byte(end) == b'.' {
                let label_end = cursor.run(end + 1, is_label_byte);
                if label_end == end + 1 {
                    break;
                }
                end = label_end;
            }
            return Some(end);
        }
    }
    // Every place in this run has the same end, and none of them an address.
    cursor.no_email_before = local_end.max(at + 1);
    None
}

pub(crate) fn url(cursor: &Cursor<'_>, at: usize) -> Option<usize> {
    let rest = &cursor.text[at..];
    let scheme =
        ["http://", "https://", "ws://", "wss://", "ftp://"].into_iter().find(|s| rest.starts_with(s))?;
    let mut chars = rest[scheme.len()..].chars();
    let first = chars.next()?;
    if first.is_whitespace() || "/$.?#".contains(first) {
        return None;
    }
    if chars.next()? == '\n' {
        return None;
    }
    let behind = chars.as_str();
    let length = behind.find(char::is_whitespace).unwrap_or(behind.len());
    Some(at + rest.len() - behind.len() + length)
}

/// Labels with dots between, the shortest that end with a top-level domain. `at` is on a boundary of a word.
pub(crate) fn hostname(cursor: &mut Cursor<'_>, at: usize) -> Option<usize> {
    if at < cursor.no_hostname_before {
        return None;
    }
    let mut label = at;
    loop {
        let limit = cursor.bytes.len().min(label + LABEL_BYTES_MAX + 1);
        let length = cursor.bytes[label..limit].iter().take_while(|b| is_label_byte(**b)).count();
        let label_end = label + length;
        let is_label = (1..=LABEL_BYTES_MAX).contains(&length);
        if !is_label || cursor.byte(label_end) != b'.' {
            // A label that is too long may still end with one that is not.
            if length <= LABEL_BYTES_MAX {
                cursor.no_hostname_before = label_end;
            }
            return None;
        }
        label = label_end + 1;
        let word_end = cursor.run(label, |b| b.is_ascii_alphanumeric() || b == b'_');
        if is_domain(&cursor.bytes[label..word_end]) && !cursor.is_word(word_end) {
            return Some(word_end);
        }
    }
}

pub(crate) fn ip(cursor: &Cursor<'_>, at: usize) -> Option<usize> {
    if cursor.is_word_before(at) {
        return None;
    }
    let limit = cursor.bytes.len().min(at + IPV6_BYTES_MAX + 1);
    let mut end = at + cursor.bytes[at..limit].iter().take_while(|b| is_ip_byte(**b)).count();
    let candidate = &cursor.bytes[at..end];
    if candidate.iter().filter(|b| **b == b':').take(2).count() == 2 {
        // The sentence around it may end with a full stop or a colon.
        for _ in 0..3 {
            if end > at && cursor.text[at..end].parse::<Ipv6Addr>().is_ok() && !cursor.is_word(end) {
                return Some(zone(cursor, at, end));
            }
            if end == at || !matches!(cursor.bytes[end - 1], b'.' | b':') {
                break;
            }
            end -= 1;
        }
    }
    ipv4(cursor, at)
}

/// A link-local address may name its network interface.
fn zone(cursor: &Cursor<'_>, at: usize, end: usize) -> usize {
    if cursor.byte(end) == b'%' && cursor.bytes[at..end].starts_with(b"fe80:") {
        let zone_end = cursor.run(end + 1, |b| b.is_ascii_alphanumeric());
        if zone_end > end + 1 {
            return zone_end;
        }
    }
    end
}

fn ipv4(cursor: &Cursor<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    for part in 0..4 {
        if part > 0 {
            if cursor.byte(end) != b'.' {
                return None;
            }
            end += 1;
        }
        let limit = cursor.bytes.len().min(end + 4);
        let digits = cursor.bytes[end..limit].iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=3).contains(&digits) {
            return None;
        }
        end += digits;
    }
    let is_valid = cursor.text[at..end].parse::<Ipv4Addr>().is_ok();
    (is_valid && !cursor.is_word(end)).then_some(end)
}

fn is_domain(word: &[u8]) -> bool {
    const DOMAIN_BYTES_MAX: usize = 6;
    if word.len() < 2 || word.len() > DOMAIN_BYTES_MAX {
        return false;
    }
    let is_upper = word[0].is_ascii_uppercase();
    if !word.iter().all(|b| if is_upper { b.is_ascii_uppercase() } else { b.is_ascii_lowercase() }) {
        return false;
    }
    let mut lower = [0; DOMAIN_BYTES_MAX];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    DOMAINS.binary_search_by(|domain| domain.as_bytes().cmp(lower)).is_ok()
}

fn is_email_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn is_ip_byte(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || byte == b':' || byte == b'.'
}

#[test]
fn domains_can_be_searched() {
    assert!(DOMAINS.is_sorted());
}
