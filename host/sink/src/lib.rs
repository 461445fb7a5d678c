//! Chunk to Arrow to Parquet to object store, ledger first.
//!
//! Records become columns as they come (`chunk`, `tables`), columns become files when a chunk is closed (`encode`), and files become durable in an order
//! that survives every crash (`commit` decides, `store` acts). `verify` proves it from the store alone.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod chunk;
mod columns;
mod commit;
mod encode;
mod errand;
mod file;
pub mod fleet;
mod ledger;
mod named;
mod nested;
mod publish;
pub mod quarantine;
mod recorded;
pub mod release;
pub mod repair;
mod schema;
#[cfg(test)]
mod simulation;
mod sink;
pub mod store;
pub mod stored;
mod tables;
mod tails;
mod verify;
mod wire;

pub use encode::FileLimits;
pub use ledger::Ledger;
pub use schema::{SCHEMA_VERSION, Table, tables_markdown};
pub use sink::{ParquetSink, SinkConfig};
pub use store::OpenError;
pub use verify::{
    Breach, BreachKind, Chain, Committed, Conserved, Progress, Report, Seam, Silent, VerifyConfig, verify,
    verify_with,
};
