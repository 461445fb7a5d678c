//! HTTP bytes to authenticated, bounded, framed items in the queue.
//!
//! A request passes [`sender`](auth) (who sends), `intake` (read, decompress, bounded), [`envelope`] (frame), [`sort`]
//! (records and outcomes), and `ingest` (one append; 200 only when it is durable). `http` is the list of endpoints.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod answer;
pub mod auth;
mod config;
pub mod encoding;
pub mod envelope;
mod http;
mod ingest;
mod intake;
mod item;
mod limits;
mod list;
mod memory;
mod metrics;
mod projects;
mod refusals;
mod sender;
mod serve;
pub mod sort;
mod store;

pub use address::{BadNetwork, Network};
pub use config::{Clock, Ids, IngestConfig};
pub use ingest::{FLUSH_INTERVAL, Ingest, partition_of};
pub use item::ItemType;
pub use limits::Limits;
pub use metrics::{IngestMetrics, LATENCY_BOUNDS_US, STATUSES};
pub use projects::{BadProjects, Key, KeySpec, Project, ProjectSpec, Projects, Quota, QuotaSpec};
pub use serve::{ServeConfig, serve};
