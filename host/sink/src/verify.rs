//! Proof from the store alone: every offset has exactly one outcome, and everything that a ledger names is there.
//!
//! Folders of an hour are listed one after the other, the newest first, and their chunks looked at in parallel, each with a bit for each of its
//! offsets. What stays in memory are 24 bytes for each chunk (`chains`), sums, and a bounded list of breaches.
//!
//! The store may be in use meanwhile. A chunk that was begun behind the listing is seen by nobody, or leaves a hole between others that
//! were seen; so where there seems to be a hole, names are listed again before it is called one.
//!
//! Whether the last chunk of a chain is the last, the store can not know. Who knows the queue says how far it is committed.

mod chains;
mod chunk;
mod committed;
mod findings;
mod folders;
mod pool;
mod report;
mod seam;

pub use committed::Committed;
pub use report::{Breach, BreachKind, Chain, Conserved, Report, Seam};

pub(crate) use chains::ChainId;
pub(crate) use findings::ledger_of;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use host_event::Millis;

use crate::file::TableFile;
use crate::ledger::{Ledger, Names};
use crate::store::{Entry, Store, StoreError};
use chains::Chains;
use chunk::{Bits, Proof};
use findings::Findings;
use folders::Folder;
use pool::{Shared, Work};
use report::{Order, Part};

/// Hears how far the proof is.
pub trait Progress {
    fn chunk(&mut self, done: usize, of: usize);
    /// Where the number of chunks is only known at the end.
    fn folder(&mut self, _done: usize, _of: usize, _chunks: u64) {}
}

/// For whoever does not want to hear.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn chunk(&mut self, _done: usize, _of: usize) {}
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyConfig {
    /// Threads that look at chunks. They wait for the store most of the time.
    pub jobs: usize,
    /// Folders of hours that were over by then are not read.
    pub since: Option<Millis>,
    /// What the queue said before the store was read: all before that must be in chunks.
    pub committed: Vec<Committed>,
}

impl Default for VerifyConfig {
    fn default() -> VerifyConfig {
        let jobs = thread::available_parallelism().map_or(2, usize::from);
        VerifyConfig { jobs, since: None, committed: Vec::new() }
    }
}

/// A ledger and its file.
struct Chunk {
    ledger: Ledger,
    path: String,
    file: TableFile,
}

/// Table files of a folder by path, with their sizes.
type Sizes = BTreeMap<String, u64>;

/// The files of one chunk and its rounds of release.
#[derive(Default)]
struct Group {
    ledgers: Vec<Entry>,
    sizes: Sizes,
}

/// Reads the whole store.
pub fn verify(store: &Arc<dyn Store>, progress: &mut dyn Progress) -> Result<Report, StoreError> {
    verify_with(store, &VerifyConfig::default(), progress)
}

/// Chunks that wait for each thread.
const CHUNKS_AHEAD: usize = 16;
const SHOWN_EVERY: Duration = Duration::from_millis(200);

/// The same, as somebody wants it.
pub fn verify_with(
    store: &Arc<dyn Store>,
    config: &VerifyConfig,
    progress: &mut dyn Progress,
) -> Result<Report, StoreError> {
    let jobs = config.jobs.max(1);
    let (folders, before) = folders::folders(store, config.since, jobs)?;
    let of = folders.len();
    let shared = Shared::new(folders, jobs * CHUNKS_AHEAD);
    let chains = Mutex::new(Chains::default());
    let findings = thread::scope(|scope| {
        let run = || look(store, &shared, &chains);
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(run)).collect();
        shared.watch(jobs, SHOWN_EVERY, |done| progress.folder(done.folders, of, done.parts));
        let mut all = Findings::default();
        for thread in threads {
            all.add(thread.join().expect("looking at chunks does not panic"));
        }
        all
    });
    if let Some(error) = shared.failed() {
        return Err(error);
    }
    let mut chains = chains.into_inner().unwrap_or_else(PoisonError::into_inner);
    committed::look_for_last(store, &mut chains, &config.committed)?;
    seam::look_again(store, &mut chains, &before, config.since.is_some())?;
    let mut report = findings.close(store.as_ref(), &chains)?;
    report.since = config.since.and_then(|since| folders::tail_of(since.div_euclid(3_600_000)));
    for split in chains.check(config.since.is_some(), &mut report) {
        let hint = seam::hint(store, &split)?;
        report.hints.push(hint);
    }
    chains.check_committed(&config.committed, config.since.is_some(), &mut report);
    report.close();
    Ok(report)
}

