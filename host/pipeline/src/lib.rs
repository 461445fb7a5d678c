//! From the queue to the sink: consume, run the stages, group, fill chunks, commit. Owns the ports `Stage` and `Sink`.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod chain;
mod draft;
mod draw;
pub mod generation;
mod items;
mod latency;
mod plan;
mod settle;
mod sink;
mod stage;
pub mod trial;
mod worker;

pub use chain::{Chain, Decision, Link, Verdict};
pub use draw::draw;
pub use items::Item;
pub use latency::Latency;
pub use plan::{Canary, Lane, Plan, Tap, Tapped};
pub use settle::{Settler, Unsettled, group_of};
pub use sink::{
    Accepted, Chunk, ChunkPlace, Closed, End, Found, PassedOver, Recorded, RecordedEnd, Settled, Sink,
    SinkError,
};
pub use stage::{Answer, FailurePolicy, Fault, Fingerprint, Rates, Stage, StageAnswer, StageKind, Verdicts};
pub use worker::{Plans, Stop, Worker, WorkerConfig, WorkerError, WorkerMetrics};
