//! Keys that name secrets, and fields that are exempt.

use regex::Regex;

/// Keys whose values are secrets, wherever the word stands in the key.
const WORDS: [&str; 20] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "api_key",
    "api-key",
    "apikey",
    "auth",
    "credentials",
    "mysql_pwd",
    "private_key",
    "private-key",
    "privatekey",
    "token",
    "csrf",
    "xsrf",
    "sessionid",
    "card[number]",
    "http.request.header.cookie",
    "http.request.header.set-cookie",
];
/// Keys that are secrets only as a whole: they are too short to be looked for within others.
const WHOLE_KEYS: [&str; 3] = ["otp", "two-factor", "two_factor"];

/// What a key must be like to name a secret.
#[derive(Debug, Clone)]
pub enum KeyTest {
    Words(Words),
    Regex(Regex),
}

/// Words, found in any key that contains one of them, in either case.
#[derive(Debug, Clone)]
pub struct Words {
    /// In order, so that those with the same first byte are side by side.
    words: Vec<Box<[u8]>>,
    /// For each byte, the words that begin with it in either case, as a range of `words`: most bytes of most keys begin none.
    begins: Box<[(u16, u16); 256]>,
    whole_keys: &'static [&'static str],
}

impl KeyTest {
    /// The words that everybody means.
    pub fn common() -> KeyTest {
        KeyTest::Words(Words::new(WORDS.iter().map(|w| (*w).to_owned()), &WHOLE_KEYS))
    }

    pub fn words(words: impl Iterator<Item = String>) -> KeyTest {
        KeyTest::Words(Words::new(words, &[]))
    }

    /// Whether a value below this path is meant: any of its keys may be the telling one.
    pub fn matches_path(&self, path: &str) -> bool {
        match self {
            KeyTest::Words(words) => {
                words.are_in(path.as_bytes()) || segments(path).iter().any(|key| words.are(key.as_bytes()))
            }
            KeyTest::Regex(regex) => segments(path).iter().any(|key| regex.is_match(key)),
        }
    }

    pub fn matches_key(&self, key: &[u8]) -> bool {
        match self {
            KeyTest::Words(words) => words.are_in(key) || words.are(key),
            KeyTest::Regex(regex) => std::str::from_utf8(key).is_ok_and(|key| regex.is_match(key)),
        }
    }
}

impl Words {
    fn new(words: impl Iterator<Item = String>, whole_keys: &'static [&'static str]) -> Words {
        let mut words: Vec<Box<[u8]>> = words.map(|w| w.to_ascii_lowercase().into_bytes().into()).collect();
        words.sort_unstable();
        words.truncate(usize::from(u16::MAX));
        let mut begins = Box::new([(0, 0); 256]);
        for (at, word) in (0u16..).zip(&words) {
            for first in word.first().into_iter().flat_map(|b| [*b, b.to_ascii_uppercase()]) {
                let (from, to) = &mut begins[usize::from(first)];
                *from = if *to == 0 { at } else { *from };
                *to = at + 1;
            }
        }
        Words { words, begins, whole_keys }
    }

    fn are_in(&self, key: &[u8]) -> bool {
        key.iter().enumerate().any(|(at, first)| {
            let (from, to) = self.begins[usize::from(*first)];
            let words = &self.words[usize::from(from)..usize::from(to)];
            let rest = &key[at..];
            words.iter().any(|w| {
                // The second byte tells most of them apart, without a loop.
                let second = |text: &[u8]| text.get(1).map(u8::to_ascii_lowercase);
                (w.len() < 2 || second(w) == second(rest))
                    && rest.get(..w.len()).is_some_and(|part| part.eq_ignore_ascii_case(w))
            })
        })
    }

    fn are(&self, key: &[u8]) -> bool {
        self.whole_keys.iter().any(|whole| key.eq_ignore_ascii_case(whole.as_bytes()))
    }
}

/// Whether a number under this path counts tokens of a language model instead of being one.
pub fn counts_tokens(path: &str) -> bool {
    ["_tokens", "tokens.", "Tokens"].iter().any(|part| path.contains(part))
}

/// A field that the defaults leave alone, with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption(Vec<String>);

impl Exemption {
    /// A key, or some of a path with dots in it; `None` for nothing at all.
    pub fn parse(field: &str) -> Option<Exemption> {
        let field = field.trim();
        let field = field.strip_prefix("**.").unwrap_or(field);
        let keys = segments(field.strip_suffix(".**").unwrap_or(field));
        (!keys.iter().all(String::is_empty)).then_some(Exemption(keys))
    }

    pub fn covers(&self, path: &[String]) -> bool {
        let same = |(want, key): (&String, &String)| want == "*" || want.eq_ignore_ascii_case(key);
        path.windows(self.0.len()).any(|part| self.0.iter().zip(part).all(same))
    }
}

/// The keys of a path, without quotes.
pub fn segments(path: &str) -> Vec<String> {
    let (mut all, mut key, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => quoted = !quoted,
            '\\' if quoted => key.extend(chars.next()),
            '.' if !quoted => all.push(std::mem::take(&mut key)),
            c => key.push(c),
        }
    }
    all.push(key);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_by_key() {
        let common = KeyTest::common();
        for path in [
            "extra.password",
            "extra.db_PASSWORD_old",
            "extra.apiKey",
            "request.headers.X-Api-Key",
            "request.headers.Authorization",
            "extra.a.token.*.b",
            "extra.otp",
            "extra.'two-factor'",
            "attributes.'http.request.header.cookie.x'.value",
        ] {
            assert!(common.matches_path(path), "{path}");
        }
        for path in ["extra.pass", "extra.otp_length", "extra.key", "extra.option", "user.id", ""] {
            assert!(!common.matches_path(path), "{path}");
        }
        let own = KeyTest::words(["Kitten".to_owned()].into_iter());
        assert!(own.matches_key(b"my_kittens") && !own.matches_key(b"token"));
    }

    #[test]
    fn exemptions() {
        let path = |text: &str| segments(text);
        let covers = |field: &str, of: &str| Exemption::parse(field).unwrap().covers(&path(of));
        assert!(covers("Token", "extra.token") && covers("token", "extra.token.*.inner"));
        assert!(covers("extra.token", "extra.token") && covers("**.'a.b'.**", "extra.'a.b'.c"));
        assert!(covers("extra.*.c", "extra.x.c"));
        assert!(!covers("token", "extra.tokens") && !covers("a.b", "a.x.b"));
        assert_eq!(
            [Exemption::parse(""), Exemption::parse("  "), Exemption::parse("**.")],
            [None, None, None]
        );
    }
}
