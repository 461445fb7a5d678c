//! The durable, ordered log between ingest and pipeline: the port, and the implementations behind it.
//!
//! [`Queue`] is all that the other crates know. [`Embedded`] keeps it in a directory, [`Kafka`] in a topic, [`Memory`] in
//! memory for their tests, and [`conformance`] holds all of them to the same promises.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bell;
pub mod conformance;
mod embedded;
mod kafka;
mod memory;
mod port;

pub use embedded::{Clock, Embedded, EmbeddedConfig};
pub use kafka::{Kafka, KafkaConfig, KafkaStats, Oidc, Role, Token, TokenSource, check_options, oidc};
pub use memory::Memory;
pub use port::{Appending, Committed, Error, Lease, Queue, ReadLimit, Resume, Shared, Stored};
