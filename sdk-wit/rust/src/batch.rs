//! The columns that a plugin has pulled of the current batch.
//!
//! They are found by path, once per value that a plugin reads, so that finding must cost next to nothing. A plugin asks
//! for the same paths in the same order for every event: each column remembers which one was asked for after it, and
//! looking it up is then one comparison of a short text.
//!
//! Columns are only added while a batch lasts and never move, so that texts can be lent for as long as the batch.

use std::cell::{Cell, OnceCell};

use crate::source::{Reals, Source, Texts};

/// Columns in one block of the list of columns.
const BLOCK_COLUMNS: usize = 16;
/// Stands for an event as such, where a column of something within events names its list.
pub(crate) const EVENT: u32 = 0;
const NONE: u32 = u32::MAX;

/// What is asked for under a path. The same path is another column under another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// A text under `tags`, by the tag's key.
    Tag,
    Json,
    Number,
    /// Sizes of lists.
    Count,
    /// The list under a path, as rows of their own.
    List,
}

#[derive(Debug)]
struct Slot {
    base: u32,
    kind: Kind,
    path: Box<str>,
    column: Column,
    /// The slot that was asked for after this one the last time.
    after: Cell<u32>,
}

/// Values, and where the rows of each event (or item) begin if there may be several.
#[derive(Debug)]
pub(crate) struct Column {
    values: Values,
    starts: Option<Vec<u32>>,
    /// How a column below this list names it.
    list: u32,
    /// The path of this list's items.
    items: String,
}

#[derive(Debug)]
enum Values {
    Texts(Texts),
    Reals(Reals),
    Counts(Vec<u32>),
    None,
}

#[derive(Debug, Default)]
struct Block {
    slots: [OnceCell<Slot>; BLOCK_COLUMNS],
    next: OnceCell<Box<Block>>,
}

/// The current batch.
#[derive(Debug)]
pub struct Batch {
    pub(crate) source: Source,
    first: Block,
    count: Cell<u32>,
    last: Cell<u32>,
    guess: Cell<u32>,
}

impl Batch {
    pub(crate) fn new(source: Source) -> Batch {
        Batch {
            source,
            first: Block::default(),
            count: Cell::new(0),
            last: Cell::new(NONE),
            guess: Cell::new(0),
        }
    }

    /// The column of what `path` names within each row of `base`.
    #[inline]
    pub(crate) fn column(&self, base: u32, kind: Kind, path: &str) -> &Column {
        let guess = self.guess.get();
        match self.slot(guess) {
            Some(slot) if slot.is(base, kind, path) => {
                self.last.set(guess);
                self.guess.set(slot.after.get());
                &slot.column
            }
            _ => self.look_for(base, kind, path),
        }
    }

    #[cold]
    #[inline(never)]
    fn look_for(&self, base: u32, kind: Kind, path: &str) -> &Column {
        let last = self.last.get();
        let known = (0..self.count.get()).find(|i| self.slot(*i).is_some_and(|s| s.is(base, kind, path)));
        let found = known.unwrap_or_else(|| {
            let column = self.pull(base, kind, path);
            self.add(Slot { base, kind, path: path.into(), column, after: Cell::new(NONE) })
        });
        if let Some(before) = self.slot(last) {
            before.after.set(found);
        }
        let slot = self.slot(found).expect("it was just found or added");
        self.last.set(found);
        self.guess.set(slot.after.get());
        &slot.column
    }

    #[inline]
    fn slot(&self, index: u32) -> Option<&Slot> {
        let mut index = index as usize;
        let mut block = &self.first;
        while index >= BLOCK_COLUMNS {
            block = block.next.get()?;
            index -= BLOCK_COLUMNS;
        }
        block.slots[index].get()
    }

    fn add(&self, slot: Slot) -> u32 {
        let id = self.count.get();
        let (mut index, mut block) = (id as usize, &self.first);
        while index >= BLOCK_COLUMNS {
            block = block.next.get_or_init(Box::default);
            index -= BLOCK_COLUMNS;
        }
        block.slots[index].set(slot).expect("the slot behind the last one is free");
        self.count.set(id + 1);
        id
    }

    fn pull(&self, base: u32, kind: Kind, path: &str) -> Column {
        if kind == Kind::List {
            return self.pull_list(base, path);
        }
        if kind == Kind::Tag {
            return Column::of(
                self.source.strings(&self.full(base, &format!("tags.{}", quote(path)))).into(),
            );
        }
        let (list, _) = split_at_last_star(path);
        let full = self.full(base, path);
        let values = match kind {
            Kind::Text => self.source.strings(&full).into(),
            Kind::Json => self.source.json(&full).into(),
            Kind::Number => Values::Reals(self.source.numbers(&full)),
            _ => Values::Counts(self.source.counts(&full)),
        };
        let starts = list.map(|list| self.column(base, Kind::List, list).starts.clone().unwrap_or_default());
        Column { starts, ..Column::of(values) }
    }

