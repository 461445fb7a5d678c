//! From text to tape. It does not recurse, so depth costs a limit and not the stack.

use super::{Kind, Node, ParseError, hex4};
use crate::limits::{JSON_DEPTH_MAX, JSON_NODES_MAX};

/// A part of the text that is to be replaced before anything else is done.
pub(super) struct Amend {
    start: usize,
    end: usize,
    by: &'static [u8],
}

pub(super) fn amended(text: &[u8], amends: &[Amend]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for amend in amends {
        out.extend_from_slice(&text[from..amend.start]);
        out.extend_from_slice(amend.by);
        from = amend.end;
    }
    out.extend_from_slice(&text[from..]);
    out
}

pub(super) struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    pub(super) nodes: Vec<Node>,
    open: Vec<u32>,
    pub(super) amends: Vec<Amend>,
}

pub(super) type Parsed = Result<(), ParseError>;

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a [u8]) -> Parser<'a> {
        let nodes = Vec::with_capacity(text.len() / 16 + 8);
        Parser { text, at: 0, nodes, open: Vec::with_capacity(16), amends: Vec::new() }
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, ParseError> {
        Err(ParseError { offset: self.at, what })
    }

    #[inline]
    fn peek(&self) -> u8 {
        // 0 is no byte of JSON outside of strings, so it can stand for the end.
        self.text.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    pub(super) fn document(&mut self) -> Parsed {
        loop {
            if self.nodes.len() >= JSON_NODES_MAX {
                return self.fail("more values than a document may have");
            }
            self.space();
            let opened = self.value()?;
            if opened {
                continue;
            }
            if self.close_and_go_on()? {
                break;
            }
        }
        self.space();
        if self.at < self.text.len() { self.fail("more than one value") } else { Ok(()) }
    }

    /// Reads a scalar or an empty container, or opens a container and stops before its first value (`true`).
    #[inline]
    fn value(&mut self) -> Result<bool, ParseError> {
        match self.peek() {
            b'"' => self.string()?,
            b'{' => {
                self.open(Kind::Object)?;
                self.space();
                if self.peek() != b'}' {
                    self.key()?;
                    return Ok(true);
                }
                self.close();
            }
            b'[' => {
                self.open(Kind::Array)?;
                self.space();
                if self.peek() != b']' {
                    return Ok(true);
                }
                self.close();
            }
            b't' => self.word(b"true", Kind::True)?,
            b'f' => self.word(b"false", Kind::False)?,
            b'n' => self.word(b"null", Kind::Null)?,
            b'N' => self.odd_number(b"NaN")?,
            b'I' => self.odd_number(b"Infinity")?,
            b'-' if self.text[self.at..].starts_with(b"-Infinity") => self.odd_number(b"-Infinity")?,
            b'-' | b'0'..=b'9' => self.number()?,
            0 if self.at >= self.text.len() => return self.fail("text ends where a value should be"),
            _ => return self.fail("no value begins with this byte"),
        }
        Ok(false)
    }

    /// Behind a value: closes what ends here and stops before the next value, or says that the document is over (`true`).
    #[inline]
    fn close_and_go_on(&mut self) -> Result<bool, ParseError> {
        loop {
            let Some(&top) = self.open.last() else { return Ok(true) };
            let is_object = self.nodes[top as usize].kind == Kind::Object;
            self.space();
            match (self.peek(), is_object) {
                (b',', true) => {
                    self.at += 1;
                    self.space();
                    self.key()?;
                    return Ok(false);
                }
                (b',', false) => {
                    self.at += 1;
                    return Ok(false);
                }
                (b'}', true) | (b']', false) => self.close(),
                (0, _) if self.at >= self.text.len() => {
                    return self.fail("text ends within an array or object");
                }
                (_, true) => return self.fail("expected `,` or `}`"),
                (_, false) => return self.fail("expected `,` or `]`"),
            }
        }
    }

    #[inline]
    fn key(&mut self) -> Parsed {
        if self.peek() != b'"' {
            return self.fail("expected a key in quotes");
        }
        self.string()?;
        self.space();
        if self.peek() != b':' {
            return self.fail("expected `:` behind a key");
        }
        self.at += 1;
        Ok(())
    }

    fn open(&mut self, kind: Kind) -> Parsed {
        if self.open.len() >= JSON_DEPTH_MAX {
            return self.fail("nested too deeply");
        }
        self.open.push(self.nodes.len() as u32);
        self.push(kind, self.at, self.at, false);
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        let next = self.nodes.len() as u32;
        if let Some(id) = self.open.pop() {
            let node = &mut self.nodes[id as usize];
            (node.end, node.next) = (self.at as u32, next);
        }
    }

    #[inline]
    fn push(&mut self, kind: Kind, start: usize, end: usize, escaped: bool) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { start: start as u32, end: end as u32, next, kind, escaped });
    }

    #[inline]
    fn string(&mut self) -> Parsed {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_length(&self.text[self.at..]);
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.fail("control character in a string"),
                None => return self.fail("text ends within a string"),
            }
        }
        self.push(Kind::String, start, self.at, escaped);
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Parsed {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => return self.escape_unicode(),
            _ => return self.fail("unknown escape in a string"),
        }
        Ok(())
    }

    fn escape_unicode(&mut self) -> Parsed {
        let start = self.at;
        let Some(code) = hex4(&self.text[start + 2..]) else {
            return self.fail("`\\u` without four hexadecimal digits");
        };
        self.at += 6;
        if (0xd800..0xdc00).contains(&code)
            && self.text[self.at..].starts_with(b"\\u")
            && let Some(0xdc00..0xe000) = hex4(&self.text[self.at + 2..])
        {
            self.at += 6;
            return Ok(());
        }
        if (0xd800..0xe000).contains(&code) {
            self.amends.push(Amend { start, end: self.at, by: b"\\ufffd" });
        }
        Ok(())
    }

    fn word(&mut self, word: &'static [u8], kind: Kind) -> Parsed {
        if !self.text[self.at..].starts_with(word) {
            return self.fail("no value begins like this");
        }
        self.push(kind, self.at, self.at + word.len(), false);
        self.at += word.len();
        Ok(())
    }

    fn odd_number(&mut self, word: &'static [u8]) -> Parsed {
        self.amends.push(Amend { start: self.at, end: self.at + word.len(), by: b"null" });
        self.word(word, Kind::Null)
    }

    fn number(&mut self) -> Parsed {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return self.fail("expected a digit"),
        }
        if self.peek() == b'.' {
            self.at += 1;
            if !self.peek().is_ascii_digit() {
                return self.fail("expected a digit behind the point");
            }
            self.digits();
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            if !self.peek().is_ascii_digit() {
                return self.fail("expected a digit in the exponent");
            }
            self.digits();
        }
        self.push(Kind::Number, start, self.at, false);
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }
}

/// How many bytes in front are neither a quote, a backslash nor a control character: eight at a time, without SIMD, since most
/// strings of an event are shorter than one vector register and calls would cost more than they save.
#[inline]
fn plain_length(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(chunk) = text.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("the slice has eight bytes"));
        let zero_in = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let stop = zero_in(word ^ (ONES * 0x22)) | zero_in(word ^ (ONES * 0x5c)) | control;
        if stop != 0 {
            // Borrows can raise false alarms only above the first true one, so the lowest bit is right.
            return at + (stop.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + text[at..].iter().take_while(|b| **b >= 0x20 && **b != b'"' && **b != b'\\').count()
}
