//! Finds what rules are about in one pass over a text.
//!
//! Two tables say for each byte, with the one behind it, whether something can begin, or be recognised, there: `@` for an e-mail address, `:` for a MAC or IPv6
//! address or credentials in a URL, a digit for numbers of every kind. All other bytes cost one look into the tables. What these
//! stop at is checked by hand-written code that looks a bounded way around, or goes on behind what it found, so that no text
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

/// A set of kinds, and the tables for it.
#[derive(Debug, Clone)]
pub struct Scanner {
    kinds: u16,
    /// A byte is looked at if it and the one behind it have a bit in common: a `b` is of interest if an `e` follows it.
    first: Box<[u8; 256]>,
    second: Box<[u8; 256]>,
    /// Whether all stops are in `RANGE`, or a `b`, so that eight bytes can be compared at once.
    is_plain: bool,
}

/// The first and the last of the bytes among which most stops are.
const RANGE: (u8, u8) = (b'-', b'@');

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
        let mut scanner =
            Scanner { kinds, first: Box::new([0; 256]), second: Box::new([0; 256]), is_plain: false };
        // Which bit, for which kinds, the bytes to stop at, and what has to follow them; nothing is anything.
        #[expect(clippy::type_complexity, reason = "a table, read once")]
        let stops: [(u8, &[Kind], &[u8], &[u8]); 9] = [
            (1, &[Kind::Email], b"@", b""),
            (1, &[Kind::Ip, Kind::Mac, Kind::UrlAuth, Kind::Pair], b":", b""),
            (1, &[Kind::Pair], b"=", b""),
            (1, &[Kind::UserPath], b"/\\", b""),
            (1, &[Kind::Uuid, Kind::Mac], b"-", b""),
            (1, &[Kind::Uuid], b"0123456789abcdefABCDEF", b""),
            (2, &[Kind::Ip, Kind::CreditCard, Kind::Iban, Kind::Imei, Kind::UsSsn], DIGITS, b"0123456789.- "),
            (4, &[Kind::PemKey], b"-", b"-"),
            (8, &[Kind::Bearer], b"Bb", b"Ee"),
        ];
        scanner.second.fill(1);
        for (bit, kinds, bytes, next) in stops {
            if kinds.iter().any(|kind| scanner.looks_for(*kind)) {
                bytes.iter().for_each(|b| scanner.first[usize::from(*b)] |= bit);
                next.iter().for_each(|b| scanner.second[usize::from(*b)] |= bit);
            }
        }
        let is_near = |b: u8| (RANGE.0..=RANGE.1).contains(&b) || matches!(b, b'b' | b'B');
        scanner.is_plain = (0..=u8::MAX).all(|b| scanner.first[usize::from(b)] == 0 || is_near(b));
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
        if text.len() < 8 {
            while at < text.len() {
                at = match self.stops(text[at], byte(text, at + 1)) {
                    false => at + 1,
                    true => self.look(text, at, &mut is_secret, &mut found),
                };
            }
            return;
        }
        while at < text.len() {
            // The last eight bytes may overlap those before.
            let begin = at.min(text.len() - 8);
            let Some(chunk) = text[begin..].first_chunk::<8>() else { return };
            let mut bits = self.candidates(*chunk);
            let mut free = at;
            while bits != 0 {
                let stop = begin + bits.trailing_zeros() as usize / 8;
                bits &= bits - 1;
                if stop >= free && self.stops(text[stop], byte(text, stop + 1)) {
                    free = self.look(text, stop, &mut is_secret, &mut found);
                }
            }
            at = free.max(begin + 8);
        }
    }

    /// The high bit of each byte that may be a stop, found without a branch for every byte.
    #[inline]
    fn candidates(&self, chunk: [u8; 8]) -> u64 {
        if !self.is_plain {
            let bit = |i: usize| u64::from(self.first[usize::from(chunk[i])] != 0) << (8 * i + 7);
            return (0..8).fold(0, |bits, i| bits | bit(i));
        }
        const EACH: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x80 * EACH;
        let text = u64::from_le_bytes(chunk);
        let low = text & !HIGH;
        // In a byte with seven bits, adding `128 - n` sets the high bit if it is `n` or more.
        let in_range =
            (low + (0x80 - u64::from(RANGE.0)) * EACH) & !(low + (0x7f - u64::from(RANGE.1)) * EACH);
        let is_b = !(((low | (0x20 * EACH)) ^ (u64::from(b'b') * EACH)) + 0x7f * EACH);
        (in_range | is_b) & !text & HIGH
    }

    #[inline]
    fn stops(&self, first: u8, second: u8) -> bool {
        self.first[usize::from(first)] & self.second[usize::from(second)] != 0
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
                if byte(text, at + 1) == b'-' {
                    give(Kind::PemKey, places::pem_key(text, at));
                }
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
                if matches!(letter, b'B' | b'b') && matches!(byte(text, at + 1), b'E' | b'e') {
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

const DIGITS: &[u8] = b"0123456789";

#[cfg(test)]
mod tests;
