//! What ingest is told when it is made.

use std::sync::Arc;
use std::time::Duration;

use host_event::{EventId, Millis};

use crate::{Limits, Network, Projects};

/// Gives the time: libraries do not look at the clock.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;
/// Gives ids for events that come without one. They must be as random as a version 4 UUID, since events are sampled and
/// spread over partitions by them.
pub type Ids = Arc<dyn Fn() -> EventId + Send + Sync>;

#[derive(Debug)]
pub struct IngestConfig {
    pub limits: Limits,
    pub projects: Projects,
    /// Peers whose `X-Forwarded-For` and `Forwarded` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Bytes of all bodies that are being read, sorted and appended. Beyond it there is 503.
    pub memory_bytes_max: usize,
    /// Large bodies that are decompressed and parsed at a time, away from the reactor. Each may need its decoder's
    /// window and ten times its largest item.
    pub large_jobs_max: usize,
    /// How long a client may be silent within a body.
    pub body_idle_max: Duration,
    /// How long a whole body may take.
    pub body_time_max: Duration,
    /// What `Retry-After` says with 503.
    pub retry_after_s: u64,
}

impl IngestConfig {
    pub fn new(projects: Projects) -> IngestConfig {
        IngestConfig {
            limits: Limits::default(),
            projects,
            trusted_proxies: Vec::new(),
            memory_bytes_max: 256 << 20,
            large_jobs_max: 2,
            body_idle_max: Duration::from_secs(10),
            body_time_max: Duration::from_secs(300),
            retry_after_s: 10,
        }
    }
}
