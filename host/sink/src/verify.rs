//! Proof from the store alone: every offset has exactly one outcome, and everything that a ledger names is there.
//!
//! One chunk is looked at after the other, with a bit for each of its offsets, so memory does not grow with the store.

mod chunk;
mod report;

pub use report::{Breach, BreachKind, Chain, Conserved, Report};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::file::TableFile;
use crate::ledger::{Ledger, Names};
use crate::schema::Table;
use crate::store::{Store, StoreError};
use chunk::Proof;

/// Hears how far the proof is.
pub trait Progress {
    fn chunk(&mut self, done: usize, of: usize);
}

/// For whoever does not want to hear.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn chunk(&mut self, _done: usize, _of: usize) {}
}

/// A ledger and its file.
struct Chunk {
    ledger: Ledger,
    path: String,
}

/// Reads the whole store. It may be in use meanwhile: what was begun after the listing is left out.
pub fn verify(store: &Arc<dyn Store>, progress: &mut dyn Progress) -> Result<Report, StoreError> {
    let mut report = Report::default();
    // Ledgers first: a table file can be younger than this list, and its ledger is asked for before it is called an orphan.
    let (mut rounds, mut chunks): (Vec<_>, Vec<_>) =
        read_ledgers(store, &mut report)?.into_iter().partition(|chunk| chunk.ledger.release.is_some());
    let mut files = table_files(store.as_ref())?;
    chunks.sort_by(|a, b| chain_key(&a.ledger).cmp(&chain_key(&b.ledger)));
    check_chains(&chunks, &mut report);
    rounds.sort_by(|a, b| round_key(&a.ledger).cmp(&round_key(&b.ledger)));
    let (of, mut rounds) = (chunks.len(), rounds.into_iter().peekable());
    for (done, chunk) in chunks.iter().enumerate() {
        let is_last = chunks.get(done + 1).is_none_or(|next| !same_chain(&chunk.ledger, &next.ledger));
        forget(&mut files, &chunk.ledger);
        let mut held = Proof::new(store, chunk, is_last, &mut report).run()?;
        let key = chain_key(&chunk.ledger);
        while let Some(early) = rounds.next_if(|round| chain_key(&round.ledger) < key) {
            forget(&mut files, &early.ledger);
            without_origin(&early, &mut report);
        }
        let mut expected = 1;
        while let Some(round) = rounds.next_if(|round| chain_key(&round.ledger) == key) {
            forget(&mut files, &round.ledger);
            check_number(&round, &mut expected, &mut report);
            Proof::new(store, &round, true, &mut report).run_round(&mut held)?;
        }
        progress.chunk(done + 1, of);
    }
    for round in rounds {
        forget(&mut files, &round.ledger);
        without_origin(&round, &mut report);
    }
    for path in files.into_keys() {
        check_orphan(store.as_ref(), path, &mut report)?;
    }
    report.close();
    Ok(report)
}

fn chain_key(l: &Ledger) -> (&str, u32, u32, u64, i64) {
    (&l.source, l.epoch, l.partition, l.start, l.queued_at)
}

fn round_key(l: &Ledger) -> ((&str, u32, u32, u64, i64), u32) {
    (chain_key(l), l.release.as_ref().map_or(0, |round| round.number))
}

/// The files of a chunk are no orphans.
fn forget(files: &mut BTreeMap<String, u64>, ledger: &Ledger) {
    for table in Table::DATA {
        files.remove(&Names::of(ledger).table(table));
    }
}

fn without_origin(round: &Chunk, report: &mut Report) {
    let (l, what) = (&round.ledger, "there is no chunk whose items it could release".into());
    report.breach(BreachKind::Orphan, &round.path, Some((l.partition, l.start)), what);
}

