//! The model that every other crate shares: records, events, columns, edits and outcomes.
//!
//! Pure: no I/O, no clock, no async, no randomness. Whatever enters is given as an argument.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accounted;
mod category;
mod columns;
mod doc;
mod edits;
mod event;
pub mod limits;
mod outcome;
mod path;
mod record;
mod selector;
mod way;

pub use accounted::{Accounted, Book, Counted};
pub use category::Category;
pub use columns::{ColumnError, Columns, LeafList, Reals, Texts};
pub use doc::{Doc, Kind, NodeRef, ParseError};
pub use edits::{Edit, EditError, EditOp, apply_edits};
pub use event::Event;
pub use outcome::{Outcome, OutcomeCount, Reason};
pub use path::{Path, PathError};
pub use record::{BadRecord, Body, EventId, Meta, Millis, Offset, Partition, ProjectId, Record};
pub use selector::{Grants, Selector, SelectorError};
