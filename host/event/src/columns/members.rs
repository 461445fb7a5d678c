//! The members of many objects of nearly one shape, such as the frames of all stack traces of a batch.
//!
//! A plugin that looks at frames pulls ten columns of them. Looking for one key reads all keys of an object, so ten columns
//! would read them ten times; here they are read once, and a column is a list of nodes.

use crate::{Kind, NodeRef};

/// Distinct keys that are told apart. Objects with more are dictionaries and have no shape.
const KEYS_MAX: usize = 64;
/// The root of a document is nobody's member.
const ABSENT: u32 = 0;
const NONE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(super) struct Members {
    keys: Vec<Box<[u8]>>,
    /// By key, for each object the node of the value.
    nodes: Vec<Vec<u32>>,
    /// By key (the first is for the beginning of an object) the key that came next the last time.
    next: Vec<u32>,
}

impl Members {
    /// `None` where one of them is no object, or where there are too many keys.
    pub(super) fn of<'a>(objects: impl ExactSizeIterator<Item = NodeRef<'a>>) -> Option<Members> {
        let count = objects.len();
        let mut found = Members { next: vec![NONE], ..Members::default() };
        for (at, object) in objects.enumerate() {
            if object.kind() != Kind::Object {
                return None;
            }
            let mut before = 0;
            for (key, value) in object.entries() {
                let id = found.key_behind(before, key, count)?;
                // The last one of equal keys counts. Whether it is null is asked where it is followed.
                found.nodes[id][at] = value.id();
                before = id + 1;
            }
        }
        Some(found)
    }

    #[inline]
    fn key_behind(&mut self, before: usize, key: NodeRef<'_>, objects: usize) -> Option<usize> {
        let guess = self.next[before] as usize;
        if self.keys.get(guess).is_some_and(|known| key.is(known)) {
            return Some(guess);
        }
        let known = self.keys.iter().position(|known| key.is(known));
        let id = match known {
            Some(id) => id,
            None => self.add(key, objects)?,
        };
        self.next[before] = id as u32;
        Some(id)
    }

    fn add(&mut self, key: NodeRef<'_>, objects: usize) -> Option<usize> {
        if self.keys.len() >= KEYS_MAX {
            return None;
        }
        self.keys.push(key.as_str()?.as_bytes().into());
        self.nodes.push(vec![ABSENT; objects]);
        self.next.push(NONE);
        Some(self.keys.len() - 1)
    }

    /// For each object the node of that member, if it has it.
    pub(super) fn get(&self, key: &str) -> impl Fn(usize) -> Option<u32> {
        let nodes = self.keys.iter().position(|known| **known == *key.as_bytes()).map(|id| &self.nodes[id]);
        move |object| nodes.map(|nodes| nodes[object]).filter(|node| *node != ABSENT)
    }
}
