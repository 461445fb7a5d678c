//! Globs: `*` (and `**`) is any text, `?` one character, `[a-z]` and `[!a-z]` one of a set, `{a,b}` one of these texts.
//!
//! A pattern is cut at its stars. Its pieces are found from left to right, each at the first place there is: a star
//! takes whatever lies between, so the first place is as good as any, and nothing is ever tried twice. That is linear
//! in the text, where the obvious backtracking is exponential in the number of stars.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem::Finder;
use serde::de::{Deserialize, Deserializer, Error as _};

/// Bytes of one pattern.
const PATTERN_BYTES_MAX: usize = 4096;
/// Patterns that the braces of one pattern may stand for.
const ALTERNATIVES_MAX: usize = 256;

/// One pattern, as the user wrote it.
#[derive(Debug, Clone)]
pub struct Glob {
    ignore_case: bool,
    /// One for each combination of what the braces hold.
    patterns: Vec<Pattern>,
}

/// Several patterns, of which one must match.
#[derive(Debug, Clone, Default)]
pub struct Globs {
    globs: Vec<Glob>,
    /// Whether any of them needs the text in lower case.
    ignore_case: bool,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobError {
    pattern: String,
    what: String,
}

#[derive(Debug, Clone)]
struct Pattern {
    /// What must stand before, between and behind the stars. One piece is a pattern without stars.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(Box<Finder<'static>>),
    /// Characters of which some are not fixed.
    Chars(Vec<One>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum One {
    Char(char),
    Any,
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl fmt::Display for GlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pattern {:?}: {}", self.pattern, self.what)
    }
}

impl std::error::Error for GlobError {}

impl Glob {
    pub fn parse(text: &str, ignore_case: bool) -> Result<Glob, GlobError> {
        let fail = |what: String| GlobError { pattern: text.chars().take(200).collect(), what };
        if text.len() > PATTERN_BYTES_MAX {
            return Err(fail(format!("longer than {PATTERN_BYTES_MAX} bytes")));
        }
        let text = if ignore_case { lower(text) } else { text.into() };
        let patterns = expand(&text).map_err(fail)?;
        let patterns = patterns.iter().map(|p| Pattern::parse(p)).collect::<Result<_, _>>().map_err(fail)?;
        Ok(Glob { ignore_case, patterns })
    }

    pub fn matches(&self, text: &str) -> bool {
        match self.ignore_case {
            true => self.matches_prepared(&lower(text)),
            false => self.matches_prepared(text),
        }
    }

    fn matches_prepared(&self, text: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(text))
    }

    /// How much of the text the pattern fixes: of two patterns that match, the one that fixes more is the more specific.
    pub fn fixed_chars(&self) -> usize {
        self.patterns.iter().map(Pattern::fixed_chars).max().unwrap_or_default()
    }
}

impl Globs {
    pub fn parse<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        ignore_case: bool,
    ) -> Result<Globs, GlobError> {
        let globs = texts.into_iter().map(|t| Glob::parse(t, ignore_case)).collect::<Result<Vec<_>, _>>()?;
        Ok(Globs { ignore_case: ignore_case && !globs.is_empty(), globs })
    }

    pub fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    #[inline]
    pub fn matches(&self, text: &str) -> bool {
        if self.globs.is_empty() {
            return false;
        }
        let text = if self.ignore_case { lower(text) } else { text.into() };
        self.globs.iter().any(|glob| glob.matches_prepared(&text))
    }

    /// Whether a pattern matches `front` and `back` together, or `back` alone. `scratch` is memory to work in.
    pub fn match_with_front(&self, front: &str, back: &str, scratch: &mut String) -> bool {
        scratch.clear();
        push_lower_if(self.ignore_case, front, scratch);
        let start = scratch.len();
        push_lower_if(self.ignore_case, back, scratch);
        let (whole, back) = (scratch.as_str(), &scratch[start..]);
        let mut patterns = self.globs.iter().flat_map(|glob| &glob.patterns);
        // What begins with a star and matches the back matches the whole.
        patterns.any(|p| p.matches(whole) || (start > 0 && !p.begins_with_star() && p.matches(back)))
    }
}