/// What one thread does: chunks, and when they run out another folder.
fn look(store: &Arc<dyn Store>, shared: &Shared<Folder, Group>, chains: &Mutex<Chains>) -> Findings {
    let _leave = shared.join();
    let mut findings = Findings::default();
    while let Some(work) = shared.next() {
        let done = match work {
            Work::Open(folder) => folder.groups(store.as_ref()).map(|groups| shared.opened(groups)),
            Work::Part(group) => prove(store, group, chains, &mut findings).map(|()| shared.done()),
        };
        if let Err(error) = done {
            shared.fail(error);
        }
    }
    findings
}

/// Proves a chunk with its rounds of release.
fn prove(
    store: &Arc<dyn Store>,
    mut group: Group,
    chains: &Mutex<Chains>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let ledgers = std::mem::take(&mut group.ledgers);
    for path in group.sizes.keys() {
        let ledger = ledger_of(path);
        if !ledgers.iter().any(|entry| entry.path == ledger) {
            findings.orphan(store.as_ref(), path.clone())?;
        }
    }
    let read = read_ledgers(store, ledgers, findings)?;
    let (mut rounds, chunks): (Vec<_>, Vec<_>) =
        read.into_iter().partition(|chunk| chunk.ledger.release.is_some());
    rounds.sort_by_key(|round| round.ledger.release.as_ref().map_or(0, |round| round.number));
    for chunk in chunks {
        chains.lock().unwrap_or_else(PoisonError::into_inner).push(&chunk.ledger, &chunk.path);
        check_place(&chunk, findings);
        let mut held = Proof::new(store, &chunk, &group.sizes, findings).run()?;
        let (own, others) = rounds.into_iter().partition(|round| is_of(round, &chunk));
        rounds = others;
        prove_rounds(store, own, &group.sizes, &mut held, findings)?;
    }
    for round in rounds {
        let what = "there is no chunk whose items it could release".into();
        let breach = Breach::new(BreachKind::Orphan, &round.path, what);
        let Ledger { partition, start, .. } = round.ledger;
        findings.report.breach(order(&round.ledger, Part::Chunks), breach.at(partition, start));
    }
    Ok(())
}

fn prove_rounds(
    store: &Arc<dyn Store>,
    rounds: Vec<Chunk>,
    sizes: &Sizes,
    held: &mut Bits,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let mut expected = 1;
    for round in rounds {
        check_number(&round, &mut expected, findings);
        Proof::new(store, &round, sizes, findings).run_round(held)?;
    }
    Ok(())
}

fn read_ledgers(
    store: &Arc<dyn Store>,
    entries: Vec<Entry>,
    findings: &mut Findings,
) -> Result<Vec<Chunk>, StoreError> {
    let mut chunks = Vec::new();
    for Entry { path, size } in entries {
        let opened = TableFile::open_listed(store, &path, size)?;
        let read = opened.and_then(|file| Ok((Ledger::of(file.metadata())?, file)));
        match read {
            Ok((ledger, file)) => chunks.push(Chunk { ledger, path, file }),
            Err(what) => {
                let breach = Breach::new(BreachKind::UnreadableLedger, &path, what);
                findings.report.breach(Order::of(Part::Ledgers), breach);
            }
        }
    }
    Ok(chunks)
}

/// Whether the items that a round releases are of that chunk.
fn is_of(round: &Chunk, chunk: &Chunk) -> bool {
    let key = |l: &Ledger| (ChainId::of(l), l.start, l.queued_at);
    key(&round.ledger) == key(&chunk.ledger)
}

/// Rounds count up from 1: of one that is gone, the items that it released would count as held.
fn check_number(round: &Chunk, expected: &mut u32, findings: &mut Findings) {
    check_place(round, findings);
    let Ledger { partition, start, ref release, .. } = round.ledger;
    let number = release.as_ref().map_or(0, |round| round.number);
    if number != *expected {
        let what = format!("it is round {number} of its chunk, and there is no round {expected}");
        let breach = Breach::new(BreachKind::Gap, &round.path, what).at(partition, start);
        findings.report.breach(order(&round.ledger, Part::Chunks), breach);
    }
    *expected = number.saturating_add(1);
}

fn check_place(chunk: &Chunk, findings: &mut Findings) {
    let (l, expected) = (&chunk.ledger, Names::of(&chunk.ledger).ledger());
    if expected != chunk.path {
        let what = format!("its ledger belongs to {expected}");
        let breach = Breach::new(BreachKind::Misplaced, &chunk.path, what).at(l.partition, l.start);
        findings.report.breach(order(l, Part::Places), breach.see(expected));
        findings.claim(l);
    }
}

fn order(ledger: &Ledger, part: Part) -> Order {
    let round = ledger.release.as_ref().map_or(0, |round| round.number);
    Order { round, ..ChainId::of(ledger).order(part, ledger.start) }
}
