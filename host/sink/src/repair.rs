//! What can be done about what `verify` found: decided here from the report and the ledgers, done by whoever was told to.
//!
//! Nothing is overwritten or deleted. What can be done is to put files into places where a ledger says that there are some and there are none:
//! those of a round of release from where they were staged, those of a chunk from the queue. All else is for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use host_event::{Millis, Offset, Partition};
use serde::Serialize;

use crate::file::TableFile;
use crate::ledger::{Ledger, Names};
use crate::named::int_column;
use crate::release::{ReleaseError, round};
use crate::schema::Table;
use crate::store::{Store, StoreError};
use crate::verify::{Breach, BreachKind, ChainId, Report, ledger_of};

/// What is to be done, in the order of the report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// What no program should decide.
    pub by_hand: Vec<ByHand>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Table files are missing behind the ledger of a chunk. The queue may still have its records.
    Rebuild(Lost),
    /// A round of release was left unfinished; its files wait where they were staged.
    FinishRound { ledger: String, missing: Vec<String> },
}

/// A chunk that lacks table files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lost {
    pub ledger: String,
    pub source: String,
    pub epoch: u32,
    pub partition: Partition,
    pub start: Offset,
    pub end: Offset,
    /// Of the first record, and of the last one if the ledger says it: the queue must have these and no others.
    pub queued_at: Millis,
    pub last_queued_at: Option<Millis>,
    pub missing: Vec<String>,
    /// The youngest of its chain: a worker does this by itself, now or at its next start.
    pub is_last: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ByHand {
    pub breach: Breach,
    /// What is known of it beyond the breach.
    pub note: Option<String>,
}

/// Decides what can be done.
pub fn plan(store: &Arc<dyn Store>, report: &Report) -> Result<Plan, StoreError> {
    let mut plan = Plan::default();
    let mut missing: BTreeMap<String, Vec<&Breach>> = BTreeMap::new();
    let mut order = Vec::new();
    for breach in &report.breaches {
        match breach.kind {
            BreachKind::MissingTable | BreachKind::Unfinished => {
                let ledger = ledger_of(&breach.file);
                let of_ledger = missing.entry(ledger.clone()).or_default();
                if of_ledger.is_empty() {
                    order.push(ledger);
                }
                of_ledger.push(breach);
            }
            BreachKind::Orphan => {
                let note = orphan_note(store, report, breach)?;
                plan.by_hand.push(ByHand { breach: breach.clone(), note });
            }
            _ => plan.by_hand.push(ByHand { breach: breach.clone(), note: None }),
        }
    }
    for path in order {
        let breaches = missing.remove(&path).unwrap_or_default();
        match step(store, &path, &breaches)? {
            Ok(step) => plan.steps.push(step),
            Err(note) => plan
                .by_hand
                .extend(breaches.into_iter().map(|b| ByHand { breach: b.clone(), note: Some(note.clone()) })),
        }
    }
    Ok(plan)
}

/// What is to be done for one ledger, or why nothing can.
fn step(
    store: &Arc<dyn Store>,
    path: &str,
    breaches: &[&Breach],
) -> Result<Result<Step, String>, StoreError> {
    let missing: Vec<String> = breaches.iter().map(|breach| breach.file.clone()).collect();
    let ledger = match read_ledger(store, path)? {
        Ok(ledger) => ledger,
        Err(what) => return Ok(Err(format!("{path}: {what}"))),
    };
    if ledger.release.is_none() {
        let Ledger { source, epoch, partition, start, end, queued_at, last, .. } = ledger;
        let last_queued_at = last.map(|mark| mark.queued_at);
        let is_last = breaches.iter().any(|breach| breach.kind == BreachKind::Unfinished);
        let ledger = path.to_owned();
        return Ok(Ok(Step::Rebuild(Lost {
            ledger,
            source,
            epoch,
            partition,
            start,
            end,
            queued_at,
            last_queued_at,
            missing,
            is_last,
        })));
    }
    let lost = round::lost(store.as_ref(), &Names::of(&ledger), &ledger)?;
    Ok(match lost.is_empty() {
        true => Ok(Step::FinishRound { ledger: path.to_owned(), missing }),
        false => Err(format!(
            "the round's ledger is there, but {} neither in its place nor staged below control/release: only a copy of the \
             store has it",
            lost.join(", ")
        )),
    })
}

