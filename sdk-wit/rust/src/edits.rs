//! What a scrubber wants changed.

use std::ops::{Bound, RangeBounds};

use crate::Leaf;
use crate::intern::Interner;

/// Where edits go. Each names a range of bytes in the leaf's text, `..` for the whole value, and the rule that asks
/// for it, as the event's `_meta` will show it: `@email:replace`.
///
/// Where edits of one leaf overlap, the earlier one is stretched over both: what any of them covers does not survive.
/// Of a leaf that is not a string only the whole value can be edited.
#[derive(Debug, Default)]
pub struct Edits {
    flat: FlatEdits,
    strings: Interner,
}

/// The answer for a batch, as the WIT has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[doc(hidden)]
pub struct FlatEdits {
    pub leaf: Vec<u32>,
    pub op: Vec<u8>,
    pub start: Vec<u32>,
    pub end: Vec<u32>,
    pub text: Vec<u32>,
    pub rule: Vec<u32>,
    pub strings: Vec<String>,
}

/// The end of a range that stands for the whole value.
const WHOLE: u32 = u32::MAX;

impl Edits {
    /// Takes the range out. Of a whole value, `null` stays.
    pub fn remove(&mut self, leaf: &Leaf<'_>, range: impl RangeBounds<usize>, rule: &str) {
        self.push(leaf, 0, range, "", rule);
    }

    /// Puts `text` in the place of the range.
    pub fn replace(&mut self, leaf: &Leaf<'_>, range: impl RangeBounds<usize>, text: &str, rule: &str) {
        self.push(leaf, 1, range, text, rule);
    }

    /// Puts `with` in the place of each character of the range.
    pub fn mask(&mut self, leaf: &Leaf<'_>, range: impl RangeBounds<usize>, with: char, rule: &str) {
        self.push(leaf, 2, range, with.encode_utf8(&mut [0; 4]), rule);
    }

    /// Puts the HMAC-SHA1 of the range under `key` in its place, as 40 upper-case hexadecimal digits.
    pub fn hash(&mut self, leaf: &Leaf<'_>, range: impl RangeBounds<usize>, key: &str, rule: &str) {
        self.push(leaf, 3, range, key, rule);
    }

    /// The number of edits so far.
    pub fn len(&self) -> usize {
        self.flat.leaf.len()
    }

    /// Whether there is none so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push(&mut self, leaf: &Leaf<'_>, op: u8, range: impl RangeBounds<usize>, text: &str, rule: &str) {
        let (start, end) = bounds(range, leaf.text.len());
        self.flat.leaf.push(leaf.id);
        self.flat.op.push(op);
        self.flat.start.push(start);
        self.flat.end.push(end);
        let text = self.strings.add(text);
        self.flat.text.push(text);
        let rule = self.strings.add(rule);
        self.flat.rule.push(rule);
    }

    pub(crate) fn finish(self) -> FlatEdits {
        let flat = FlatEdits { strings: self.strings.into_texts(), ..self.flat };
        // Leaves come in ascending order, so one look tells that no leaf was edited twice.
        match flat.leaf.is_sorted_by(|a, b| a < b) {
            true => flat,
            false => flat.without_overlaps(),
        }
    }
}

fn bounds(range: impl RangeBounds<usize>, len: usize) -> (u32, u32) {
    let start = match range.start_bound() {
        Bound::Unbounded => 0,
        Bound::Included(at) => *at,
        Bound::Excluded(at) => at + 1,
    };
    let end = match range.end_bound() {
        Bound::Unbounded if start == 0 => return (0, WHOLE),
        Bound::Unbounded => len,
        Bound::Included(at) => at + 1,
        Bound::Excluded(at) => *at,
    };
    (start as u32, end as u32)
}

impl FlatEdits {
    fn without_overlaps(self) -> FlatEdits {
        let mut order: Vec<usize> = (0..self.leaf.len()).collect();
        order.sort_by_key(|i| (self.leaf[*i], self.start[*i], *i));
        // (the edit that stays, start, end)
        let mut merged: Vec<(usize, u32, u32)> = Vec::with_capacity(order.len());
        for i in order {
            let (start, end) = (self.start[i], self.end[i]);
            match merged.last_mut() {
                Some((kept, from, to))
                    if self.leaf[*kept] == self.leaf[i] && overlap((*from, *to), (start, end)) =>
                {
                    *to = (*to).max(end);
                    *from = (*from).min(start);
                    *kept = (*kept).min(i);
                }
                _ => merged.push((i, start, end)),
            }
        }
        FlatEdits {
            leaf: merged.iter().map(|(i, ..)| self.leaf[*i]).collect(),
            op: merged.iter().map(|(i, ..)| self.op[*i]).collect(),
            start: merged.iter().map(|(_, start, _)| *start).collect(),
            end: merged.iter().map(|(.., end)| *end).collect(),
            text: merged.iter().map(|(i, ..)| self.text[*i]).collect(),
            rule: merged.iter().map(|(i, ..)| self.rule[*i]).collect(),
            strings: self.strings,
        }
    }
}

fn overlap(a: (u32, u32), b: (u32, u32)) -> bool {
    a == b || a.1 == WHOLE || b.1 == WHOLE || b.0 < a.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LeafKind;

    fn leaf(id: u32) -> Leaf<'static> {
        Leaf { event: 0, id, kind: LeafKind::String, path: "a", path_key: 0, text: "0123456789", selector: 0 }
    }

    #[test]
    fn ranges_and_overlaps() {
        #[expect(clippy::type_complexity, reason = "a table of cases")]
        let cases: [(&[(u32, u32, u32)], &[(u32, u32, u32, &str)]); 7] = [
            (&[(1, 0, 2), (1, 4, 6), (2, 0, 1)], &[(1, 0, 2, "0"), (1, 4, 6, "1"), (2, 0, 1, "2")]),
            (&[(1, 0, 2), (1, 2, 4)], &[(1, 0, 2, "0"), (1, 2, 4, "1")]),
            (&[(1, 3, 8), (1, 0, 5)], &[(1, 0, 8, "0")]),
            (&[(1, 0, 5), (1, 3, 8), (1, 7, 9)], &[(1, 0, 9, "0")]),
            (&[(1, 3, 5), (1, 0, WHOLE)], &[(1, 0, WHOLE, "0")]),
            (&[(1, 0, WHOLE), (1, 0, WHOLE)], &[(1, 0, WHOLE, "0")]),
            (&[(2, 0, 1), (1, 0, 1)], &[(1, 0, 1, "1"), (2, 0, 1, "0")]),
        ];
        for (given, want) in cases {
            let mut edits = Edits::default();
            for (i, (id, start, end)) in given.iter().enumerate() {
                match *end {
                    WHOLE => edits.remove(&leaf(*id), .., &i.to_string()),
                    end => edits.remove(&leaf(*id), *start as usize..end as usize, &i.to_string()),
                }
            }
            let flat = edits.finish();
            let got: Vec<_> = (0..flat.leaf.len())
                .map(|i| {
                    (flat.leaf[i], flat.start[i], flat.end[i], flat.strings[flat.rule[i] as usize].as_str())
                })
                .collect();
            assert_eq!(got, want, "{given:?}");
        }
    }
}