/// Patterns in a configuration are compared without regard to case.
impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Glob, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        Glob::parse(&text, true).map_err(D::Error::custom)
    }
}

/// A list of patterns, compared without regard to case.
impl<'de> Deserialize<'de> for Globs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Globs, D::Error> {
        let globs = Vec::<Glob>::deserialize(from)?;
        Ok(Globs { ignore_case: !globs.is_empty(), globs })
    }
}

/// In lower case; the text itself if it already is.
pub(crate) fn lower(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|b| b.is_ascii_uppercase() || b >= 0x80) {
        false => Cow::Borrowed(text),
        true if text.is_ascii() => Cow::Owned(text.to_ascii_lowercase()),
        true => Cow::Owned(text.to_lowercase()),
    }
}

fn push_lower_if(ignore_case: bool, text: &str, out: &mut String) {
    let start = out.len();
    match ignore_case && !text.is_ascii() {
        true => out.push_str(&text.to_lowercase()),
        false => out.push_str(text),
    }
    if ignore_case {
        out[start..].make_ascii_lowercase();
    }
}

/// The patterns without braces that a pattern with braces stands for. Braces without a comma are text, so that route templates
/// such as `/users/{id}` mean themselves.
fn expand(text: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(text) = open.pop() {
        let Some((start, end, commas)) = first_choice(&text)? else {
            done.push(text);
            continue;
        };
        let mut from = start + 1;
        for to in commas.into_iter().chain([end]) {
            open.push(format!("{}{}{}", &text[..start], &text[from..to], &text[end + 1..]));
            from = to + 1;
        }
        if open.len() + done.len() > ALTERNATIVES_MAX {
            return Err(format!("its braces stand for more than {ALTERNATIVES_MAX} patterns"));
        }
    }
    Ok(done)
}

/// The first pair of braces with a comma in it: where it opens, closes, and has its commas.
fn first_choice(text: &str) -> Result<Option<(usize, usize, Vec<usize>)>, String> {
    let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut found: Option<(usize, usize, Vec<usize>)> = None;
    let (mut escaped, mut in_set) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_set = true,
            ']' => in_set = false,
            _ if in_set => {}
            '{' => open.push((at, Vec::new())),
            ',' => open.last_mut().into_iter().for_each(|(_, commas)| commas.push(at)),
            '}' => {
                let (start, commas) = open.pop().ok_or("`}` without `{`; write `\\}` for the character")?;
                let is_first = found.as_ref().is_none_or(|(first, ..)| start < *first);
                if !commas.is_empty() && is_first {
                    found = Some((start, at, commas));
                }
            }
            _ => {}
        }
    }
    match open.is_empty() {
        true => Ok(found),
        false => Err("`{` is not closed; write `\\{` for the character".into()),
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, String> {
        let mut pieces = Vec::new();
        let mut piece = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            piece.push(match c {
                '*' => {
                    pieces.push(Piece::of(std::mem::take(&mut piece)));
                    continue;
                }
                '?' => One::Any,
                '[' => set(&mut chars)?,
                '\\' => One::Char(chars.next().ok_or("`\\` at the end")?),
                c => One::Char(c),
            });
        }
        pieces.push(Piece::of(piece));
        Ok(Pattern { pieces })
    }

    fn matches(&self, text: &str) -> bool {
        let (first, rest) = self.pieces.split_first().expect("a pattern has a piece");
        let Some((last, middle)) = rest.split_last() else {
            return first.at_start(text) == Some(text.len());
        };
        let Some(mut from) = first.at_start(text) else { return false };
        for piece in middle {
            match piece.find(&text[from..]) {
                Some(end) => from += end,
                None => return false,
            }
        }
        last.at_end(&text[from..])
    }

    fn begins_with_star(&self) -> bool {
        self.pieces.len() > 1 && matches!(&self.pieces[0], Piece::Text(text) if text.needle().is_empty())
    }

    fn fixed_chars(&self) -> usize {
        let fixed = |piece: &Piece| match piece {
            Piece::Text(finder) => String::from_utf8_lossy(finder.needle()).chars().count(),
            Piece::Chars(ones) => ones.iter().filter(|one| matches!(one, One::Char(_))).count(),
        };
        self.pieces.iter().map(fixed).sum()
    }
}

