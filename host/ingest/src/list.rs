//! The elements of one list in a JSON object, found without parsing them.
//!
//! A container of 12 MiB parsed whole would cost ten times its size in nodes, and one element that is no JSON would cost all
//! others. So elements are only told apart here, by brackets and strings, and each is parsed by itself afterwards.

use std::ops::Range;

/// What was found in an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// The elements of every array under the key, as ranges of the text.
    pub elements: Vec<Range<usize>>,
    /// Elements beyond the limit.
    pub more: u64,
    /// The value under the second key.
    pub beside: Option<Range<usize>>,
    /// Why the rest could not be read, if it could not. That there is no array under the key is such a reason too.
    pub broken: Option<&'static str>,
}

/// Looks in the object `text` for the array `key` and for the value of `beside`.
pub fn lists(text: &[u8], key: &str, beside: &str, elements_max: usize) -> Lists {
    let mut found = Lists::default();
    let mut scan = Scan { text, at: 0, has_list: false };
    let scanned = scan.object(key, beside, elements_max, &mut found);
    found.broken = scanned.err().or((!scan.has_list).then_some("the list is missing"));
    found
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether there was an array under the key.
    has_list: bool,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Passes over white space and then over `byte`, if it is there.
    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn object(&mut self, key: &str, beside: &str, max: usize, found: &mut Lists) -> Result<(), &'static str> {
        if !self.eat(b'{') {
            return Err("not a JSON object");
        }
        if !self.eat(b'}') {
            loop {
                self.member(key, beside, max, found)?;
                if self.eat(b'}') {
                    break;
                }
                if !self.eat(b',') {
                    return Err("object without its end");
                }
            }
        }
        self.space();
        if self.peek().is_some() { Err("more than one value") } else { Ok(()) }
    }

    fn member(&mut self, key: &str, beside: &str, max: usize, found: &mut Lists) -> Result<(), &'static str> {
        self.space();
        let name = self.value()?;
        let name = &self.text[name];
        let is = |key: &str| name.len() == key.len() + 2 && &name[1..name.len() - 1] == key.as_bytes();
        if name.first() != Some(&b'"') {
            return Err("a key is no string");
        }
        if !self.eat(b':') {
            return Err("key without a value");
        }
        self.space();
        if is(key) && self.peek() == Some(b'[') {
            self.at += 1;
            self.has_list = true;
            return self.array(max, found);
        }
        let value = self.value()?;
        if is(beside) {
            found.beside = Some(value);
        }
        Ok(())
    }

    fn array(&mut self, max: usize, found: &mut Lists) -> Result<(), &'static str> {
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            self.space();
            let element = self.value()?;
            if found.elements.len() < max {
                found.elements.push(element)
            } else {
                found.more += 1
            }
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err("list without its end");
            }
        }
    }

    /// Passes over one value: up to its closing bracket or quote, or up to what ends a number or word.
    fn value(&mut self) -> Result<Range<usize>, &'static str> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.peek().ok_or("text ends within a value")? {
                b'"' => {
                    self.string()?;
                    if depth == 0 {
                        break;
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => break,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        break;
                    }
                }
                b',' | b':' if depth == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        if self.at == start { Err("a value is missing") } else { Ok(start..self.at) }
    }

    fn string(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let stop = memchr::memchr2(b'"', b'\\', rest).ok_or("text ends within a string")?;
            let is_end = rest[stop] == b'"';
            self.at += stop + if is_end { 1 } else { 2 };
            if is_end {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use host_event::{Doc, Kind};
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, want: &[&str], broken: Option<&str>) {
        let found = lists(text.as_bytes(), "items", "attrs", 4);
        let elements: Vec<_> = found.elements.iter().map(|r| text[r.clone()].trim_end()).collect();
        assert_eq!((elements.as_slice(), found.broken), (want, broken), "{text}");
    }

    #[test]
    fn elements_are_told_apart() {
        let cases: &[(&str, &[&str], Option<&str>)] = &[
            (
                r#"{"version":2,"items":[{"a":"]},"},{"b":[1,2]}]}"#,
                &[r#"{"a":"]},"}"#, r#"{"b":[1,2]}"#],
                None,
            ),
            (r#" { "items" : [ 1 , "x\"," , null ] } "#, &["1", r#""x\",""#, "null"], None),
            (r#"{"items":[]}"#, &[], None),
            (r#"{"items":{}}"#, &[], Some("the list is missing")),
            (r#"{"item":[]}"#, &[], Some("the list is missing")),
            ("{}", &[], Some("the list is missing")),
            (r#"{"items":[1],"items":[2]}"#, &["1", "2"], None),
            // Nonsense within brackets costs only itself.
            (r#"{"items":[{"a":},{nonsense},{"ok":1}]}"#, &[r#"{"a":}"#, "{nonsense}", r#"{"ok":1}"#], None),
            // Brackets that do not close cost what is behind them.
            (r#"{"items":[{"ok":1},{"a":1"#, &[r#"{"ok":1}"#], Some("text ends within a value")),
            (r#"{"items":[{"ok":1},{"a"#, &[r#"{"ok":1}"#], Some("text ends within a string")),
            (r#"{"items":[{"ok":1} {"a":1}]}"#, &[r#"{"ok":1}"#], Some("list without its end")),
            (r#"{"items":[1,,2]}"#, &["1"], Some("a value is missing")),
            (r#"{"items":[1]} x"#, &["1"], Some("more than one value")),
            ("[]", &[], Some("not a JSON object")),
            ("", &[], Some("not a JSON object")),
        ];
        for (text, want, broken) in cases {
            check(text, want, *broken);
        }
        let many = lists(br#"{"attrs":{"release":"1"},"items":[1,2,3,4,5,6]}"#, "items", "attrs", 4);
        assert_eq!((many.elements.len(), many.more, many.beside), (4, 2, Some(9..24)));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in r#"[\[\]{}",:itemsx\\0 ]{0,60}"#) {
            lists(text.as_bytes(), "items", "attrs", 100);
            let inside = format!("{{\"items\":{text}}}");
            lists(inside.as_bytes(), "items", "attrs", 100);
        }

        #[test]
        fn what_the_parser_reads_is_told_apart_as_the_parser_does(text in r#"\[[\[\]{}",:ab1\\ ]{0,20}\]"#) {
            let text = format!("{{\"items\":{text}}}");
            if let Ok(doc) = Doc::parse(text.clone()) {
                let root = doc.root();
                prop_assert_eq!(root.kind(), Kind::Object);
                let want: Vec<&[u8]> = root.get("items").into_iter().flat_map(|i| i.items()).map(|i| i.raw()).collect();
                let found = lists(text.as_bytes(), "items", "attrs", 100);
                let got: Vec<_> = found.elements.iter().map(|r| text[r.clone()].trim_end().as_bytes()).collect();
                prop_assert_eq!((got, found.broken), (want, None));
            }
        }
    }
}