/// Rounds count up from 1: of one that is gone, the items that it released would count as held.
fn check_number(round: &Chunk, expected: &mut u32, report: &mut Report) {
    let l = &round.ledger;
    let place = Some((l.partition, l.start));
    check_place(round, report);
    let number = l.release.as_ref().map_or(0, |round| round.number);
    if number != *expected {
        let what = format!("it is round {number} of its chunk, and there is no round {expected}");
        report.breach(BreachKind::Gap, &round.path, place, what);
    }
    *expected = number.saturating_add(1);
}

fn check_place(chunk: &Chunk, report: &mut Report) {
    let (l, expected) = (&chunk.ledger, Names::of(&chunk.ledger).ledger());
    if expected != chunk.path {
        let what = format!("its ledger belongs to {expected}");
        report.breach(BreachKind::Misplaced, &chunk.path, Some((l.partition, l.start)), what);
    }
}

fn same_chain(a: &Ledger, b: &Ledger) -> bool {
    (&a.source, a.epoch, a.partition) == (&b.source, b.epoch, b.partition)
}

fn read_ledgers(store: &Arc<dyn Store>, report: &mut Report) -> Result<Vec<Chunk>, StoreError> {
    let mut chunks = Vec::new();
    for entry in store.list(Table::Outcomes.name())? {
        if !entry.path.ends_with(".parquet") {
            continue;
        }
        let opened = TableFile::open(store, &entry.path)?;
        let ledger = opened.and_then(|file| {
            file.ok_or_else(|| "it is gone".to_owned()).and_then(|f| Ledger::of(f.metadata()))
        });
        match ledger {
            Ok(ledger) => chunks.push(Chunk { ledger, path: entry.path }),
            Err(what) => report.breach(BreachKind::UnreadableLedger, &entry.path, None, what),
        }
    }
    Ok(chunks)
}

fn table_files(store: &dyn Store) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut files = BTreeMap::new();
    for table in Table::DATA {
        let entries = store.list(table.name())?.into_iter().filter(|e| e.path.ends_with(".parquet"));
        files.extend(entries.map(|e| (e.path, e.size)));
    }
    Ok(files)
}

/// A table file without a ledger: rows that nobody vouches for, unless the ledger was written after we listed.
fn check_orphan(store: &dyn Store, path: String, report: &mut Report) -> Result<(), StoreError> {
    let tail = path.split_once('/').map_or("", |(_, tail)| tail);
    if store.size(&format!("{}/{tail}", Table::Outcomes))?.is_none() {
        report.breach(BreachKind::Orphan, &path, None, "there is no ledger of that name".into());
    }
    Ok(())
}

/// The chunks of a partition form one line: no gap, no overlap, no fork.
fn check_chains(chunks: &[Chunk], report: &mut Report) {
    for chain in chunks.chunk_by(|a, b| same_chain(&a.ledger, &b.ledger)) {
        let (first, last) = (&chain[0].ledger, &chain[chain.len() - 1].ledger);
        report.chains.push(Chain {
            source: first.source.clone(),
            epoch: first.epoch,
            partition: first.partition,
            start: first.start,
            end: last.end,
            chunks: chain.len() as u64,
        });
        chain.iter().for_each(|chunk| check_place(chunk, report));
        // A later epoch begins where it was told to.
        if first.epoch == 0 && first.start > 0 {
            let what = "the chain begins here, and not at offset 0".into();
            report.breach(BreachKind::Gap, &chain[0].path, Some((first.partition, first.start)), what);
        }
        for pair in chain.windows(2) {
            let (before, after) = (&pair[0].ledger, &pair[1].ledger);
            let place = Some((after.partition, after.start));
            let what = format!("{} ends at {}", pair[0].path, before.end);
            match after.start.cmp(&before.end) {
                _ if after.start == before.start => {
                    let what = format!("{} begins there too", pair[0].path);
                    report.breach(BreachKind::Fork, &pair[1].path, place, what);
                }
                std::cmp::Ordering::Less => report.breach(BreachKind::Overlap, &pair[1].path, place, what),
                std::cmp::Ordering::Greater => report.breach(BreachKind::Gap, &pair[1].path, place, what),
                std::cmp::Ordering::Equal => {}
            }
        }
    }
}
