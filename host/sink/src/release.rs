//! Release from quarantine: items go through the stages of another generation, and those that pass become rows, each of them once.
//!
//! # Rounds
//! The items of one chunk are released in rounds, 1, 2, 3, … A round is a chunk of its own beside that of its items: the same source,
//! epoch, partition, range and folder, and the round's number at the end of its name (`…-o00000000000000004711-r00001.parquet`). Its
//! ledger lists the offsets that it releases, takes their outcome `quarantined` back, and says the new one. What is in quarantine is
//! what the tables of quarantine have, less what the ledgers of the rounds list. Nothing is ever changed or overwritten.
//!
//! # Why no item is released twice
//! A ledger can be created only once, by whomever. An operator creates the ledger of round n only after having read those of the rounds
//! 1 to n-1 and found none for n, and lists only offsets that none of them lists. Ledgers do not change. So the offsets of round n are not
//! among those of the rounds before it, whoever wrote them and whenever: by induction no offset is in two rounds. Of two operators who
//! create the ledger of round n at once, one is refused: it reads what the other one released, and goes on with what is left. Doing
//! all again finds nothing left.
//!
//! # Why nothing is lost
//! A ledger promises rows, so the rows must exist before it does. But where tables are read, they must not lie before their ledger
//! does: those of the operator who is refused would count. So every table file is first written below `control/release/`, in a folder of
//! this very attempt, then the ledger is created, which names the attempt, and then the files are created where tables are, byte for
//! byte. After a crash behind the ledger, whoever comes next does the last step: copying needs no plugin, and gives the same bytes, so
//! it does not matter how many do it at once. A crash before the ledger leaves a folder that no ledger names, which the next
//! round of that chunk takes away. `verify` calls a round unfinished until its files are there.
//!
//! # Why nothing goes out unscrubbed
//! See `stages`: which stages an item still has to go through, and which it must not go through twice.

pub(crate) mod round;
mod stages;

use std::collections::BTreeMap;
use std::sync::Arc;

use host_event::{Outcome, ProjectId};
use host_pipeline::generation::{Manifest, Rollout, Shelf};
use host_pipeline::{Chunk, ChunkPlace, Closing, Link, RecordedEnd, SinkError};
use serde::Serialize;
use thiserror::Error;

use crate::chunk::{Encoded, ParquetChunk};
use crate::encode::FileLimits;
use crate::file::TableFile;
use crate::ledger::{Ledger, Names};
use crate::quarantine::{self, Depth, Held, QuarantineError, QuarantineFile, Selection};
use crate::sink::{Shared, SinkConfig};
use crate::store::{Store, StoreError, probe};
use crate::verify::Progress;
use round::Created;
use stages::{Released, Settlement, Stages};

/// The stages that items are released through.
pub struct Through<'a> {
    pub manifest: &'a Manifest,
    /// Instantiates the stages of the manifest, in their order.
    pub links: &'a dyn Fn() -> Result<Vec<Link>, String>,
    /// Where the generations are that the items come from.
    pub shelf: &'a dyn Shelf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseConfig {
    pub selection: Selection,
    /// Says what would happen, and writes nothing.
    pub dry_run: bool,
    /// Random, and different for each process.
    pub nonce: u128,
    pub files: FileLimits,
    /// Writes to a store although two can create one object in it.
    pub allow_unsafe: bool,
}

/// What a release did.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Summary {
    /// Items that were asked for and in quarantine.
    pub selected: u64,
    /// Items that were asked for and had been released before, by this or another operator.
    pub released_before: u64,
    /// Items that left quarantine: their outcome, and its reason.
    pub released: BTreeMap<(String, String), u64>,
    /// Items that did not: the stage and the reason.
    pub stayed: BTreeMap<(String, String), u64>,
    /// The first of them.
    pub stayed_items: Vec<Stayed>,
    /// Rounds that were written.
    pub rounds: u64,
    /// Rounds that an earlier release had left unfinished, and that are finished now.
    pub finished: u64,
    /// Files of which nothing could be released, and why.
    pub problems: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stayed {
    pub project_id: ProjectId,
    pub event_id: String,
    pub stage: String,
    pub reason: String,
    pub detail: String,
}