    /// The items of the list under `path`; with a star in it, the items of all those lists in a row.
    fn pull_list(&self, base: u32, path: &str) -> Column {
        let counts = self.source.counts(&self.full(base, path));
        let mut starts = Vec::with_capacity(counts.len() + 1);
        let mut next = 0u32;
        starts.push(next);
        starts.extend(counts.iter().map(|count| {
            next += count;
            next
        }));
        if let (Some(outer), _) = split_at_last_star(path) {
            let outer = self.column(base, Kind::List, outer).starts.as_deref().unwrap_or_default();
            starts = outer.iter().map(|row| starts[*row as usize]).collect();
        }
        let items = join(&self.full(base, path), "*");
        Column { starts: Some(starts), list: self.count.get() + 1, items, ..Column::of(Values::None) }
    }

    fn full(&self, base: u32, path: &str) -> String {
        match base {
            EVENT => path.to_owned(),
            list => join(&self.slot(list - 1).expect("a list outlives its items").column.items, path),
        }
    }
}

impl Slot {
    #[inline]
    fn is(&self, base: u32, kind: Kind, path: &str) -> bool {
        self.base == base && self.kind == kind && same(self.path.as_bytes(), path.as_bytes())
    }
}

/// Whether two texts are equal: paths are short, and a call of `memcmp` costs more in WebAssembly than this. The last words
/// overlap the ones before, so that there is no rest to go through byte by byte.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(a_last), Some(b_last)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        let (Some(a_last), Some(b_last)) = (a.last_chunk::<4>(), b.last_chunk::<4>()) else {
            return a.iter().zip(b).all(|(x, y)| x == y);
        };
        return a_last == b_last && a.first_chunk::<4>() == b.first_chunk::<4>();
    };
    let (words, _) = a.as_chunks::<8>();
    let (others, _) = b.as_chunks::<8>();
    a_last == b_last && words.iter().zip(others).all(|(x, y)| x == y)
}

impl From<Texts> for Values {
    fn from(texts: Texts) -> Values {
        Values::Texts(texts)
    }
}

impl Column {
    fn of(values: Values) -> Column {
        Column { values, starts: None, list: EVENT, items: String::new() }
    }

    /// The rows that belong to row `row` of what this column is pulled from.
    #[inline]
    pub(crate) fn rows(&self, row: u32) -> std::ops::Range<u32> {
        match &self.starts {
            None => row..row + 1,
            Some(starts) => starts[row as usize]..starts[row as usize + 1],
        }
    }

    pub(crate) fn list(&self) -> u32 {
        self.list
    }

    #[inline]
    pub(crate) fn text(&self, row: u32) -> Option<&str> {
        match &self.values {
            Values::Texts(texts) => texts.get(row),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn number(&self, row: u32) -> Option<f64> {
        match &self.values {
            Values::Reals(reals) => (reals.presence[row as usize] == 1).then(|| reals.values[row as usize]),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn count(&self, row: u32) -> usize {
        match &self.values {
            Values::Counts(counts) => counts[row as usize] as usize,
            _ => 0,
        }
    }
}

fn join(front: &str, back: &str) -> String {
    match (front, back) {
        ("", path) | (path, "") => path.to_owned(),
        _ => format!("{front}.{back}"),
    }
}

/// The path of the list whose items the last star stands for, and what follows the star.
fn split_at_last_star(path: &str) -> (Option<&str>, &str) {
    let (mut quoted, mut escaped, mut star) = (false, false, None);
    for (at, c) in path.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '\'' => quoted = !quoted,
            '*' if !quoted => star = Some(at),
            _ => {}
        }
    }
    match star {
        None => (None, path),
        Some(at) => {
            let (list, rest) = (&path[..at], &path[at + 1..]);
            (Some(list.strip_suffix('.').unwrap_or(list)), rest.strip_prefix('.').unwrap_or(rest))
        }
    }
}

/// A key as a segment of a path, whatever is in it.
pub(crate) fn quote(key: &str) -> String {
    let mut quoted = String::with_capacity(key.len() + 2);
    quoted.push('\'');
    for c in key.chars() {
        if matches!(c, '\'' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars() {
        for (path, list, rest) in [
            ("release", None, "release"),
            ("a.*.b", Some("a"), "b"),
            ("a.*.b.*.c.d", Some("a.*.b"), "c.d"),
            ("tags.*", Some("tags"), ""),
            ("a.*.*", Some("a.*"), ""),
            ("tags.'a*b'", None, "tags.'a*b'"),
            (r"x.*.'it\'s *'", Some("x"), r"'it\'s *'"),
        ] {
            assert_eq!(split_at_last_star(path), (list, rest), "{path}");
        }
    }

    #[test]
    fn equal_texts() {
        let text = b"exception.values.*.type and more";
        for len in 0..text.len() {
            assert!(same(&text[..len], &text[..len]));
            for at in 0..len {
                let mut other = text[..len].to_vec();
                other[at] ^= 1;
                assert!(!same(&text[..len], &other), "{len} {at}");
            }
        }
        assert!(!same(b"ab", b"abc"));
    }
}
