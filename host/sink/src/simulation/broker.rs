//! A broker that gives partitions to others at any moment, tells those who had them late, forgets commits, and takes some from those who
//! have no right to make them.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use host_event::{Body, Category, EventId, Meta, Millis, Offset, Partition, Record};
use host_queue::{Appending, Error, Lease, Queue, ReadLimit, Resume, Shared, Stored};

use super::Draw;
use super::store::Faulty;
use crate::ledger::{Ledger, Names};
use crate::schema::Table;
use crate::store::Store;

pub(super) const PARTITIONS: u32 = 2;
const HOUR: Millis = 3_600_000;

pub(super) struct Broker {
    state: Mutex<State>,
    store: Arc<Faulty>,
}

struct State {
    draw: Draw,
    has_faults: bool,
    parts: Vec<Part>,
    /// Leases that are lost, and whose holders will hear of it later.
    unheard: Vec<Lease>,
    said: Vec<String>,
    broken: Option<String>,
}

struct Part {
    log: Vec<Stored>,
    /// So many of them have been appended.
    appended: usize,
    owner: Option<(usize, Lease)>,
    committed: Option<(Offset, String)>,
    /// Up to here every file was seen to be there.
    proven: Offset,
}

/// The broker as one worker sees it.
pub(super) struct View {
    pub(super) broker: Arc<Broker>,
    pub(super) worker: usize,
}

