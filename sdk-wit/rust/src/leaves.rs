//! The values that a selector names, in all events of the batch.

use crate::Event;
use crate::batch::Batch;
use crate::source::LeafList;

/// One value that a selector of a [`Scrubber`](crate::Scrubber) names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// The place of its event in the batch.
    pub event: u32,
    /// The host's name for it during this call; a leaf that several selectors name has the same in each.
    pub id: u32,
    /// What it is.
    pub kind: LeafKind,
    /// Its path, with `*` for elements of arrays.
    pub path: &'a str,
    /// A number for that path, the same in every batch of an instance: what is decided by path is decided once if it is
    /// kept under this.
    pub path_key: u32,
    /// A string without quotes and escapes, a number or boolean as in JSON, nothing for an object or array.
    pub text: &'a str,
    /// The index, in `selectors()`, of the selector that named it.
    pub selector: usize,
}

/// What a leaf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeafKind {
    /// A string.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// All leaves of one selector, of all events of the batch, ordered by event and then by place in the event.
#[derive(Debug)]
pub struct Leaves<'a> {
    selector: usize,
    list: &'a LeafList,
    batch: &'a Batch,
}

impl<'a> Leaves<'a> {
    pub(crate) fn new(selector: usize, list: &'a LeafList, batch: &'a Batch) -> Leaves<'a> {
        Leaves { selector, list, batch }
    }

    /// The event that a leaf belongs to, by [`Leaf::event`].
    pub fn event(&self, event: u32) -> Event<'a> {
        Event::new(self.batch, event)
    }

    /// For each leaf, the place of its event in the batch, see [`Leaf::event`].
    pub fn events(&self) -> &'a [u32] {
        &self.list.events
    }

    /// The number of leaves.
    pub fn len(&self) -> usize {
        self.list.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index, in `selectors()`, of the selector that these leaves are of.
    pub fn selector(&self) -> usize {
        self.selector
    }

    /// Leaf `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Leaf<'a> {
        let list = self.list;
        let path = list.paths[index] as usize;
        let part = |text: &'a str, offsets: &[u32], i: usize| -> &'a str {
            &text[offsets[i] as usize..offsets[i + 1] as usize]
        };
        Leaf {
            event: list.events[index],
            id: list.ids[index],
            kind: LeafKind::of(list.kinds[index]),
            path: part(&list.path_data, &list.path_offsets, path),
            path_key: list.path_keys[path],
            text: part(&list.data, &list.offsets, index),
            selector: self.selector,
        }
    }

    /// All leaves in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Leaf<'a>> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The text of all leaves in one piece, without anything between them: what one pass can search at full speed.
    pub fn data(&self) -> &'a str {
        &self.list.data
    }

    /// Where the leaves are in [`Leaves::data`]: leaf `i` is `offsets[i]..offsets[i + 1]`.
    pub fn offsets(&self) -> &'a [u32] {
        &self.list.offsets
    }

    /// Which leaf the byte `at` of [`Leaves::data`] belongs to.
    pub fn leaf_at(&self, at: usize) -> usize {
        self.list.offsets.partition_point(|offset| *offset as usize <= at).saturating_sub(1)
    }

    /// For each leaf, an index into [`Leaves::path_keys`].
    pub fn paths(&self) -> &'a [u32] {
        &self.list.paths
    }

    /// The numbers of the paths that occur here, see [`Leaf::path_key`].
    pub fn path_keys(&self) -> &'a [u32] {
        &self.list.path_keys
    }

    /// The text of a path that occurs here, by its index in [`Leaves::path_keys`].
    pub fn path_text(&self, index: usize) -> &'a str {
        let offsets = &self.list.path_offsets;
        &self.list.path_data[offsets[index] as usize..offsets[index + 1] as usize]
    }
}

impl LeafKind {
    fn of(number: u8) -> LeafKind {
        match number {
            0 => LeafKind::String,
            1 => LeafKind::Number,
            2 => LeafKind::Boolean,
            3 => LeafKind::Object,
            4 => LeafKind::Array,
            other => unreachable!("the host gave a leaf of kind {other}; the interface has 0 to 4"),
        }
    }
}
