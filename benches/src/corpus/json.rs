//! Writes JSON by hand: a tree of values would cost more than what is measured with it.

use std::fmt::{Arguments, Write};

/// A text under construction. Commas are put where they belong.
#[derive(Debug, Default)]
pub(super) struct Json {
    text: String,
    comma: bool,
}

impl Json {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.comma = false;
    }

    pub(super) fn text(&self) -> &[u8] {
        self.text.as_bytes()
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// An object that stands by itself or in a list.
    pub(super) fn object(&mut self, members: impl FnOnce(&mut Json)) {
        self.separate();
        self.enclose('{', '}', members);
    }

    pub(super) fn object_at(&mut self, key: &str, members: impl FnOnce(&mut Json)) {
        self.key(key);
        self.enclose('{', '}', members);
    }

    pub(super) fn list_at(&mut self, key: &str, items: impl FnOnce(&mut Json)) {
        self.key(key);
        self.enclose('[', ']', items);
    }

    /// `{"values": [...]}` under `key`.
    pub(super) fn values_at(&mut self, key: &str, items: impl FnOnce(&mut Json)) {
        self.object_at(key, |j| j.list_at("values", items));
    }

    pub(super) fn string(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    /// A string in a list.
    pub(super) fn item(&mut self, value: &str) {
        self.separate();
        self.quoted(value);
    }

    /// A `[key, value]` pair in a list.
    pub(super) fn pair(&mut self, key: &str, value: &str) {
        self.separate();
        self.enclose('[', ']', |j| {
            j.item(key);
            j.item(value);
        });
    }

    pub(super) fn format(&mut self, key: &str, value: Arguments<'_>) {
        self.key(key);
        self.text.push('"');
        let from = self.text.len();
        self.write(value);
        if self.text[from..].bytes().any(needs_escape) {
            let plain = self.text.split_off(from);
            self.escaped(&plain);
        }
        self.text.push('"');
        self.comma = true;
    }

    pub(super) fn integer(&mut self, key: &str, value: u64) {
        self.bare(key, format_args!("{value}"));
    }

    pub(super) fn decimal(&mut self, key: &str, value: f64) {
        self.bare(key, format_args!("{value}"));
    }

    pub(super) fn boolean(&mut self, key: &str, value: bool) {
        self.bare(key, format_args!("{value}"));
    }

    pub(super) fn hex64(&mut self, key: &str, value: u64) {
        self.bare(key, format_args!("\"{value:016x}\""));
    }

    pub(super) fn hex128(&mut self, key: &str, value: u128) {
        self.bare(key, format_args!("\"{value:032x}\""));
    }

    /// Whatever is JSON already.
    pub(super) fn bare(&mut self, key: &str, value: Arguments<'_>) {
        self.key(key);
        self.write(value);
        self.comma = true;
    }

    /// `{"value": ..., "type": "string"}` under `key`, the form of attributes of spans and logs.
    pub(super) fn attribute(&mut self, key: &str, value: &str) {
        self.object_at(key, |j| {
            j.string("value", value);
            j.string("type", "string");
        });
    }

    pub(super) fn attribute_integer(&mut self, key: &str, value: u64) {
        self.object_at(key, |j| {
            j.integer("value", value);
            j.string("type", "integer");
        });
    }

    fn key(&mut self, key: &str) {
        self.separate();
        self.quoted(key);
        self.text.push(':');
        self.comma = false;
    }

    fn separate(&mut self) {
        if self.comma {
            self.text.push(',');
        }
    }

    fn enclose(&mut self, open: char, close: char, inner: impl FnOnce(&mut Json)) {
        self.text.push(open);
        self.comma = false;
        inner(self);
        self.text.push(close);
        self.comma = true;
    }

    fn quoted(&mut self, value: &str) {
        self.text.push('"');
        self.escaped(value);
        self.text.push('"');
        self.comma = true;
    }

    fn escaped(&mut self, value: &str) {
        let mut from = 0;
        for (at, byte) in value.bytes().enumerate().filter(|(_, b)| needs_escape(*b)) {
            self.text.push_str(&value[from..at]);
            from = at + 1;
            match byte {
                b'\n' => self.text.push_str("\\n"),
                b'\t' => self.text.push_str("\\t"),
                b'"' | b'\\' => self.text.extend(['\\', byte as char]),
                _ => self.write(format_args!("\\u{byte:04x}")),
            }
        }
        self.text.push_str(&value[from..]);
    }

    fn write(&mut self, value: Arguments<'_>) {
        self.text.write_fmt(value).expect("a String takes everything");
    }
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}
