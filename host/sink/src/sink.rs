//! The sink itself: chunks are opened here, and their decisions carried out, with patience for a store that is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use host_pipeline::{Chunk, ChunkPlace, Closed, Found, Recorded, Sink, SinkError};
use tokio::runtime::Handle;

use crate::chunk::{Encoded, ParquetChunk};
use crate::commit::{Facts, Files, Finish, Purpose, step};
use crate::encode::FileLimits;
use crate::ledger::{Ledger, Names};
use crate::publish::publish_schema;
use crate::recorded;
use crate::schema::Table;
use crate::store::{OpenError, OpenedStore, Store, StoreError, probe};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// Names the queue; offsets are unique within source, epoch and partition. Letters, digits, `_`, `.` and `-` only.
    pub source: String,
    /// Counts up when a queue is processed anew from an earlier offset on purpose; a chain never goes back by itself.
    pub epoch: u32,
    pub files: FileLimits,
    pub patience: Patience,
}

impl SinkConfig {
    pub fn new(source: impl Into<String>) -> SinkConfig {
        SinkConfig {
            source: source.into(),
            epoch: 0,
            files: FileLimits::default(),
            patience: Patience::default(),
        }
    }
}

/// How long a store that is away is tried again before the caller hears of it: short, since whoever has to stop must not wait for it
/// in here. The caller's patience is longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    pub wait_min: Duration,
    pub wait_max: Duration,
    /// All waits of one chunk together.
    pub waits_max: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            wait_min: Duration::from_millis(50),
            wait_max: Duration::from_millis(500),
            waits_max: Duration::from_secs(2),
        }
    }
}

/// Writes chunks as Parquet files to a store.
pub struct ParquetSink(Arc<Shared>);

/// What all chunks of a sink share.
pub(crate) struct Shared {
    store: Arc<dyn Store>,
    pub(crate) config: SinkConfig,
    nonce: String,
    attempts: AtomicU64,
}

impl ParquetSink {
    /// Opens the store at `url` (see [`OpenedStore::open`]), makes sure that it keeps its promise, and publishes the newest schema. `nonce` is
    /// random, and different for each process that ever opens the store.
    pub fn open(
        url: &str,
        config: SinkConfig,
        nonce: u128,
        runtime: Handle,
    ) -> Result<ParquetSink, OpenError> {
        let store = OpenedStore::open(url, runtime)?;
        ParquetSink::with_store(Arc::new(store), url, config, nonce)
    }

    /// The same for a store that is open already; `url` is for messages.
    pub fn with_store(
        store: Arc<dyn Store>,
        url: &str,
        config: SinkConfig,
        nonce: u128,
    ) -> Result<ParquetSink, OpenError> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if config.source.is_empty() || !config.source.chars().all(is_name) {
            let what = format!("the source {:?} can not be part of a file's name", config.source);
            return Err(OpenError::Unusable { url: url.into(), what });
        }
        if let Err(what) = probe(store.as_ref(), &format!("{nonce:032x}"))? {
            return Err(OpenError::Lies { url: url.into(), what });
        }
        publish_schema(store.as_ref())?;
        Ok(ParquetSink(Arc::new(Shared::new(store, config, nonce))))
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0.store)
    }
}