fn set(chars: &mut std::str::Chars<'_>) -> Result<One, String> {
    const NOT_CLOSED: &str = "`[` is not closed; write `\\[` for the character";
    let mut ranges = Vec::new();
    let mut rest = chars.clone();
    let negated = rest.next().is_some_and(|c| matches!(c, '!' | '^'));
    if negated {
        *chars = rest;
    }
    let mut is_first = true;
    loop {
        let from = match chars.next().ok_or(NOT_CLOSED)? {
            ']' if !is_first => return Ok(One::Set { negated, ranges }),
            '\\' => chars.next().ok_or(NOT_CLOSED)?,
            c => c,
        };
        is_first = false;
        let mut rest = chars.clone();
        let to = match (rest.next(), rest.next()) {
            (Some('-'), Some(to)) if to != ']' => {
                *chars = rest;
                to
            }
            _ => from,
        };
        if to < from {
            return Err(format!("the range `{from}-{to}` is empty"));
        }
        ranges.push((from, to));
    }
}

impl One {
    fn matches(&self, c: char) -> bool {
        match self {
            One::Char(one) => *one == c,
            One::Any => true,
            One::Set { negated, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated
            }
        }
    }
}

impl Piece {
    fn of(ones: Vec<One>) -> Piece {
        let text: Option<String> =
            ones.iter().map(|one| if let One::Char(c) = one { Some(*c) } else { None }).collect();
        match text {
            Some(text) => Piece::Text(Box::new(Finder::new(text.as_bytes()).into_owned())),
            None => Piece::Chars(ones),
        }
    }

    /// Where the piece ends if it stands at the start.
    fn at_start(&self, text: &str) -> Option<usize> {
        match self {
            Piece::Text(finder) => {
                text.as_bytes().starts_with(finder.needle()).then(|| finder.needle().len())
            }
            Piece::Chars(ones) => {
                let mut chars = text.chars();
                ones.iter().all(|one| chars.next().is_some_and(|c| one.matches(c))).then_some(())?;
                Some(text.len() - chars.as_str().len())
            }
        }
    }

    fn at_end(&self, text: &str) -> bool {
        match self {
            Piece::Text(finder) => text.as_bytes().ends_with(finder.needle()),
            Piece::Chars(ones) => {
                let mut chars = text.chars();
                ones.iter().rev().all(|one| chars.next_back().is_some_and(|c| one.matches(c)))
            }
        }
    }

