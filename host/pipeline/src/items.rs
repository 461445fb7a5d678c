//! Items that come from elsewhere than the queue, settled as if they came from it.

use bytes::Bytes;
use host_event::{Body, Category, Meta, Millis, Offset, Record};
use host_queue::Stored;

use crate::settle::Settler;
use crate::sink::Settled;

/// One item, with its place in the queue that it came from long ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub offset: Offset,
    pub queued_at: Millis,
    pub meta: Meta,
    pub category: Category,
    pub payload: Bytes,
}

impl Settler {
    /// Gives each item its end, in the order of their offsets.
    pub fn settle_items(&mut self, items: Vec<Item>) -> Vec<Settled> {
        let stored = |item: Item| {
            let Item { offset, queued_at, meta, category, payload } = item;
            let record = Record { meta, body: Body::Item { category, payload } };
            Stored { offset, queued_at, record: Ok(record) }
        };
        self.settle(items.into_iter().map(stored).collect())
    }
}
