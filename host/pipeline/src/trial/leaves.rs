//! Which values of an event only one of two chains has redacted.

use host_event::{Doc, Kind, NodeRef};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redacted {
    OnlyBase,
    OnlyCandidate,
    /// Both changed it, not to the same.
    Differently,
}

/// Differences found in one event; a scrubber that changes everything is understood before that.
const DIFFERENCES_MAX: usize = 1_000;
/// Depth that is followed. Below, a value counts as a whole.
const DEPTH_MAX: usize = 64;

/// Walks the event as it came in, and looks at the same place of both results. Indices stand as `*` in the paths.
pub(super) fn compare(before: &Doc, base: &Doc, candidate: &Doc) -> Vec<(String, Redacted)> {
    let mut walk = Walk { path: Vec::new(), found: Vec::new() };
    walk.visit(before.root(), Some(base.root()), Some(candidate.root()));
    walk.found
}

struct Walk {
    path: Vec<String>,
    found: Vec<(String, Redacted)>,
}

impl Walk {
    fn visit(&mut self, before: NodeRef<'_>, base: Option<NodeRef<'_>>, candidate: Option<NodeRef<'_>>) {
        if self.found.len() >= DIFFERENCES_MAX || raw(base) == raw(candidate) {
            return;
        }
        let is_same_kind = |node: Option<NodeRef<'_>>| node.is_some_and(|node| node.kind() == before.kind());
        let goes_on = self.path.len() < DEPTH_MAX && is_same_kind(base) && is_same_kind(candidate);
        match before.kind() {
            Kind::Object if goes_on => {
                for (key, value) in before.entries() {
                    let key = key.as_str().unwrap_or_default().into_owned();
                    // What the host writes about edits, and only where it does.
                    if key == "_meta" && self.path.is_empty() {
                        continue;
                    }
                    let (base, candidate) =
                        (base.and_then(|b| b.get(&key)), candidate.and_then(|c| c.get(&key)));
                    self.path.push(key);
                    self.visit(value, base, candidate);
                    self.path.pop();
                }
            }
            Kind::Array if goes_on => {
                self.path.push("*".to_owned());
                for (index, value) in before.items().enumerate() {
                    let (base, candidate) = (at_index(base, index), at_index(candidate, index));
                    self.visit(value, base, candidate);
                }
                self.path.pop();
            }
            _ => self.leaf(before, base, candidate),
        }
    }

    fn leaf(&mut self, before: NodeRef<'_>, base: Option<NodeRef<'_>>, candidate: Option<NodeRef<'_>>) {
        let before = Some(before.raw());
        let redacted = match (raw(base) == before, raw(candidate) == before) {
            (false, true) => Redacted::OnlyBase,
            (true, false) => Redacted::OnlyCandidate,
            _ => Redacted::Differently,
        };
        self.found.push((self.path.join("."), redacted));
    }
}

fn raw(node: Option<NodeRef<'_>>) -> Option<&[u8]> {
    node.map(NodeRef::raw)
}

fn at_index(node: Option<NodeRef<'_>>, index: usize) -> Option<NodeRef<'_>> {
    node?.item(index as i64)
}
