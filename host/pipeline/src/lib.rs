//! From the queue to the sink: consume, run the stages, group, fill chunks, commit. Owns the ports `Stage` and `Sink`.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod chain;
mod crew;
mod draft;
mod draw;
pub mod generation;
mod items;
mod latency;
mod line;
mod plan;
mod resume;
mod settle;
mod sink;
mod stage;
pub mod trial;

pub use chain::{Chain, Decision, Link, Verdict};
pub use crew::{
    Claim, Crew, Memory, Partitions, Plans, Settlers, Stop, StoreHealth, Tools, WorkerConfig, WorkerMetrics,
};
pub use draw::draw;
pub use items::Item;
pub use latency::Latency;
pub use line::{Line, Means, RebuildError, Stopping, Turn, WorkerError, rebuild};
pub use plan::{Canary, Lane, Plan, Tap, Tapped};
pub use resume::{Allowed, ledger_of, note_of};
pub use settle::{Settler, Unsettled, group_of};
pub use sink::{
    Accepted, Chunk, ChunkPlace, Closing, End, Errand, Found, Mark, PassedOver, Recorded, RecordedEnd, Reply,
    Settled, Sink, SinkError, Tail,
};
pub use stage::{Answer, FailurePolicy, Fault, Fingerprint, Rates, Stage, StageAnswer, StageKind, Verdicts};