fn read_ledger(store: &Arc<dyn Store>, path: &str) -> Result<Result<Ledger, String>, StoreError> {
    let opened = TableFile::open(store, path)?;
    let file = opened.and_then(|file| file.ok_or_else(|| "there is no such ledger".to_owned()));
    Ok(file.and_then(|file| Ledger::of(file.metadata())).and_then(|ledger| {
        match Names::of(&ledger).ledger() == path {
            true => Ok(ledger),
            false => Err(format!("its ledger belongs to {}", Names::of(&ledger).ledger())),
        }
    }))
}

/// Puts the files of a round in their places. May be repeated, and be done by several at once.
pub fn finish_round(store: &Arc<dyn Store>, ledger: &str) -> Result<(), ReleaseError> {
    let read = read_ledger(store, ledger)?;
    let read = read.map_err(|what| ReleaseError::Broken { path: ledger.to_owned(), what })?;
    round::finish(store.as_ref(), &Names::of(&read), &read)?;
    Ok(())
}

/// Whether the rows of a table file without a ledger are all in other chunks, too. Then they are doubles; else nobody else has them.
fn orphan_note(
    store: &Arc<dyn Store>,
    report: &Report,
    breach: &Breach,
) -> Result<Option<String>, StoreError> {
    let Some(name) = breach.file.rsplit('/').next().and_then(|name| name.rsplit_once("-o")) else {
        return Ok(None);
    };
    let chain = report.chains.iter().find(|chain| {
        let id =
            ChainId { source: chain.source.as_str().into(), epoch: chain.epoch, partition: chain.partition };
        id.prefix() == name.0
    });
    let Some(chain) = chain else {
        return Ok(Some("no ledger speaks of this partition at all".to_owned()));
    };
    let Some((first, last)) = offsets_of(store, &breach.file)? else { return Ok(None) };
    let gaps =
        report.breaches.iter().filter(|b| b.kind == BreachKind::Gap && b.partition == Some(chain.partition));
    let in_gap = gaps.filter_map(|b| b.range).find(|(start, end)| first < *end && *start <= last);
    // Without the list of all breaches nobody knows of a gap.
    let is_whole = report.breaches.len() as u64 == report.breaches_count;
    Ok(Some(match in_gap {
        Some((start, end)) => format!(
            "its offsets {first}..={last} are missing elsewhere (gap {start}..{end}): its ledger was lost, keep this file"
        ),
        None if is_whole && chain.start <= first && last < chain.end => format!(
            "superseded: each of its offsets {first}..={last} is in a chunk that has a ledger, so its rows count twice where \
             tables are read"
        ),
        None => format!("its offsets are {first}..={last}, and the chain has {}..{}", chain.start, chain.end),
    }))
}

/// The least and the greatest offset of a table file; `None` if it can not be read or has none.
fn offsets_of(store: &Arc<dyn Store>, path: &str) -> Result<Option<(Offset, Offset)>, StoreError> {
    if path.starts_with(Table::Groups.name()) {
        return Ok(None);
    }
    let Ok(Some(file)) = TableFile::open(store, path)? else { return Ok(None) };
    let mut range: Option<(Offset, Offset)> = None;
    let read = file.for_each(&["offset"], |batch| {
        for offset in int_column(batch, "offset")?.values() {
            let offset = *offset as Offset;
            let (first, last) = range.unwrap_or((offset, offset));
            range = Some((first.min(offset), last.max(offset)));
        }
        Ok(())
    })?;
    Ok(read.ok().and(range))
}
