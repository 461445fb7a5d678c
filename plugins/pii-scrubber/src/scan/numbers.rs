//! What begins with a digit: addresses, cards, accounts, devices, social security numbers. Those with a check digit are checked.

use super::{begins_word, byte, ends_word};

/// Digits of the longest number that is of interest.
const DIGITS_MAX: usize = 19;
/// Digits of the shortest card.
pub(super) const CARD_DIGITS_MIN: usize = 13;

/// Whether a number begins at the digit at `at`: it is no part of a word, nor of a fraction or a version.
pub(super) fn is_run_start(text: &[u8], at: usize) -> bool {
    let follows_point = at > 0 && text[at - 1] == b'.' && at > 1 && text[at - 2].is_ascii_digit();
    begins_word(text, at) && !follows_point
}

pub(super) fn run_end(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|b| b.is_ascii_digit()).count()
}

/// Four numbers from 0 to 255.
pub(super) fn ipv4(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut at = start;
    for part in 0..4 {
        if part > 0 {
            if byte(text, at) != b'.' {
                return None;
            }
            at += 1;
        }
        let end = run_end_within(text, at, 3);
        let value = text.get(at..end)?.iter().fold(0u32, |v, d| v * 10 + u32::from(d - b'0'));
        if end == at || value > 255 || byte(text, end).is_ascii_digit() {
            return None;
        }
        at = end;
    }
    // A fifth number makes it a version, not an address.
    let goes_on = byte(text, at) == b'.' && byte(text, at + 1).is_ascii_digit();
    (!goes_on && ends_word(text, at)).then_some((start, at))
}

fn run_end_within(text: &[u8], at: usize, most: usize) -> usize {
    at + text.get(at..).unwrap_or_default().iter().take(most).take_while(|b| b.is_ascii_digit()).count()
}

/// `ddd-dd-dddd`, without the ranges that were never given out.
pub(super) fn us_ssn(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let part = |from: usize, len: usize| {
        let digits = text.get(start + from..start + from + len)?;
        let all = digits.iter().all(u8::is_ascii_digit);
        all.then(|| digits.iter().fold(0, |v, d| v * 10 + u32::from(d - b'0')))
    };
    let dashes = byte(text, start + 3) == b'-' && byte(text, start + 6) == b'-';
    let (area, group, serial) = (part(0, 3)?, part(4, 2)?, part(7, 4)?);
    let given_out = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
    let end = start + 11;
    let ends = ends_word(text, end) && byte(text, end) != b'-';
    (dashes && given_out && ends).then_some((start, end))
}

/// Calls `check` with the digits up to each place where a number with single blanks or dashes in it may end.
fn grouped(text: &[u8], start: usize, mut check: impl FnMut(&[u8]) -> bool) -> Option<(usize, usize)> {
    let mut digits = [0u8; DIGITS_MAX];
    let (mut count, mut at, mut best) = (0, start, None);
    loop {
        while byte(text, at).is_ascii_digit() {
            if count == DIGITS_MAX {
                return best;
            }
            digits[count] = text[at] - b'0';
            (count, at) = (count + 1, at + 1);
        }
        if ends_word(text, at) && check(&digits[..count]) {
            best = Some((start, at));
        }
        let goes_on = matches!(byte(text, at), b' ' | b'-') && byte(text, at + 1).is_ascii_digit();
        if !goes_on {
            return best;
        }
        at += 1;
    }
}

/// 13 to 16 digits of a known issuer (ISO/IEC 7812), with a right check digit.
pub(super) fn credit_card(text: &[u8], start: usize) -> Option<(usize, usize)> {
    // Dates and times begin like none.
    if !matches!((text[start], byte(text, start + 1)), (b'3'..=b'6', _) | (b'2', b'2'..=b'7')) {
        return None;
    }
    grouped(text, start, |digits| {
        let issuer = match digits.len() {
            13 => matches!(digits, [4, ..]),
            14 => matches!(digits, [3, ..]),
            15 => matches!(digits, [3, 4 | 7, ..]),
            16 => matches!(digits, [3..=6, ..] | [2, 2..=7, ..]),
            _ => false,
        };
        issuer && luhn(digits)
    })
}

/// 15 digits with a right check digit (3GPP TS 23.003).
pub(super) fn imei(text: &[u8], start: usize) -> Option<(usize, usize)> {
    grouped(text, start, |digits| digits.len() == 15 && luhn(digits))
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |d: u8| if d > 4 { 2 * d - 9 } else { 2 * d };
    let term = |(i, d): (usize, &u8)| u32::from(if i % 2 == 1 { doubled(*d) } else { *d });
    let sum: u32 = digits.iter().rev().enumerate().map(term).sum();
    sum.is_multiple_of(10) && digits.iter().any(|d| *d != 0)
}

/// A UUID without dashes: a word of 32 hexadecimal digits.
pub(super) fn bare_uuid(text: &[u8], start: usize) -> Option<(usize, usize)> {
    const DIGITS: usize = 32;
    let digits = text.get(start..start + DIGITS)?;
    let right = digits.iter().all(u8::is_ascii_hexdigit) && ends_word(text, start + DIGITS);
    right.then_some((start, start + DIGITS))
}

/// Two capital letters, two digits, and 11 to 30 more letters and digits, in groups of four or not; the remainder of
/// ISO 13616 must be 1. `at` is the first digit.
pub(super) fn iban(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = at.checked_sub(2)?;
    let country = text[start].is_ascii_uppercase() && text[start + 1].is_ascii_uppercase();
    if !country || !begins_word(text, start) || !byte(text, at + 1).is_ascii_digit() {
        return None;
    }
    let mut value = 0u32;
    let mut feed = |b: u8| {
        value = match b {
            b'0'..=b'9' => (value * 10 + u32::from(b - b'0')) % 97,
            _ => (value * 100 + u32::from(b - b'A') + 10) % 97,
        };
    };
    let (mut end, mut count, mut place) = (at + 2, 0, at + 2);
    while count < 30 {
        let b = byte(text, place);
        if b.is_ascii_digit() || b.is_ascii_uppercase() {
            feed(b);
            (count, place) = (count + 1, place + 1);
            end = place;
        } else if b == b' '
            && (byte(text, place + 1).is_ascii_digit() || byte(text, place + 1).is_ascii_uppercase())
        {
            place += 1;
        } else {
            break;
        }
    }
    text[start..start + 4].iter().for_each(|b| feed(*b));
    ((11..=30).contains(&count) && value == 1 && ends_word(text, end)).then_some((start, end))
}
