//! The way from the root of a document to a node, for one node after the other.
//!
//! Edits come in the order of the text, and an event may have thousands in one list. Going on from the node before instead of from the root
//! keeps that linear in the length of the list.

use crate::{Doc, Kind, NodeRef};

/// How a node is reached from the one that holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By<'a> {
    Root,
    Key(NodeRef<'a>),
    Index(u64),
}

/// A node on the way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stop<'a> {
    pub(crate) node: NodeRef<'a>,
    pub(crate) by: By<'a>,
    /// Which of its children is looked at next, by its node (that of its key) and by its number.
    child: u32,
    index: u64,
}

#[derive(Debug)]
pub(crate) struct Way<'a> {
    doc: &'a Doc,
    stops: Vec<Stop<'a>>,
}

impl<'a> Stop<'a> {
    fn new(node: NodeRef<'a>, by: By<'a>) -> Stop<'a> {
        Stop { node, by, child: node.id() + 1, index: 0 }
    }
}

impl<'a> Way<'a> {
    pub(crate) fn new(doc: &'a Doc) -> Way<'a> {
        Way { doc, stops: vec![Stop::new(doc.root(), By::Root)] }
    }

    /// The way to a value, from the root to itself; `None` for a key, and for what is not there.
    pub(crate) fn to(&mut self, id: u32) -> Option<&[Stop<'a>]> {
        // Back up to what holds it.
        let holds = |stop: &Stop<'_>| stop.node.id() <= id && id < stop.node.next_id();
        let kept = self.stops.iter().take_while(|stop| holds(stop)).count();
        if kept == 0 {
            return None;
        }
        self.stops.truncate(kept);
        while self.stops.last()?.node.id() != id {
            let last = self.stops.last_mut()?;
            if last.child > id {
                // It was asked for out of order.
                *last = Stop::new(last.node, last.by);
            }
            let step = last.step_towards(self.doc, id)?;
            self.stops.push(step);
        }
        Some(&self.stops)
    }
}

impl<'a> Stop<'a> {
    /// The child that is or holds the node; `None` if that is a key.
    fn step_towards(&mut self, doc: &'a Doc, id: u32) -> Option<Stop<'a>> {
        let keys = u32::from(self.node.kind() == Kind::Object);
        while self.child < self.node.next_id() {
            let (key, child) = (doc.node(self.child)?, doc.node(self.child + keys)?);
            if id < child.id() {
                return None;
            }
            if id < child.next_id() {
                let by = if keys == 1 { By::Key(key) } else { By::Index(self.index) };
                return Some(Stop::new(child, by));
            }
            (self.child, self.index) = (child.next_id(), self.index + 1);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(way: Option<&[Stop<'_>]>) -> String {
        let name = |stop: &Stop<'_>| match stop.by {
            By::Root => String::new(),
            By::Key(key) => format!(".{}", key.as_str().unwrap()),
            By::Index(index) => format!("[{index}]"),
        };
        way.map_or("-".to_owned(), |stops| stops.iter().map(name).collect())
    }

    #[test]
    fn every_node_in_any_order() {
        let doc = Doc::parse(r#"{"a":[1,{"b":2,"c":[]},[[3]]],"\u0064":{"e":"f"},"g":null}"#).unwrap();
        let want = [
            "",
            "-",
            ".a",
            ".a[0]",
            ".a[1]",
            "-",
            ".a[1].b",
            "-",
            ".a[1].c",
            ".a[2]",
            ".a[2][0]",
            ".a[2][0][0]",
            "-",
            ".d",
            "-",
            ".d.e",
            "-",
            ".g",
            "-",
        ];
        let ids: Vec<u32> = (0..want.len() as u32).collect();
        assert_eq!(doc.node_count() as usize, want.len() - 1);
        for step in [1, 5, 7, 18] {
            let mut way = Way::new(&doc);
            for at in 0..ids.len() {
                let id = (at * step) % want.len();
                assert_eq!(show(way.to(id as u32)), want[id], "node {id}, in steps of {step}");
            }
        }
    }
}
