//! Who sends: the public key of a DSN, in each of the ways in which clients send it.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use host_event::ProjectId;
use thiserror::Error;

/// The public key of a DSN: 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub u128);

impl PublicKey {
    pub fn parse(text: &str) -> Option<PublicKey> {
        let is_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_hex.then(|| u128::from_str_radix(text, 16).ok().map(PublicKey))?
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a request says of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub key: PublicKey,
    /// `name/version` of the client; empty where it does not say.
    pub client: String,
}

/// The newest version of the protocol, and the only one that is spoken today.
pub const PROTOCOL_VERSION_MAX: u32 = 7;
const CLIENT_CHARS_MAX: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthError {
    #[error(
        "no authorization: send the DSN's key in X-Sentry-Auth, Authorization, the query or the envelope's dsn"
    )]
    Missing,
    #[error("multiple authorization payloads detected")]
    Multiple,
    #[error("authorization can not be read: {0}")]
    Malformed(&'static str),
    #[error("sentry_version is higher than {PROTOCOL_VERSION_MAX}")]
    Version,
    #[error("dsn of the envelope header differs from the request's key or project")]
    Disagree,
}

impl AuthError {
    pub fn status(self) -> u16 {
        match self {
            AuthError::Missing | AuthError::Multiple | AuthError::Malformed(_) => 401,
            AuthError::Version | AuthError::Disagree => 400,
        }
    }

    /// Sentry's reason keys.
    pub fn reason(self) -> &'static str {
        match self {
            AuthError::Version => "auth_version",
            AuthError::Disagree => "multi_project_id",
            _ => "auth_client",
        }
    }
}

/// The places of a request that may hold credentials. A header that came twice stands here twice.
#[derive(Debug, Clone, Default)]
pub struct Places<'a> {
    pub x_sentry_auth: Vec<&'a [u8]>,
    pub authorization: Vec<&'a [u8]>,
    pub query: Option<&'a str>,
}

/// Reads the credentials; `None` if there are none outside of the envelope.
pub fn credentials(places: &Places<'_>) -> Result<Option<Credentials>, AuthError> {
    let mut found = Vec::new();
    for header in &places.x_sentry_auth {
        found.push(
            sentry_pairs(header).ok_or(AuthError::Malformed("X-Sentry-Auth must begin with `Sentry `"))?,
        );
    }
    for header in &places.authorization {
        // Another scheme, such as Bearer, is a proxy's affair.
        if let Some(pairs) = sentry_pairs(header) {
            found.push(pairs);
        } else if let Some(rest) = strip_scheme(header, "basic") {
            found.push(basic(rest)?);
        }
    }
    if let Some(query) = places.query.filter(|q| q.contains("sentry_")) {
        found.push(query_pairs(query));
    }
    match found.len() {
        0 => Ok(None),
        1 => found.swap_remove(0).check().map(Some),
        _ => Err(AuthError::Multiple),
    }
}

/// Key and project of a DSN, `https://KEY[:SECRET]@HOST[/PATH]/PROJECT`.
pub fn parse_dsn(dsn: &str) -> Result<(PublicKey, ProjectId), AuthError> {
    let bad = AuthError::Malformed("dsn is not https://KEY@HOST/PROJECT");
    let (_, rest) = dsn.split_once("://").ok_or(bad)?;
    let (user, rest) = rest.split_once('@').ok_or(bad)?;
    let key = user.split(':').next().and_then(PublicKey::parse).ok_or(bad)?;
    let path = rest.split(['?', '#']).next().unwrap_or(rest).trim_end_matches('/');
    let project = path.rsplit_once('/').and_then(|(_, project)| project.parse().ok()).ok_or(bad)?;
    Ok((key, project))
}

/// The pairs of one payload, unchecked.
#[derive(Default)]
struct Pairs<'a> {
    key: Option<Cow<'a, str>>,
    version: Option<Cow<'a, str>>,
    client: Option<Cow<'a, str>>,
}

impl<'a> Pairs<'a> {
    fn put(&mut self, name: &str, value: Cow<'a, str>) {
        match name {
            "sentry_key" => self.key = Some(value),
            "sentry_version" => self.version = Some(value),
            "sentry_client" => self.client = Some(value),
            _ => {}
        }
    }

    fn check(self) -> Result<Credentials, AuthError> {
        if let Some(version) = &self.version {
            // Old clients write `2.0`.
            let major = version.split('.').next().unwrap_or(version);
            let major: u32 =
                major.parse().map_err(|_| AuthError::Malformed("sentry_version is no number"))?;
            if major > PROTOCOL_VERSION_MAX {
                return Err(AuthError::Version);
            }
        }
        let key = self.key.ok_or(AuthError::Malformed("sentry_key is missing"))?;
        let key =
            PublicKey::parse(&key).ok_or(AuthError::Malformed("sentry_key is not 32 hexadecimal digits"))?;
        let client = self.client.map(|c| c.chars().take(CLIENT_CHARS_MAX).collect()).unwrap_or_default();
        Ok(Credentials { key, client })
    }
}

fn strip_scheme<'a>(header: &'a [u8], scheme: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(header).ok()?.trim_start();
    let (head, rest) = (text.get(..scheme.len())?, text.get(scheme.len()..)?);
    (head.eq_ignore_ascii_case(scheme) && rest.starts_with([' ', '\t'])).then(|| rest.trim())
}

