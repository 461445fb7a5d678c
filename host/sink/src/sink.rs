//! The sink itself: chunks and errands begin here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use host_event::Partition;
use host_pipeline::{Chunk, ChunkPlace, Errand, Sink, note_of};
use tokio::runtime::Handle;

use crate::chunk::ParquetChunk;
use crate::commit::Purpose;
use crate::encode::FileLimits;
use crate::errand::{ChunkErrand, TailErrand};
use crate::ledger::Names;
use crate::publish::publish_schema;
use crate::store::{OpenError, OpenedStore, Store, prove};
use crate::tails::Tails;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// Names the queue; offsets are unique within source, epoch and partition. Letters, digits, `_`, `.` and `-` only.
    pub source: String,
    pub files: FileLimits,
    /// Writes to a store although two can create one object in it.
    pub allow_unsafe: bool,
}

impl SinkConfig {
    pub fn new(source: impl Into<String>) -> SinkConfig {
        SinkConfig { source: source.into(), files: FileLimits::default(), allow_unsafe: false }
    }
}

/// Writes chunks as Parquet files to a store.
pub struct ParquetSink(Arc<Shared>);

/// What all chunks of a sink share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) config: SinkConfig,
    nonce: String,
    attempts: AtomicU64,
    pub(crate) tails: Tails,
    #[cfg(test)]
    pub(crate) mistake: Option<crate::simulation::Mistake>,
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
        prove(store.as_ref(), url, &format!("{nonce:032x}"), config.allow_unsafe)?;
        publish_schema(store.as_ref())?;
        Ok(ParquetSink(Arc::new(Shared::new(store, config, nonce))))
    }

    /// Without looking at the store first.
    #[cfg(test)]
    pub(crate) fn bare(
        store: Arc<dyn Store>,
        config: SinkConfig,
        nonce: u128,
        mistake: Option<crate::simulation::Mistake>,
    ) -> ParquetSink {
        ParquetSink(Arc::new(Shared { mistake, ..Shared::new(store, config, nonce) }))
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0.store)
    }
}

impl Sink for ParquetSink {
    fn find(&self, place: ChunkPlace) -> Box<dyn Errand> {
        Box::new(ChunkErrand::new(Arc::clone(&self.0), place, Purpose::Find, Vec::new()))
    }

    fn tail(&self, partition: Partition, note: Option<&str>) -> Box<dyn Errand> {
        Box::new(TailErrand::new(Arc::clone(&self.0), partition, note))
    }

    fn note(&self, place: ChunkPlace) -> String {
        note_of(&Names::new(&self.0.config.source, place).ledger())
    }

    fn begin(&self, place: ChunkPlace) -> Box<dyn Chunk> {
        Box::new(ParquetChunk::new(Arc::clone(&self.0), place))
    }
}

impl Shared {
    pub(crate) fn new(store: Arc<dyn Store>, config: SinkConfig, nonce: u128) -> Shared {
        let (nonce, attempts) = (format!("{nonce:032x}"), AtomicU64::new(0));
        Shared {
            store,
            config,
            nonce,
            attempts,
            tails: Tails::default(),
            #[cfg(test)]
            mistake: None,
        }
    }

    /// Different for each attempt: an earlier one of this very process may have fixed another end.
    pub(crate) fn next_nonce(&self) -> String {
        #[cfg(test)]
        if self.mistake == Some(crate::simulation::Mistake::NonceOfProcess) {
            return self.nonce.clone();
        }
        format!("{}-{}", self.nonce, self.attempts.fetch_add(1, Relaxed))
    }
}