/// Of the items that stayed, so many are listed.
const STAYED_ITEMS_MAX: usize = 1000;

#[derive(Debug, Error)]
pub enum ReleaseError {
    #[error("store {0}")]
    Store(#[from] StoreError),
    #[error("the store does not keep what it promises: {0}; nothing was released")]
    Lies(String),
    #[error(
        "generation {generation} is a shadow, which decides about nothing: release through one that decides"
    )]
    Shadow { generation: u64 },
    #[error("the stages of generation {generation} can not be made: {what}")]
    Stages { generation: u64, what: String },
    #[error(transparent)]
    Chunk(#[from] SinkError),
    /// What is in the store contradicts itself.
    #[error("{path}: {what}")]
    Broken { path: String, what: String },
}

/// Why a file's items are not released.
enum Failed {
    /// The release ends: others would fail as well.
    All(ReleaseError),
    /// It goes on with the next file.
    File(String),
}

impl<E: Into<ReleaseError>> From<E> for Failed {
    fn from(e: E) -> Failed {
        Failed::All(e.into())
    }
}

fn of_file(e: QuarantineError) -> Failed {
    match e {
        QuarantineError::Store(e) => Failed::All(e.into()),
        QuarantineError::File { path, what } => Failed::File(format!("{path}: {what}")),
    }
}

/// Releases what is selected, chunk by chunk. May be repeated at any time, and be done by several at once.
pub fn release(
    store: &Arc<dyn Store>,
    through: &Through<'_>,
    config: &ReleaseConfig,
    progress: &mut dyn Progress,
) -> Result<Summary, ReleaseError> {
    let generation = through.manifest.generation;
    if matches!(through.manifest.rollout, Rollout::Shadow(_)) {
        return Err(ReleaseError::Shadow { generation });
    }
    if !config.dry_run {
        match probe(store.as_ref(), &format!("{:032x}", config.nonce))? {
            Err(what) if !config.allow_unsafe => return Err(ReleaseError::Lies(what)),
            _ => {}
        }
    }
    let files = quarantine::files(store.as_ref(), config.selection.since)?;
    let mut releaser = Releaser {
        store,
        config,
        generation,
        stages: Stages::new(through),
        sources: BTreeMap::new(),
        summary: Summary::default(),
    };
    for (done, file) in files.iter().enumerate() {
        match releaser.release_file(file) {
            Ok(()) => {}
            Err(Failed::File(what)) => releaser.summary.problems.push(what),
            Err(Failed::All(e)) => return Err(e),
        }
        progress.chunk(done + 1, files.len());
    }
    Ok(releaser.summary)
}

struct Releaser<'a> {
    store: &'a Arc<dyn Store>,
    config: &'a ReleaseConfig,
    generation: u64,
    stages: Stages<'a>,
    /// What writes chunks, by source.
    sources: BTreeMap<String, Arc<Shared>>,
    summary: Summary,
}

