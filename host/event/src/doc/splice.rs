//! The tape of an edited document, made from the tape of the one before.
//!
//! An edit replaces values by strings or null, and all else stays as it was but for its place. So the nodes are moved
//! instead of parsed anew: most events that a scrubber sees are edited, and parsing is what an event costs most.

use bytes::Bytes;

use super::parse::Parser;
use super::{Doc, Kind, Node, ParseError};
use crate::limits::{JSON_BYTES_MAX, JSON_NODES_MAX};

/// A value of the old document, and where the string or null in its place stands in the new text, with its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Splice {
    pub(crate) node: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A member behind the last one of the root, in the new text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appended {
    /// The key, without its quotes.
    pub(crate) key: (usize, usize),
    pub(crate) value: (usize, usize),
}

/// How far what lies behind a splice has moved.
#[derive(Debug, Clone, Copy, Default)]
struct Moved {
    /// The first node behind it.
    from: u32,
    /// Nodes that are gone up to there.
    nodes: u32,
    bytes: i64,
}

impl Doc {
    /// This document, an object, with those splices, in the order of the text, and a new last member. `text` is what it became.
    pub(crate) fn spliced(
        &self,
        text: Vec<u8>,
        splices: &[Splice],
        appended: Appended,
    ) -> Result<Doc, ParseError> {
        let (start, end) = appended.value;
        let mut parser = Parser::new(&text[start..end]);
        parser.document()?;
        let Parser { nodes: of_value, amends, .. } = parser;
        let nodes_max = self.nodes.len() + of_value.len() + 1;
        if text.len() > JSON_BYTES_MAX || nodes_max > JSON_NODES_MAX || !amends.is_empty() {
            return Doc::parse(text);
        }
        let mut nodes = Vec::with_capacity(nodes_max);
        self.move_nodes(&text, splices, &mut nodes);
        let key = nodes.len() as u32;
        let (key_start, key_end) = (appended.key.0 as u32, appended.key.1 as u32);
        nodes.push(Node {
            start: key_start,
            end: key_end,
            next: key + 1,
            kind: Kind::String,
            escaped: false,
        });
        let (base, offset) = (key + 1, start as u32);
        nodes.extend(of_value.into_iter().map(|node| Node {
            start: node.start + offset,
            end: node.end + offset,
            next: node.next + base,
            ..node
        }));
        let total = nodes.len() as u32;
        let root = &mut nodes[0];
        // The brace that closes it stands right behind the new member.
        (root.end, root.next) = (end as u32 + 1, total);
        Ok(Doc { text: Bytes::from(text), nodes })
    }

    fn move_nodes(&self, text: &[u8], splices: &[Splice], nodes: &mut Vec<Node>) {
        let moves = self.moves(splices);
        let (mut next_splice, mut id, mut moved) = (0, 0u32, Moved::default());
        while let Some(old) = self.nodes.get(id as usize) {
            if let Some(splice) = splices.get(next_splice).filter(|s| s.node == id) {
                nodes.push(spliced_node(text, splice, nodes.len() as u32 + 1));
                (moved, id) = (moves[next_splice], old.next);
                next_splice += 1;
                continue;
            }
            // What a container holds moves its end, too.
            let within = match old.kind {
                Kind::Array | Kind::Object => last_before(&moves, old.next).unwrap_or_default(),
                _ => moved,
            };
            nodes.push(Node {
                start: shifted(old.start, moved.bytes),
                end: shifted(old.end, within.bytes),
                next: old.next - within.nodes,
                ..*old
            });
            id += 1;
        }
    }

    fn moves(&self, splices: &[Splice]) -> Vec<Moved> {
        let mut nodes = 0;
        let moved = |splice: &Splice| {
            let (old, (_, old_end)) = (self.at(splice.node), self.node_span(splice.node));
            nodes += old.next - splice.node - 1;
            Moved { from: old.next, nodes, bytes: splice.end as i64 - old_end as i64 }
        };
        splices.iter().map(moved).collect()
    }
}

fn last_before(moves: &[Moved], node: u32) -> Option<Moved> {
    moves[..moves.partition_point(|moved| moved.from <= node)].last().copied()
}

fn shifted(at: u32, bytes: i64) -> u32 {
    (i64::from(at) + bytes) as u32
}

fn spliced_node(text: &[u8], splice: &Splice, next: u32) -> Node {
    let (start, end) = (splice.start as u32, splice.end as u32);
    match text[splice.start] == b'"' {
        true => {
            let escaped = memchr::memchr(b'\\', &text[splice.start..splice.end]).is_some();
            Node { start: start + 1, end: end - 1, next, kind: Kind::String, escaped }
        }
        false => Node { start, end, next, kind: Kind::Null, escaped: false },
    }
}