    /// Where the first place of the piece ends.
    fn find(&self, text: &str) -> Option<usize> {
        match self {
            Piece::Text(finder) => Some(finder.find(text.as_bytes())? + finder.needle().len()),
            Piece::Chars(_) => text.char_indices().find_map(|(at, _)| Some(at + self.at_start(&text[at..])?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("1.2.3", &["1.2.3"], &["1.2.30", "11.2.3", ""]),
            ("*", &["", "anything", "a/b"], &[]),
            ("**", &["", "a/b"], &[]),
            ("/api/*", &["/api/", "/api/x/y"], &["/api", "x/api/"]),
            ("*.py", &["a.py", ".py"], &["a.pyc"]),
            ("a*b*c", &["abc", "a-b-b-c", "abcc"], &["acb", "ab", "a"]),
            ("*aab*", &["aaab", "xaabx"], &["aba"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("v?.[0-9]", &["v1.2", "vé.0"], &["v1.x", "v.1", "v11.1"]),
            ("[!a-c]x", &["dx", "]x"], &["ax", "x"]),
            ("[]x]", &["]", "x"], &["["]),
            ("*[0-9]?z*", &["a1bz-", "11z"], &["1z", "abz"]),
            ("{a,b*}.js", &["a.js", "b.js", "bcd.js"], &["c.js", "ab.js"]),
            ("x{1,{2,3}y,}", &["x1", "x2y", "x3y", "x"], &["x2", "x3"]),
            ("/users/{id}", &["/users/{id}"], &["/users/id", "/users/7"]),
            (r"\{a,b\}", &["{a,b}"], &["a", "b"]),
            (r"\*\?", &["*?"], &["ab"]),
            ("ÄÖ*", &["äöx", "ÄÖ"], &["ao"]),
            ("ERROR*[A-F]", &["error: d", "Error: D"], &["error: x"]),
            ("", &[""], &["x"]),
        ];
        for (pattern, yes, no) in cases {
            let glob = Glob::parse(pattern, true).unwrap();
            for text in *yes {
                assert!(glob.matches(text), "{pattern} {text}");
            }
            for text in *no {
                assert!(!glob.matches(text), "{pattern} {text}");
            }
        }
        assert!(!Glob::parse("A*", false).unwrap().matches("ab"));
        assert!(Glob::parse("A*", false).unwrap().matches("Ab"));
        assert!(!Globs::default().matches(""));
    }

    #[test]
    fn refused() {
        for (pattern, what) in [
            ("{a,b", "`{` is not closed; write `\\{` for the character"),
            ("a}", "`}` without `{`; write `\\}` for the character"),
            ("[a", "`[` is not closed; write `\\[` for the character"),
            ("[z-a]", "the range `z-a` is empty"),
            ("a\\", "`\\` at the end"),
            (&"{0,1}".repeat(9), "its braces stand for more than 256 patterns"),
        ] {
            let error = Glob::parse(pattern, false).unwrap_err();
            assert_eq!(error.to_string(), format!("pattern {pattern:?}: {what}"));
        }
    }

    #[test]
    fn fronts() {
        for (pattern, want) in [
            ("*bad*", true),
            ("*: bad*", true),
            ("valueerror: bad thing", true),
            ("BAD THING", true),
            ("bad*", true),
            ("value*", true),
            ("ValueError", false),
            ("*x*", false),
        ] {
            let globs = Globs::parse([pattern], true).unwrap();
            let mut scratch = "left over".to_owned();
            assert_eq!(globs.match_with_front("ValueError: ", "Bad Thing", &mut scratch), want, "{pattern}");
        }
        let globs = Globs::parse(["É!"], true).unwrap();
        assert!(globs.match_with_front("İ", "é!", &mut String::new()));
    }

    #[test]
    fn more_specific() {
        let fixed = |p: &str| Glob::parse(p, true).unwrap().fixed_chars();
        assert_eq!((fixed("*"), fixed("/a/*"), fixed("/a/b[0-9]?"), fixed("{a,bcd}x")), (0, 3, 4, 4));
    }

    /// The same by trying everything, over characters.
    fn slowly(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skip| slowly(rest, &text[skip..])),
            Some(('?', rest)) => !text.is_empty() && slowly(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && slowly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn as_if_by_trying_everything(pattern in "[ab*?é]{0,8}", text in "[abé]{0,12}") {
            let chars = |t: &str| t.chars().collect::<Vec<_>>();
            let glob = Glob::parse(&pattern, false).unwrap();
            prop_assert_eq!(glob.matches(&text), slowly(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn any_text_is_parsed_or_refused(pattern in r"[ab*?\[\]{},\\!^-]{0,16}", text in "[ab,]{0,6}") {
            if let Ok(glob) = Glob::parse(&pattern, true) {
                glob.matches(&text);
            }
        }
    }
}
