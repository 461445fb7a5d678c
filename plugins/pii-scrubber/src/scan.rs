//! Finds what rules are about in one pass over a text.
//!
//! A table says for each byte whether something can begin, or be recognised, there: `@` for an e-mail address, `:` for a MAC or IPv6
//! address or credentials in a URL, a digit for numbers of every kind. All other bytes cost one look into the table. What the table
//! stops at is checked by hand-written code that looks a bounded way around, or goes on behind what it found, so that no text
//! takes more than linear time.

mod numbers;
mod pairs;
mod places;

/// What is found by looking at text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    Email,
    Ip,
    CreditCard,
    Iban,
    Imei,
    Mac,
    Uuid,
    UserPath,
    PemKey,
    UrlAuth,
    UsSsn,
    Bearer,
    /// The value of a pair whose key names a secret.
    Pair,
}

impl Kind {
    pub const ALL: [Kind; 13] = [
        Kind::Email,
        Kind::Ip,
        Kind::CreditCard,
        Kind::Iban,
        Kind::Imei,
        Kind::Mac,
        Kind::Uuid,
        Kind::UserPath,
        Kind::PemKey,
        Kind::UrlAuth,
        Kind::UsSsn,
        Kind::Bearer,
        Kind::Pair,
    ];

    fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// A set of kinds, and the table for it.
#[derive(Debug, Clone)]
pub struct Scanner {
    kinds: u16,
    stops: Box<[bool; 256]>,
}

/// Something found in a text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

impl Scanner {
    pub fn new(kinds: impl IntoIterator<Item = Kind>) -> Scanner {
        let kinds = kinds.into_iter().fold(0, |bits, kind| bits | kind.bit());
        let mut scanner = Scanner { kinds, stops: Box::new([false; 256]) };
        let stops: [(&[Kind], &[u8]); 8] = [
            (&[Kind::Email], b"@"),
            (&[Kind::Ip, Kind::Mac, Kind::UrlAuth, Kind::Pair], b":"),
            (&[Kind::Pair], b"="),
            (&[Kind::Ip, Kind::CreditCard, Kind::Iban, Kind::Imei, Kind::UsSsn, Kind::Uuid], b"0123456789"),
            (&[Kind::Uuid], b"abcdefABCDEF"),
            (&[Kind::Uuid, Kind::PemKey, Kind::Mac], b"-"),
            (&[Kind::UserPath], b"/\\"),
            (&[Kind::Bearer], b"Bb"),
        ];
        for (kinds, bytes) in stops {
            if kinds.iter().any(|kind| scanner.looks_for(*kind)) {
                bytes.iter().for_each(|b| scanner.stops[usize::from(*b)] = true);
            }
        }
        scanner
    }

    pub fn is_idle(&self) -> bool {
        self.kinds == 0
    }

    fn looks_for(&self, kind: Kind) -> bool {
        self.kinds & kind.bit() != 0
    }

    /// Gives every match, ordered by where it was recognised. Matches of different kinds may overlap. `is_secret` is asked of
    /// the keys of pairs.
    pub fn scan(&self, text: &[u8], mut is_secret: impl FnMut(&[u8]) -> bool, mut found: impl FnMut(Match)) {
        let mut at = 0;
        while at < text.len() {
            if let Some(chunk) = text.get(at..at + 8)
                && !chunk.iter().fold(false, |any, b| any | self.stops[usize::from(*b)])
            {
                at += 8;
                continue;
            }
            let stop_before = text.len().min(at + 8);
            while at < stop_before {
                at = if self.stops[usize::from(text[at])] {
                    self.look(text, at, &mut is_secret, &mut found)
                } else {
                    at + 1
                };
            }
        }
    }

