//! The durable, ordered log between ingest and pipeline: the port, and the embedded implementation behind it.
//!
//! [`Queue`] is all that the other crates know. [`Embedded`] keeps it in a directory, [`Memory`] in memory for their
//! tests, and [`conformance`] holds both, and whatever comes later, to the same promises.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod conformance;
mod embedded;
mod memory;
mod port;

pub use embedded::{Clock, Embedded, EmbeddedConfig};
pub use memory::Memory;
pub use port::{Appending, Error, Queue, ReadLimit, Stored};