fn sentry_pairs(header: &[u8]) -> Option<Pairs<'_>> {
    let mut pairs = Pairs::default();
    for pair in strip_scheme(header, "sentry")?.split(',') {
        if let Some((name, value)) = pair.split_once('=') {
            pairs.put(name.trim(), Cow::Borrowed(value.trim()));
        }
    }
    Some(pairs)
}

fn basic(encoded: &str) -> Result<Pairs<'static>, AuthError> {
    let bad = AuthError::Malformed("Basic authorization is not base64 of `KEY:`");
    let bytes = STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded)).map_err(|_| bad)?;
    let text = String::from_utf8(bytes).map_err(|_| bad)?;
    let key = text.split(':').next().unwrap_or_default().to_owned();
    Ok(Pairs { key: Some(Cow::Owned(key)), ..Pairs::default() })
}

fn query_pairs(query: &str) -> Pairs<'_> {
    let mut pairs = Pairs::default();
    for pair in query.split('&') {
        if let Some((name, value)) = pair.split_once('=') {
            pairs.put(name, percent_decode(value));
        }
    }
    pairs
}

/// Decodes `%xx` and `+`. Broken escapes stay as they are; bytes that are no UTF-8 become U+FFFD.
pub(crate) fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digit = |i: usize| bytes.get(at + i).and_then(|b| (*b as char).to_digit(16));
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 2;
            }
            (b'+', _, _) => out.push(b' '),
            _ => out.push(*byte),
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn check(x: &[&str], authorization: &[&str], query: &str) -> Result<Option<String>, u16> {
        let places = Places {
            x_sentry_auth: x.iter().map(|h| h.as_bytes()).collect(),
            authorization: authorization.iter().map(|h| h.as_bytes()).collect(),
            query: Some(query),
        };
        match credentials(&places) {
            Ok(found) => Ok(found.map(|c| {
                assert_eq!(c.key.to_string(), KEY);
                c.client
            })),
            Err(e) => Err(e.status()),
        }
    }

    #[test]
    fn every_way_of_saying_who_sends() {
        let sentry = format!("Sentry sentry_version=7, sentry_client=sentry.python/2.75.0,sentry_key={KEY}");
        let no_client = format!("sentry sentry_key={KEY}, sentry_timestamp=1.5");
        let version = |v: &str| format!("Sentry sentry_key={KEY}, sentry_version={v}");
        let basic = format!("Basic {}", STANDARD.encode(format!("{KEY}:")));
        let basic_alone = format!("basic {}", STANDARD_NO_PAD.encode(KEY));
        let query =
            format!("sentry_version=7&sentry_key={KEY}&sentry_client=sentry.javascript.node%2F11.12.0");
        let ok = |client: &str| Ok(Some(client.to_owned()));
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a str, Result<Option<String>, u16>);
        let cases: &[Case<'_>] = &[
            (&[&sentry], &[], "", ok("sentry.python/2.75.0")),
            (&[&no_client], &[], "", ok("")),
            (&[], &[&sentry], "", ok("sentry.python/2.75.0")),
            (&[], &[&basic], "", ok("")),
            (&[], &[&basic_alone], "", ok("")),
            (&[], &[], &query, ok("sentry.javascript.node/11.12.0")),
            (&[], &["Bearer abc"], &query, ok("sentry.javascript.node/11.12.0")),
            (&[&version("7.0")], &[], "", ok("")),
            (&[&version("2.0")], &[], "", ok("")),
            (&[], &[], "", Ok(None)),
            (&[], &[], "a=b", Ok(None)),
            (&[], &["Bearer abc"], "", Ok(None)),
            (&[&sentry, &sentry], &[], "", Err(401)),
            (&[&sentry], &[], &query, Err(401)),
            (&[&sentry], &[&basic], "", Err(401)),
            (&[&version("8")], &[], "", Err(400)),
            (&[&version("x")], &[], "", Err(401)),
            (&["Sentry sentry_version=7"], &[], "", Err(401)),
            (&["Sentry sentry_key=abc"], &[], "", Err(401)),
            (&["Sentry"], &[], "", Err(401)),
            (&[KEY], &[], "", Err(401)),
            (&[], &["Basic !!"], "", Err(401)),
            (&[], &[], "sentry_version=7", Err(401)),
        ];
        for (x, authorization, query, want) in cases {
            assert_eq!(&check(x, authorization, query), want, "{x:?} {authorization:?} {query}");
        }
    }

    #[test]
    fn dsns() {
        let key = PublicKey::parse(KEY).unwrap();
        for (dsn, want) in [
            (format!("https://{KEY}@o1.ingest.example.com/42"), Ok((key, 42))),
            (format!("http://{KEY}:secret@127.0.0.1:9000/a/b/7/"), Ok((key, 7))),
            (format!("https://{KEY}@host/"), Err(401)),
            ("https://abc@host/1".to_owned(), Err(401)),
            ("nonsense".to_owned(), Err(401)),
        ] {
            assert_eq!(parse_dsn(&dsn).map_err(AuthError::status), want, "{dsn}");
        }
    }

    #[test]
    fn percent_escapes() {
        for (text, want) in [("a%2Fb+c", "a/b c"), ("%", "%"), ("%zz%4", "%zz%4"), ("%c3%a9", "\u{e9}")] {
            assert_eq!(percent_decode(text), want);
        }
    }
}