    /// Looks at what the byte `at` may be part of and says where to go on.
    fn look(
        &self,
        text: &[u8],
        at: usize,
        is_secret: &mut impl FnMut(&[u8]) -> bool,
        found: &mut impl FnMut(Match),
    ) -> usize {
        let mut go_on = at + 1;
        let mut give = |kind, range: Option<(usize, usize)>| {
            let Some((start, end)) = range.filter(|_| self.looks_for(kind)) else { return };
            found(Match { kind, start, end });
            go_on = go_on.max(end);
        };
        if matches!(text[at], b':' | b'=') && self.looks_for(Kind::Pair) {
            let secret = pairs::key(text, at).filter(|(start, end)| is_secret(&text[*start..*end]));
            give(Kind::Pair, secret.and_then(|_| pairs::value(text, at)));
        }
        match text[at] {
            b'@' => give(Kind::Email, places::email(text, at)),
            b':' => {
                give(Kind::UrlAuth, places::url_auth(text, at));
                if self.looks_for(Kind::Mac) {
                    give(Kind::Mac, places::mac(text, at));
                }
                if self.looks_for(Kind::Ip) {
                    give(Kind::Ip, places::ipv6(text, at));
                }
            }
            b'-' => {
                give(Kind::PemKey, places::pem_key(text, at));
                if self.looks_for(Kind::Uuid) {
                    give(Kind::Uuid, places::uuid(text, at));
                }
                if self.looks_for(Kind::Mac) {
                    give(Kind::Mac, places::mac(text, at));
                }
            }
            b'/' | b'\\' => give(Kind::UserPath, places::user_path(text, at)),
            b'=' => {}
            b'0'..=b'9' => {
                let end = numbers::run_end(text, at);
                self.look_at_number(text, at, end, &mut give);
                go_on = go_on.max(end);
            }
            letter => {
                if matches!(letter, b'B' | b'b') {
                    give(Kind::Bearer, places::bearer(text, at));
                }
                if self.looks_for(Kind::Uuid) && begins_word(text, at) {
                    give(Kind::Uuid, numbers::bare_uuid(text, at));
                }
            }
        }
        go_on
    }

    /// Most numbers are nothing, and their length and what follows them say so.
    fn look_at_number(
        &self,
        text: &[u8],
        at: usize,
        end: usize,
        give: &mut impl FnMut(Kind, Option<(usize, usize)>),
    ) {
        let (length, behind) = (end - at, byte(text, end));
        if self.looks_for(Kind::Iban) && at > 1 && text[at - 1].is_ascii_uppercase() {
            give(Kind::Iban, numbers::iban(text, at));
        }
        if self.looks_for(Kind::Uuid) && begins_word(text, at) {
            give(Kind::Uuid, numbers::bare_uuid(text, at));
        }
        let may_go_on = matches!(behind, b' ' | b'-') && byte(text, end + 1).is_ascii_digit();
        let is_address = length < 4 && behind == b'.';
        if (!may_go_on && !is_address && length < numbers::CARD_DIGITS_MIN)
            || !numbers::is_run_start(text, at)
        {
            return;
        }
        if is_address && self.looks_for(Kind::Ip) {
            give(Kind::Ip, numbers::ipv4(text, at));
        }
        if length == 3 && behind == b'-' && self.looks_for(Kind::UsSsn) {
            give(Kind::UsSsn, numbers::us_ssn(text, at));
        }
        if self.looks_for(Kind::CreditCard) {
            give(Kind::CreditCard, numbers::credit_card(text, at));
        }
        if self.looks_for(Kind::Imei) {
            give(Kind::Imei, numbers::imei(text, at));
        }
    }
}

fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// Whether nothing that could belong to a word stands in front of `at`.
fn begins_word(text: &[u8], at: usize) -> bool {
    at == 0 || !is_word(text[at - 1])
}

fn ends_word(text: &[u8], end: usize) -> bool {
    !is_word(byte(text, end))
}

/// Letters of other scripts belong to no word here: in some of them nothing stands between a number and the text around it.
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

#[cfg(test)]
mod tests;
