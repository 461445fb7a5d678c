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
    words: Vec<Box<[u8]>>,
    /// Whether a word begins with this byte, in either case: most bytes of most keys begin none.
    begins: Box<[bool; 256]>,
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
                words.are_in(path.as_bytes()) || segments(path).iter().any(|key| words.are(key))
            }
            KeyTest::Regex(regex) => segments(path).iter().any(|key| regex.is_match(key)),
        }
    }

    pub fn matches_key(&self, key: &[u8]) -> bool {
        match self {
            KeyTest::Words(words) => {
                words.are_in(key) || std::str::from_utf8(key).is_ok_and(|key| words.are(key))
            }
            KeyTest::Regex(regex) => std::str::from_utf8(key).is_ok_and(|key| regex.is_match(key)),
        }
    }
}

impl Words {
    fn new(words: impl Iterator<Item = String>, whole_keys: &'static [&'static str]) -> Words {
        let words: Vec<Box<[u8]>> = words.map(|w| w.to_ascii_lowercase().into_bytes().into()).collect();
        let mut begins = Box::new([false; 256]);
        for first in words.iter().filter_map(|w| w.first()) {
            begins[usize::from(*first)] = true;
            begins[usize::from(first.to_ascii_uppercase())] = true;
        }
        Words { words, begins, whole_keys }
    }

    fn are_in(&self, key: &[u8]) -> bool {
        (0..key.len()).filter(|at| self.begins[usize::from(key[*at])]).any(|at| {
            let rest = &key[at..];
            self.words.iter().any(|w| rest.get(..w.len()).is_some_and(|part| part.eq_ignore_ascii_case(w)))
        })
    }

    fn are(&self, key: &str) -> bool {
        self.whole_keys.iter().any(|whole| key.eq_ignore_ascii_case(whole))
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