fn log(draw: &mut Draw) -> Vec<Stored> {
    let mut at = 20_000 * HOUR + draw.below(HOUR as u64) as Millis;
    let records = (0..6 + draw.below(8)).map(|offset| {
        // Other producers have clocks of their own.
        at += draw.below(HOUR as u64 / 3) as Millis;
        let skew = if draw.one_in(8) { 3 * HOUR } else { 0 };
        let (category, json) = match draw.below(6) {
            0 => (Category::Session, r#"{"sid":"a"}"#),
            1 => (Category::CheckIn, r#"{"check_in_id":"b"}"#),
            2 => (Category::Log, "no JSON"),
            _ => (Category::Log, r#"{"body":"c"}"#),
        };
        let meta = Meta { project_id: 1, event_id: EventId(u128::from(offset) + 1), ..Meta::default() };
        let body = Body::Item { category, payload: Bytes::from_static(json.as_bytes()) };
        Stored { offset, queued_at: at - skew, record: Ok(Record { meta, body }) }
    });
    records.collect()
}

impl Broker {
    pub(super) fn new(mut draw: Draw, store: Arc<Faulty>) -> Broker {
        let part =
            |draw: &mut Draw| Part { log: log(draw), appended: 0, owner: None, committed: None, proven: 0 };
        let parts = (0..PARTITIONS).map(|_| part(&mut draw)).collect();
        let state =
            State { draw, has_faults: true, parts, unheard: Vec::new(), said: Vec::new(), broken: None };
        Broker { state: Mutex::new(state), store }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn said(&self) -> Vec<String> {
        std::mem::take(&mut self.state().said)
    }

    pub(super) fn broken(&self) -> Option<String> {
        self.state().broken.clone()
    }

    pub(super) fn append_some(&self) {
        let mut state = self.state();
        let partition = state.draw.below(u64::from(PARTITIONS)) as usize;
        let part = &mut state.parts[partition];
        part.appended = (part.appended + 1).min(part.log.len());
    }

    /// Gives a partition to a worker. Who had it hears of it now, or later.
    pub(super) fn assign(&self, partition: Partition, worker: usize) {
        let mut state = self.state();
        let hears_late = state.has_faults && state.draw.one_in(2);
        let lease = Lease::new(partition);
        let old = state.parts[partition as usize].owner.replace((worker, lease));
        let say = format!(
            "partition {partition} to worker {worker}, the last one hears {}",
            if hears_late { "late" } else { "at once" }
        );
        state.said.push(say);
        if let Some((_, lease)) = old {
            if hears_late { state.unheard.push(lease) } else { lease.lose() }
        }
    }

    pub(super) fn owner(&self, partition: Partition) -> Option<usize> {
        self.state().parts[partition as usize].owner.as_ref().map(|(worker, _)| *worker)
    }

    pub(super) fn tell_one(&self) {
        let mut state = self.state();
        if !state.unheard.is_empty() {
            state.unheard.swap_remove(0).lose();
        }
    }

    /// No more faults: everything is appended, everybody hears, and each partition has a worker.
    pub(super) fn heal(&self, workers: usize) {
        let mut state = self.state();
        state.has_faults = false;
        state.unheard.drain(..).for_each(|lease| lease.lose());
        for part in &mut state.parts {
            part.appended = part.log.len();
        }
        drop(state);
        (0..PARTITIONS).for_each(|partition| self.assign(partition, partition as usize % workers));
    }

    /// The group is forgotten: whoever comes has to find the chain in the store.
    pub(super) fn forget_group(&self) {
        self.state().parts.iter_mut().for_each(|part| part.committed = None);
    }

    pub(super) fn is_committed(&self) -> bool {
        let state = self.state();
        state
            .parts
            .iter()
            .all(|part| part.committed.as_ref().is_some_and(|(next, _)| *next == part.log.len() as u64))
    }

    pub(super) fn records(&self) -> u64 {
        self.state().parts.iter().map(|part| part.log.len() as u64).sum()
    }

    /// After a commit the log may forget: all that lies before must be there, now.
    fn prove(&self, partition: Partition, from: Offset, next: Offset) -> Result<(), String> {
        let mut end = from;
        let outcomes = self.store.inner.list(Table::Outcomes.name()).unwrap();
        let part_of_name = format!("-p{partition:05}-o");
        while end < next {
            let name = format!("{part_of_name}{end:020}.parquet");
            let Some(entry) = outcomes.iter().find(|entry| entry.path.ends_with(&name)) else {
                return Err(format!(
                    "partition {partition}: {next} was committed, and no chunk begins at {end}"
                ));
            };
            let bytes = self.store.inner.read(&entry.path).unwrap().unwrap();
            let ledger = Ledger::read(&bytes)?;
            for table in Table::DATA.into_iter().filter(|table| ledger.rows_of(*table) > 0) {
                let path = Names::of(&ledger).table(table);
                if self.store.inner.size(&path).unwrap().is_none() {
                    return Err(format!("partition {partition}: {next} was committed without {path}"));
                }
            }
            end = ledger.end;
        }
        match end == next {
            true => Ok(()),
            false => Err(format!("partition {partition}: {next} was committed, and a chunk ends at {end}")),
        }
    }
}

impl State {
    fn fails(&mut self, one_in: u64) -> bool {
        self.has_faults && self.draw.one_in(one_in)
    }
}

fn away() -> Error {
    Error::Away("no broker answers".into())
}

impl Queue for View {
    fn source(&self) -> &str {
        "sim"
    }
    fn partitions(&self) -> u32 {
        PARTITIONS
    }
    fn append(&self, _: Partition, _: Vec<Record>) -> Appending<'_> {
        Box::pin(async { Err(Error::Closed) })
    }
    fn leases(&self) -> Vec<Lease> {
        let state = self.broker.state();
        let owners = state.parts.iter().filter_map(|part| part.owner.as_ref());
        owners.filter(|(worker, _)| *worker == self.worker).map(|(_, lease)| lease.clone()).collect()
    }
    fn wait(&self, seen: u64, _: Duration) -> u64 {
        seen
    }
    fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
        _: Duration,
    ) -> Result<Vec<Stored>, Error> {
        let mut state = self.broker.state();
        if state.fails(12) {
            return Err(away());
        }
        let some = 1 + state.draw.below(4) as usize;
        let part = &state.parts[partition as usize];
        let records = part.log[..part.appended].iter().skip(from as usize);
        Ok(records.take(some.min(limit.records_max.max(1))).cloned().collect())
    }
    fn resume(&self, partition: Partition) -> Result<Resume, Error> {
        let mut state = self.broker.state();
        if state.fails(6) {
            return Err(away());
        }
        let part = &state.parts[partition as usize];
        let (committed, note) = part.committed.clone().unzip();
        let end = part.appended as Offset;
        Ok(Resume::Shared(Shared { committed, note: note.unwrap_or_default(), oldest: 0, end }))
    }
    fn commit(&self, partition: Partition, next: Offset) -> Result<(), Error> {
        self.commit_noted(partition, next, "")
    }
    fn commit_noted(&self, partition: Partition, next: Offset, note: &str) -> Result<(), Error> {
        let proven = self.broker.state().parts[partition as usize].proven;
        let proof = if next > proven { self.broker.prove(partition, proven, next) } else { Ok(()) };
        let mut state = self.broker.state();
        match proof {
            Ok(()) => state.parts[partition as usize].proven = proven.max(next),
            Err(what) => state.broken = Some(what),
        }
        let part = &state.parts[partition as usize];
        let is_owner = part.owner.as_ref().is_some_and(|(worker, _)| *worker == self.worker);
        // Being a member of the group is no fence.
        let is_taken = is_owner || state.fails(4);
        let (is_lost, is_silent) = (state.fails(6), state.fails(2));
        state.said.push(format!(
            "worker {} commits {next} of partition {partition}: taken {is_taken}, lost {is_lost}, silent {is_silent}",
            self.worker
        ));
        if !is_taken {
            return Err(Error::Lost { partition });
        }
        if !is_lost || !is_silent {
            state.parts[partition as usize].committed = Some((next, note.to_owned()));
        }
        if is_lost && !is_silent { Err(away()) } else { Ok(()) }
    }
    fn committed(&self, partition: Partition) -> Result<Offset, Error> {
        let state = self.broker.state();
        Ok(state.parts[partition as usize].committed.as_ref().map_or(0, |(next, _)| *next))
    }
    fn end(&self, partition: Partition) -> Offset {
        self.broker.state().parts[partition as usize].appended as Offset
    }
    fn health(&self) -> Result<(), Error> {
        Ok(())
    }
    fn bytes(&self) -> u64 {
        0
    }
}
