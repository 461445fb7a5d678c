//! A place in a text, what is around it, and what has been found out ahead of it.

use super::{dates, network, numbers};

/// A kind's name and where the text of it ends.
pub(crate) type Found = (&'static str, usize);

#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    pub text: &'a str,
    pub bytes: &'a [u8],
    /// No e-mail address begins before here.
    pub no_email_before: usize,
    /// No host name begins before here.
    pub no_hostname_before: usize,
    /// No duration begins before here.
    pub no_duration_before: usize,
    /// The end of the run of digits that was looked at last.
    pub digits_end: usize,
    /// The end of the run of hexadecimal digits that was looked at last.
    pub hex_end: usize,
    /// There is no such quote from here on.
    no_single_quote: bool,
    no_double_quote: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Cursor<'a> {
        Cursor {
            text,
            bytes: text.as_bytes(),
            no_email_before: 0,
            no_hostname_before: 0,
            no_duration_before: 0,
            digits_end: 0,
            hex_end: 0,
            no_single_quote: false,
            no_double_quote: false,
        }
    }

    /// What begins at `at`, which is on a character boundary.
    #[inline]
    pub(crate) fn find(&mut self, at: usize) -> Option<Found> {
        let byte = self.bytes[at];
        if at >= self.no_email_before
            && let Some(end) = network::email(self, at)
        {
            return Some(("email", end));
        }
        match byte {
            b'0'..=b'9' => self.find_digit(at),
            b'a'..=b'z' | b'A'..=b'Z' => self.find_letter(at),
            b'-' => self.find_dash(at),
            b':' => network::ip(self, at).map(|end| ("ip", end)),
            b'\'' | b'"' => self.find_quoted(at),
            _ => None,
        }
    }

    /// How many bytes to go on by if nothing begins at `at`.
    #[inline]
    pub(crate) fn step(&self, at: usize) -> usize {
        match self.bytes[at] {
            0..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        }
    }

    fn find_digit(&mut self, at: usize) -> Option<Found> {
        let bounded = self.is_boundary(at);
        if bounded && let Some(end) = network::hostname(self, at) {
            return Some(("hostname", end));
        }
        if let Some(end) = network::ip(self, at) {
            return Some(("ip", end));
        }
        if bounded && let Some(found) = numbers::fixed_hex(self, at) {
            return Some(found);
        }
        if let Some(end) = dates::from_digit(self, at, bounded) {
            return Some(("date", end));
        }
        if let Some(end) = numbers::duration(self, at, bounded) {
            return Some(("duration", end));
        }
        if bounded { numbers::number(self, at) } else { None }
    }

    fn find_letter(&mut self, at: usize) -> Option<Found> {
        let bounded = self.is_boundary(at);
        if bounded {
            if let Some(end) = network::url(self, at) {
                return Some(("url", end));
            }
            if let Some(end) = network::hostname(self, at) {
                return Some(("hostname", end));
            }
            if self.bytes[at].is_ascii_hexdigit() {
                if let Some(end) = network::ip(self, at) {
                    return Some(("ip", end));
                }
                if let Some(found) = numbers::fixed_hex(self, at) {
                    return Some(found);
                }
            }
        }
        if let Some(end) = dates::from_letter(self, at, bounded) {
            return Some(("date", end));
        }
        if bounded {
            if let Some(end) = numbers::swift_transaction(self, at) {
                return Some(("swift_txn_id", end));
            }
            if let Some(found) = numbers::bare_hex(self, at) {
                return Some(found);
            }
        }
        self.follows_equals(at).then(|| self.bool(at)).flatten()
    }

    fn find_dash(&mut self, at: usize) -> Option<Found> {
        if self.is_boundary(at)
            && let Some(end) = network::hostname(self, at)
        {
            return Some(("hostname", end));
        }
        numbers::negative(self, at)
    }

    fn find_quoted(&mut self, at: usize) -> Option<Found> {
        if !self.follows_equals(at) {
            return None;
        }
        let quote = self.bytes[at];
        let none_left = if quote == b'"' { &mut self.no_double_quote } else { &mut self.no_single_quote };
        if *none_left {
            return None;
        }
        let Some(inside) = self.bytes[at + 1..].iter().position(|b| *b == quote) else {
            *none_left = true;
            return None;
        };
        (inside > 0).then_some(("quoted_str", at + inside + 2))
    }

    fn bool(&self, at: usize) -> Option<Found> {
        let rest = &self.bytes[at..];
        let word = [&b"True"[..], b"true", b"False", b"false"].into_iter().find(|w| rest.starts_with(w))?;
        Some(("bool", at + word.len()))
    }

    fn follows_equals(&self, at: usize) -> bool {
        at > 0 && self.bytes[at - 1] == b'='
    }

    /// The end of the run of digits that `at` lies in.
    pub(crate) fn digits_end(&mut self, at: usize) -> usize {
        if at >= self.digits_end {
            self.digits_end = self.run(at, |b| b.is_ascii_digit());
        }
        self.digits_end
    }

    /// The end of the run of hexadecimal digits, of either case, that `at` lies in.
    pub(crate) fn hex_end(&mut self, at: usize) -> usize {
        if at >= self.hex_end {
            self.hex_end = self.run(at, |b| b.is_ascii_hexdigit());
        }
        self.hex_end
    }

    pub(crate) fn run(&self, at: usize, is_in: impl Fn(u8) -> bool) -> usize {
        at + self.bytes[at..].iter().take_while(|b| is_in(**b)).count()
    }

    /// Whether exactly one of the characters around `at` is part of a word.
    pub(crate) fn is_boundary(&self, at: usize) -> bool {
        self.is_word_before(at) != self.is_word(at)
    }

    /// Whether the character at `at` is part of a word.
    pub(crate) fn is_word(&self, at: usize) -> bool {
        match self.bytes.get(at) {
            None => false,
            Some(b) if b.is_ascii() => is_word_byte(*b),
            Some(_) => self.text[at..].chars().next().is_some_and(char::is_alphanumeric),
        }
    }

    pub(crate) fn is_word_before(&self, at: usize) -> bool {
        match at.checked_sub(1).map(|before| self.bytes[before]) {
            None => false,
            Some(b) if b.is_ascii() => is_word_byte(b),
            Some(_) => self.text[..at].chars().next_back().is_some_and(char::is_alphanumeric),
        }
    }

    /// Where a character of white space at `at` ends.
    pub(crate) fn space(&self, at: usize) -> Option<usize> {
        match *self.bytes.get(at)? {
            b' ' | b'\t'..=b'\r' | 0x1c..=0x1f => Some(at + 1),
            0x80.. => {
                let c = self.text[at..].chars().next()?;
                c.is_whitespace().then(|| at + c.len_utf8())
            }
            _ => None,
        }
    }

    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
