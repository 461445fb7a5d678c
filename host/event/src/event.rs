//! An event on its way through the pipeline: parsed once, with what is known beside its text.

use crate::{Category, Counted, Doc, Meta, Millis, Offset, ProjectId};

#[derive(Debug, Clone)]
pub struct Event {
    pub offset: Offset,
    pub queued_at: Millis,
    pub category: Category,
    pub meta: Meta,
    pub doc: Doc,
}

impl Counted for Event {
    fn project_id(&self) -> ProjectId {
        self.meta.project_id
    }
    fn category(&self) -> Category {
        self.category
    }
}
