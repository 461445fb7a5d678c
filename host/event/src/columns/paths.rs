//! A table of the paths that occur in events, with `*` for every element of an array, so that whatever is decided
//! about a path is decided once.
//!
//! Events of one SDK have the same keys in the same order. So each entry remembers which entry followed it the last time,
//! and finding a path is one comparison of a key; a hash map serves the rest.

use hashbrown::{Equivalent, HashMap};

use crate::doc::same;
use crate::limits::PATHS_MAX;
use crate::selector::Step;

pub(super) type PathId = u32;
pub(super) const ROOT: PathId = 0;
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Entry {
    parent: PathId,
    /// The key; `None` for an element of an array.
    key: Option<Box<[u8]>>,
    /// The child that came first the last time, the sibling that came next, and the child for elements.
    first: u32,
    next: u32,
    element: u32,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Place(PathId, Box<[u8]>);

#[derive(Hash)]
struct PlaceRef<'a>(PathId, &'a [u8]);

impl Equivalent<Place> for PlaceRef<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        self.0 == place.0 && *self.1 == *place.1
    }
}

#[derive(Debug)]
pub(super) struct Paths {
    entries: Vec<Entry>,
    known: HashMap<Place, PathId>,
}

impl Default for Paths {
    fn default() -> Paths {
        Paths { entries: vec![Entry::new(ROOT, None)], known: HashMap::new() }
    }
}

impl Entry {
    fn new(parent: PathId, key: Option<Box<[u8]>>) -> Entry {
        Entry { parent, key, first: NONE, next: NONE, element: NONE }
    }
}

impl Paths {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it must be started anew before it may grow: keys are the users' to choose.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= PATHS_MAX
    }

    pub(super) fn element(&mut self, parent: PathId) -> PathId {
        let known = self.entries[parent as usize].element;
        if known != NONE {
            return known;
        }
        let id = self.add(Entry::new(parent, None));
        self.entries[parent as usize].element = id;
        id
    }

    /// The path of the member `key` of `parent`; `before` is the member in front of it, if there is one.
    #[inline]
    pub(super) fn member(&mut self, parent: PathId, before: Option<PathId>, key: &[u8]) -> PathId {
        let guess = match before {
            Some(before) => self.entries[before as usize].next,
            None => self.entries[parent as usize].first,
        };
        if let Some(entry) = self.entries.get(guess as usize)
            && entry.parent == parent
            && entry.key.as_deref().is_some_and(|known| same(known, key))
        {
            return guess;
        }
        let id = match self.known.get(&PlaceRef(parent, key)) {
            Some(id) => *id,
            None => {
                let id = self.add(Entry::new(parent, Some(key.into())));
                self.known.insert(Place(parent, key.into()), id);
                id
            }
        };
        match before {
            Some(before) => self.entries[before as usize].next = id,
            None => self.entries[parent as usize].first = id,
        }
        id
    }

    fn add(&mut self, entry: Entry) -> PathId {
        self.entries.push(entry);
        self.entries.len() as PathId - 1
    }

    /// The steps from the root; elements without their index.
    pub(super) fn steps(&self, mut id: PathId) -> Vec<Step<'_>> {
        let mut steps = Vec::new();
        while id != ROOT {
            let entry = &self.entries[id as usize];
            steps.push(entry.key.as_deref().map_or(Step::Element(None), Step::Key));
            id = entry.parent;
        }
        steps.reverse();
        steps
    }

    /// Appends the path as text, keys that need quotes in quotes.
    pub(super) fn write(&self, id: PathId, out: &mut Vec<u8>) {
        for (i, step) in self.steps(id).into_iter().enumerate() {
            if i > 0 {
                out.push(b'.');
            }
            match step {
                Step::Element(_) => out.push(b'*'),
                Step::Key(key) => write_key(key, out),
            }
        }
    }
}

fn write_key(key: &[u8], out: &mut Vec<u8>) {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || *b >= 0x80 || matches!(b, b'_' | b'-');
    if !key.is_empty() && key.iter().all(plain) {
        return out.extend_from_slice(key);
    }
    out.push(b'\'');
    for b in key {
        if matches!(b, b'\'' | b'\\') {
            out.push(b'\\');
        }
        out.push(*b);
    }
    out.push(b'\'');
}