impl Releaser<'_> {
    fn release_file(&mut self, file: &QuarantineFile) -> Result<(), Failed> {
        let origin = self.origin(&file.names)?;
        let items = quarantine::rows(self.store, file, &self.config.selection, Depth::Payloads);
        let mut items = items.map_err(of_file)?;
        let selected = items.len();
        loop {
            let rounds = quarantine::rounds(self.store, &file.names).map_err(of_file)?;
            self.finish(&rounds)?;
            let released = quarantine::released(&rounds);
            items.retain(|held| !released.contains_key(&held.offset));
            let mut settlement = self.stages.settle(&origin, &items)?;
            let mut done = Summary::of(selected - items.len(), items.len(), &mut settlement);
            if settlement.released.is_empty() || self.config.dry_run {
                self.summary.add(done);
                return Ok(());
            }
            let encoded = self.encode(&origin, rounds.len() as u32 + 1, &items, settlement)?;
            let names = Names::of(&encoded.ledger);
            if round::create(self.store.as_ref(), &names, &encoded)? == Created::Mine {
                round::finish(self.store.as_ref(), &names, &encoded.ledger)?;
                done.rounds = 1;
                self.summary.add(done);
                return Ok(());
            }
            tracing::info!(round = names.ledger(), "another operator was first: looking at what is left");
        }
    }

    /// The ledger of the chunk that the items are of. Without it nobody vouches for them.
    fn origin(&self, names: &Names) -> Result<Ledger, Failed> {
        let path = names.ledger();
        let failed = |what: String| Failed::File(format!("{path}: {what}"));
        let file = TableFile::open(self.store, &path)?.map_err(failed)?;
        let file = file.ok_or_else(|| failed("there is no ledger for what is in quarantine".into()))?;
        let ledger = Ledger::of(file.metadata()).map_err(failed)?;
        match Names::of(&ledger) == *names {
            true => Ok(ledger),
            false => Err(failed(format!("its ledger belongs to {}", Names::of(&ledger).ledger()))),
        }
    }

    /// Does for earlier rounds what their operators did not come to.
    fn finish(&mut self, rounds: &[Ledger]) -> Result<(), Failed> {
        if self.config.dry_run {
            return Ok(());
        }
        for ledger in rounds {
            let was_unfinished = round::finish(self.store.as_ref(), &Names::of(ledger), ledger)?;
            self.summary.finished += u64::from(was_unfinished);
        }
        Ok(())
    }

    fn encode(
        &mut self,
        origin: &Ledger,
        number: u32,
        items: &[Held],
        settlement: Settlement,
    ) -> Result<Encoded, ReleaseError> {
        let Ledger { partition, epoch, start, queued_at, .. } = *origin;
        let shared = self.shared(&origin.source);
        let place = ChunkPlace { partition, epoch, start, queued_at };
        let mut chunk = ParquetChunk::of_round(shared, place, number);
        chunk.turn(self.generation);
        for Released { item, settled } in settlement.released {
            let held = &items[item];
            let end = RecordedEnd {
                category: held.category,
                outcome: Outcome::Quarantined,
                reason: held.reason.clone().into(),
                stage: held.stage.as_str().into(),
            };
            chunk.take_back(&held.meta, held.offset, held.generation, &end);
            chunk.push(settled);
        }
        settlement.notes.into_iter().for_each(|note| chunk.note(note));
        Ok(chunk.encode(Closing::at(origin.end))?)
    }

    fn shared(&mut self, source: &str) -> Arc<Shared> {
        let shared = self.sources.entry(source.to_owned()).or_insert_with(|| {
            let config = SinkConfig { files: self.config.files.clone(), ..SinkConfig::new(source) };
            Arc::new(Shared::new(Arc::clone(self.store), config, self.config.nonce))
        });
        Arc::clone(shared)
    }
}

impl Summary {
    /// What is said of the items of one chunk.
    fn of(before: usize, selected: usize, settlement: &mut Settlement) -> Summary {
        let mut summary = Summary {
            selected: selected as u64,
            released_before: before as u64,
            stayed_items: std::mem::take(&mut settlement.stayed),
            ..Summary::default()
        };
        for released in &settlement.released {
            *summary.released.entry(released.outcome()).or_default() += 1;
        }
        for Stayed { stage, reason, .. } in &summary.stayed_items {
            *summary.stayed.entry((stage.clone(), reason.clone())).or_default() += 1;
        }
        summary
    }

    fn add(&mut self, other: Summary) {
        self.selected += other.selected;
        self.released_before += other.released_before;
        self.rounds += other.rounds;
        for (all, more) in [(&mut self.released, other.released), (&mut self.stayed, other.stayed)] {
            more.into_iter().for_each(|(key, n)| *all.entry(key).or_default() += n);
        }
        let left = STAYED_ITEMS_MAX.saturating_sub(self.stayed_items.len());
        self.stayed_items.extend(other.stayed_items.into_iter().take(left));
    }
}