impl Sink for ParquetSink {
    fn find(&self, place: ChunkPlace) -> Result<Option<Found>, SinkError> {
        match self.0.carry_out(place, Purpose::Find, &[])? {
            Finish::Found(found) => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    fn recorded(&self, place: ChunkPlace) -> Result<Recorded, SinkError> {
        self.0.recorded(place)
    }

    fn begin(&self, place: ChunkPlace) -> Box<dyn Chunk> {
        Box::new(ParquetChunk::new(Arc::clone(&self.0), place))
    }
}

impl Shared {
    pub(crate) fn new(store: Arc<dyn Store>, config: SinkConfig, nonce: u128) -> Shared {
        Shared { store, config, nonce: format!("{nonce:032x}"), attempts: AtomicU64::new(0) }
    }

    /// Different for each attempt: an earlier one of this very process may have fixed another end.
    pub(crate) fn next_nonce(&self) -> String {
        format!("{}-{}", self.nonce, self.attempts.fetch_add(1, Relaxed))
    }

    pub(crate) fn close(
        &self,
        place: ChunkPlace,
        purpose: Purpose,
        encoded: &Encoded,
    ) -> Result<Closed, SinkError> {
        match self.carry_out(place, purpose, &encoded.bodies)? {
            Finish::Found(found) => Ok(Closed::Lost(found)),
            _ => Ok(Closed::Done),
        }
    }

    pub(crate) fn rebuild(
        &self,
        place: ChunkPlace,
        purpose: Purpose,
        encoded: &Encoded,
    ) -> Result<(), SinkError> {
        self.carry_out(place, purpose, &encoded.bodies).map(|_| ())
    }

    /// Reads what the ledger says of single records. The caller has the patience here: it waits and finds the chunk again.
    fn recorded(&self, place: ChunkPlace) -> Result<Recorded, SinkError> {
        let path = Names::new(&self.config.source, self.config.epoch, place).ledger();
        let ChunkPlace { partition, start: offset, .. } = place;
        let fatal = |what: String| SinkError::Fatal { partition, offset, what: format!("{path}: {what}") };
        match self.store.read(&path) {
            Ok(Some(file)) => recorded::read(file).map_err(fatal),
            Ok(None) => Err(fatal("the ledger that was found is gone".into())),
            Err(StoreError { path, what, is_transient: true }) => Err(SinkError::Retry { path, what }),
            Err(StoreError { what, .. }) => Err(fatal(what)),
        }
    }

    /// One step after the other until it is decided. Steps that teach nothing, because the store fails or says that there is something
    /// where there is nothing, cost patience.
    fn carry_out(
        &self,
        place: ChunkPlace,
        purpose: Purpose,
        bodies: &[(Table, Bytes)],
    ) -> Result<Finish, SinkError> {
        let names = Names::new(&self.config.source, self.config.epoch, place);
        let files = Files { names: &names, bodies, read_ledger: Ledger::read };
        let ChunkPlace { partition, start: offset, .. } = place;
        let fatal = |what: String| SinkError::Fatal { partition, offset, what };
        let mut facts = Facts::new(purpose);
        let mut waits = Waits::new(&self.config.patience, &self.nonce, place.start);
        let mut steps = 0;
        loop {
            let error = match step(self.store.as_ref(), &files, &mut facts) {
                Ok(Some(Finish::Broken(what))) => return Err(fatal(what)),
                Ok(Some(finish)) => return Ok(finish),
                Ok(None) if steps < STEPS_WITHOUT_WAIT_MAX => {
                    steps += 1;
                    continue;
                }
                Ok(None) => StoreError {
                    path: names.ledger(),
                    what: "the store says that an object exists, and has nothing there".into(),
                    is_transient: true,
                },
                Err(error) => error,
            };
            let StoreError { path, what, is_transient } = error;
            if !is_transient {
                return Err(fatal(format!("{path}: {what}")));
            }
            let Some(wait) = waits.next() else { return Err(SinkError::Retry { path, what }) };
            tracing::debug!(path, ?wait, "object store: {what}");
            thread::sleep(wait);
        }
    }
}

/// More than any honest run needs: the ledger and seven tables, each refused, sought and created.
const STEPS_WITHOUT_WAIT_MAX: usize = 40;

/// Waits that double, each with a jitter drawn from the nonce, so that writers that were refused together do not come back together.
struct Waits<'a> {
    patience: &'a Patience,
    wait: Duration,
    spent: Duration,
    draw: u64,
}

impl<'a> Waits<'a> {
    fn new(patience: &'a Patience, nonce: &str, offset: u64) -> Waits<'a> {
        let mix = |seed: u64, b: u8| (seed ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        let draw = nonce.bytes().fold(offset ^ 0xcbf2_9ce4_8422_2325, mix);
        Waits { patience, wait: patience.wait_min, spent: Duration::ZERO, draw }
    }
}

impl Iterator for Waits<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.spent >= self.patience.waits_max {
            return None;
        }
        self.draw = self.draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = 0.5 + (self.draw >> 40) as f64 / (1u64 << 25) as f64;
        let wait = self.wait.mul_f64(share);
        self.spent += wait;
        self.wait = (self.wait * 2).min(self.patience.wait_max);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_jitter_and_end() {
        let patience = Patience::default();
        let waits: Vec<_> = Waits::new(&patience, "a", 7).collect();
        let sum: Duration = waits.iter().sum();
        assert!(sum >= patience.waits_max && sum < patience.waits_max + patience.wait_max, "{sum:?}");
        assert!(waits[0] >= patience.wait_min / 2 && waits[0] < patience.wait_min);
        assert_ne!(waits, Waits::new(&patience, "b", 7).collect::<Vec<_>>());
    }
}
