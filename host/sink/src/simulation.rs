//! Two writers, one partition, and a store that fails: whatever the schedule, the chain holds.
//!
//! The writers run the very decision and the very step of the product, interleaved step by step by a seed. The store fails before it wrote and
//! after it wrote, claims that something exists which does not, and writes late, when nobody waits for it any more. Writers
//! crash between any two steps, and commits of a zombie set the queue back. What becomes of a record is drawn anew at each attempt, as
//! deadlines on a busy machine are. Then the faults stop, both writers finish, and all is counted.
//!
//! A simulation that finds nothing proves nothing, so mistakes can be put in, and each must be found.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use host_event::Offset;
use host_pipeline::{ChunkPlace, Found};

use crate::commit::{Decision, Facts, Files, Finish, Known, Purpose, step};
use crate::ledger::{Ledger, Names};
use crate::schema::Table;
use crate::store::{Create, Entry, MemoryStore, Store, StoreError};

/// What could have been got wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Objects are written without the condition that they must not exist.
    Overwrite,
    /// Tables are written before the ledger has fixed the range.
    TablesFirst,
    /// `AlreadyExists` for the ledger is taken for a lost answer to the own write.
    LedgerExistsIsMine,
    /// `AlreadyExists` for a table is believed.
    TableExistsIsThere,
    /// The nonce belongs to the process and not to the attempt.
    NonceOfProcess,
    /// Tables that another writer left out are not made.
    NoAdoption,
    /// Whoever lost goes on at the end that it had in mind.
    OwnEnd,
    /// The offset is committed when the ledger is written.
    TablesForgotten,
    /// Whoever makes missing tables decides anew what becomes of the records.
    DecidesAnew,
}

impl Mistake {
    const ALL: [Mistake; 9] = [
        Mistake::Overwrite,
        Mistake::TablesFirst,
        Mistake::LedgerExistsIsMine,
        Mistake::TableExistsIsThere,
        Mistake::NonceOfProcess,
        Mistake::NoAdoption,
        Mistake::OwnEnd,
        Mistake::TablesForgotten,
        Mistake::DecidesAnew,
    ];

    /// What a decision with this mistake says where it differs from the right one.
    pub(crate) fn decide(self, facts: &Facts) -> Option<Decision> {
        let finish = |finish| Some(Decision::Finish(finish));
        match (self, &facts.purpose, &facts.ledger) {
            (Mistake::TablesFirst, Purpose::Close(mine), Known::Nothing) => facts
                .tables
                .iter()
                .find(|(t, known)| {
                    mine.rows_of(*t) > 0 && !matches!(known, Known::There(()) | Known::Refused)
                })
                .map(|(t, _)| Decision::CreateTable(*t)),
            (Mistake::LedgerExistsIsMine, Purpose::Close(mine), Known::Refused) => {
                let believed = Facts { ledger: Known::There(mine.clone()), ..facts.clone() };
                Some(crate::commit::decide(&Facts { mistake: None, ..believed }))
            }
            (Mistake::TableExistsIsThere, _, Known::There(_)) => {
                let mut believed = Facts { mistake: None, ..facts.clone() };
                for (_, known) in believed.tables.iter_mut().filter(|(_, k)| *k == Known::Refused) {
                    *known = Known::There(());
                }
                Some(crate::commit::decide(&believed))
            }
            (Mistake::NoAdoption, Purpose::Find, Known::There(l)) => finish(Finish::Found(Found {
                end: l.end,
                generations: l.generations.clone(),
                complete: true,
            })),
            (Mistake::OwnEnd, Purpose::Close(mine), Known::There(l)) if l.nonce != mine.nonce => {
                finish(Finish::Found(Found {
                    end: mine.end,
                    generations: l.generations.clone(),
                    complete: true,
                }))
            }
            (Mistake::TablesForgotten, Purpose::Close(_), Known::There(_)) => finish(Finish::Done),
            _ => None,
        }
    }
}

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A store that fails as stores do.
struct Faulty {
    inner: MemoryStore,
    state: Mutex<FaultyState>,
    overwrite: bool,
}

struct FaultyState {
    draw: Draw,
    /// One call in so many fails; 0 when the faults are over.
    fails_one_in: u64,
    /// Writes that were given up and are still under way.
    late: Vec<(String, Bytes)>,
}

impl Faulty {
    fn state(&self) -> MutexGuard<'_, FaultyState> {
        self.state.lock().unwrap()
    }

    fn fails(&self) -> Option<u64> {
        let mut state = self.state();
        let one_in = state.fails_one_in;
        (one_in > 0 && state.draw.one_in(one_in)).then(|| state.draw.below(4))
    }

    fn write(&self, path: &str, bytes: Bytes) -> Create {
        if self.overwrite {
            self.inner.delete(path).unwrap();
        }
        self.inner.create(path, bytes).unwrap()
    }

    fn deliver_late(&self, one_in: u64) {
        let mut state = self.state();
        if state.late.is_empty() || !state.draw.one_in(one_in) {
            return;
        }
        let count = state.late.len() as u64;
        let which = state.draw.below(count) as usize;
        let (path, bytes) = state.late.swap_remove(which);
        drop(state);
        self.write(&path, bytes);
    }
}

fn away(path: &str) -> StoreError {
    StoreError { path: path.to_owned(), what: "connection reset".into(), is_transient: true }
}

impl Store for Faulty {
    fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        match self.fails() {
            None => Ok(self.write(path, bytes)),
            Some(0) => Err(away(path)),
            Some(1) => {
                self.write(path, bytes);
                Err(away(path))
            }
            Some(2) => {
                self.state().late.push((path.to_owned(), bytes));
                Err(away(path))
            }
            // A conflict that is reported as if there were an object.
            Some(_) => Ok(Create::Exists),
        }
    }
    fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        self.fails().map_or_else(|| self.inner.read(path), |_| Err(away(path)))
    }
    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.inner.read_range(path, range)
    }
    fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        self.fails().map_or_else(|| self.inner.size(path), |_| Err(away(path)))
    }
    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        self.inner.list(folder)
    }
    fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.inner.delete(path)
    }
}

const OFFSETS: Offset = 12;
const CHUNK_OFFSETS_MAX: u64 = 5;
const STEPS_WITH_FAULTS: usize = 150;
const STEPS_MAX: usize = 2000;

struct World {
    store: Faulty,
    draw: Draw,
    mistake: Option<Mistake>,
    committed: Offset,
    attempts: u64,
}

/// What a writer is at.
enum Task {
    /// Reads from the queue where to begin.
    Start,
    Find(Offset, Facts),
    Close(Offset, Facts, Vec<(Table, Bytes)>),
    Rebuild(Offset, Offset, Facts, Vec<(Table, Bytes)>),
    Finished,
}

fn place(start: Offset) -> ChunkPlace {
    ChunkPlace { partition: 0, start, queued_at: 0 }
}

/// What became of the records of a range: the offsets that each table has. A stage that fails on one sends it to quarantine.
type Fates = BTreeMap<Table, Vec<Offset>>;

/// Decides about each record, as nobody can a second time.
fn decide_fates(draw: &mut Draw, start: Offset, end: Offset) -> Fates {
    let failed: Vec<_> = (start..end).filter(|_| draw.one_in(4)).collect();
    fates(start, end, &failed)
}

/// Every record has a table that depends on nothing but the offset, unless a stage failed on it.
fn fates(start: Offset, end: Offset, failed: &[Offset]) -> Fates {
    let mut fates = Fates::new();
    for offset in start..end {
        let own = Table::ALL[(offset * 5 % 8) as usize];
        let table = if failed.contains(&offset) { Table::Quarantine } else { own };
        if table != Table::Outcomes {
            fates.entry(table).or_default().push(offset);
        }
    }
    fates
}

fn rows(fates: &Fates) -> BTreeMap<Table, u64> {
    fates.iter().map(|(table, offsets)| (*table, offsets.len() as u64)).collect()
}

/// A table's file says its records, and nothing that depends on who wrote it.
fn bodies(fates: &Fates) -> Vec<(Table, Bytes)> {
    fates.iter().map(|(table, offsets)| (*table, format!("{offsets:?}").into())).collect()
}

/// The file of a ledger: what its footer says, and the records that did not come through.
#[derive(serde::Serialize, serde::Deserialize)]
struct LedgerFile {
    ledger: Ledger,
    failed: Vec<Offset>,
}

fn read_file(bytes: &Bytes) -> Result<LedgerFile, String> {
    serde_json::from_slice(bytes).map_err(|e| e.to_string())
}

fn read_ledger(bytes: &Bytes) -> Result<Ledger, String> {
    read_file(bytes).map(|file| file.ledger)
}

impl World {
    fn new(seed: u64, mistake: Option<Mistake>) -> World {
        let mut draw = Draw(seed);
        let state = FaultyState {
            draw: Draw(draw.below(u64::MAX)),
            fails_one_in: 2 + draw.below(8),
            late: Vec::new(),
        };
        let overwrite = mistake == Some(Mistake::Overwrite);
        let store = Faulty { inner: MemoryStore::default(), state: Mutex::new(state), overwrite };
        World { store, draw, mistake, committed: 0, attempts: 0 }
    }

    fn facts(&self, purpose: Purpose) -> Facts {
        Facts { mistake: self.mistake, ..Facts::new(purpose) }
    }

    fn find(&self, start: Offset) -> Task {
        if start == OFFSETS {
            return Task::Finished;
        }
        Task::Find(start, self.facts(Purpose::Find))
    }

    fn close(&mut self, writer: usize, start: Offset) -> Task {
        let end = (start + 1 + self.draw.below(CHUNK_OFFSETS_MAX)).min(OFFSETS);
        self.attempts += 1;
        let nonce = match self.mistake {
            Some(Mistake::NonceOfProcess) => format!("{writer}"),
            _ => format!("{writer}-{}", self.attempts),
        };
        let fates = decide_fates(&mut self.draw, start, end);
        let ledger = Ledger {
            source: "s".into(),
            epoch: 0,
            partition: 0,
            start,
            end,
            nonce,
            generations: vec![(start, 1)],
            queued_at: 0,
            rows: rows(&fates),
            bytes: BTreeMap::new(),
            passed_over: BTreeMap::new(),
            release: None,
        };
        let mut files = bodies(&fates);
        let failed = fates.get(&Table::Quarantine).cloned().unwrap_or_default();
        let file = LedgerFile { ledger: ledger.clone(), failed };
        files.push((Table::Outcomes, serde_json::to_vec(&file).unwrap().into()));
        Task::Close(start, self.facts(Purpose::Close(ledger)), files)
    }

    /// What the ledger that is in the store says of the records.
    fn recorded(&self, start: Offset) -> Result<(Ledger, Fates), String> {
        let path = Names::new("s", 0, place(start)).ledger();
        let bytes = self.store.inner.read(&path).unwrap().ok_or_else(|| format!("{path} is gone"))?;
        let LedgerFile { ledger, failed } = read_file(&bytes)?;
        let fates = fates(ledger.start, ledger.end, &failed);
        Ok((ledger, fates))
    }

    fn rebuild(&mut self, start: Offset, end: Offset) -> Result<Task, String> {
        let fates = match self.mistake {
            Some(Mistake::DecidesAnew) => decide_fates(&mut self.draw, start, end),
            _ => self.recorded(start)?.1,
        };
        let rows = rows(&fates);
        let all = Table::DATA.map(|t| (t, rows.get(&t).copied().unwrap_or_default()));
        let purpose = Purpose::Rebuild { end, rows: all.into() };
        Ok(Task::Rebuild(start, end, self.facts(purpose), bodies(&fates)))
    }

    /// Commits, after which the queue may forget: all that lies before must be there, now.
    fn commit(&mut self, start: Offset, end: Offset) -> Result<Task, String> {
        let (_, fates) = self.recorded(start)?;
        for (table, body) in bodies(&fates) {
            let path = Names::new("s", 0, place(start)).table(table);
            if self.store.inner.read(&path).unwrap() != Some(body) {
                return Err(format!("committed {start}..{end} without {path}"));
            }
        }
        self.committed = end;
        Ok(self.find(end))
    }

    fn found(&mut self, start: Offset, found: &Found) -> Result<Task, String> {
        if found.complete { self.commit(start, found.end) } else { self.rebuild(start, found.end) }
    }

    /// One step of one writer.
    fn advance(&mut self, writer: usize, task: Task) -> Result<Task, String> {
        match task {
            Task::Start => Ok(self.find(self.committed)),
            Task::Finished => Ok(Task::Finished),
            Task::Find(start, mut facts) => match self.step(start, &mut facts, &[]) {
                Stepped::On => Ok(Task::Find(start, facts)),
                Stepped::GaveUp => Ok(self.find(start)),
                Stepped::To(Finish::Nothing) => Ok(self.close(writer, start)),
                Stepped::To(Finish::Found(found)) => self.found(start, &found),
                Stepped::To(other) => Err(format!("find: {other:?}")),
            },
            Task::Close(start, mut facts, files) => match self.step(start, &mut facts, &files) {
                Stepped::On => Ok(Task::Close(start, facts, files)),
                Stepped::GaveUp => Ok(self.find(start)),
                Stepped::To(Finish::Done) => {
                    let Purpose::Close(ledger) = &facts.purpose else { unreachable!() };
                    self.commit(start, ledger.end)
                }
                Stepped::To(Finish::Found(found)) => self.found(start, &found),
                Stepped::To(other) => Err(format!("close: {other:?}")),
            },
            Task::Rebuild(start, end, mut facts, files) => match self.step(start, &mut facts, &files) {
                Stepped::On => Ok(Task::Rebuild(start, end, facts, files)),
                Stepped::GaveUp => Ok(self.find(start)),
                Stepped::To(Finish::Done) => self.commit(start, end),
                Stepped::To(other) => Err(format!("rebuild: {other:?}")),
            },
        }
    }

    fn step(&mut self, start: Offset, facts: &mut Facts, bodies: &[(Table, Bytes)]) -> Stepped {
        let names = Names::new("s", 0, place(start));
        match step(&self.store, &Files { names: &names, bodies, read_ledger }, facts) {
            Ok(None) => Stepped::On,
            Ok(Some(finish)) => Stepped::To(finish),
            Err(_) if self.draw.one_in(3) => Stepped::GaveUp,
            Err(_) => Stepped::On,
        }
    }

    /// What a reader of the store finds at the end.
    fn check(&self) -> Result<(), String> {
        let mut named = Vec::new();
        let mut next = 0;
        for entry in self.store.list(Table::Outcomes.name()).unwrap() {
            let ledger = read_ledger(&self.store.inner.read(&entry.path).unwrap().unwrap())?;
            if ledger.start != next {
                return Err(format!("a chunk begins at {} where {next} is expected", ledger.start));
            }
            next = ledger.end;
            let (_, fates) = self.recorded(ledger.start)?;
            for (table, body) in bodies(&fates) {
                let path = Names::of(&ledger).table(table);
                let found = self.store.inner.read(&path).unwrap();
                if found.as_ref() != Some(&body) {
                    return Err(format!("{path} has {found:?} and should have {body:?}"));
                }
                named.push(path);
            }
        }
        if next != OFFSETS {
            return Err(format!("the chain ends at {next}"));
        }
        let tables = Table::DATA.iter().flat_map(|t| self.store.list(t.name()).unwrap());
        match tables.map(|e| e.path).find(|path| !named.contains(path)) {
            Some(orphan) => Err(format!("{orphan} has no ledger")),
            None => Ok(()),
        }
    }
}

enum Stepped {
    On,
    GaveUp,
    To(Finish),
}

/// Plays one schedule and says what is wrong with the result.
fn play(seed: u64, mistake: Option<Mistake>) -> Result<(), String> {
    let mut world = World::new(seed, mistake);
    let mut writers = [Task::Start, Task::Start];
    for at in 0..STEPS_MAX {
        if at == STEPS_WITH_FAULTS {
            world.store.state().fails_one_in = 0;
        }
        let faults = at < STEPS_WITH_FAULTS;
        world.store.deliver_late(if faults { 12 } else { 1 });
        let writer = world.draw.below(2) as usize;
        let mut task = std::mem::replace(&mut writers[writer], Task::Start);
        if faults && world.draw.one_in(20) {
            task = Task::Start;
        }
        writers[writer] = world.advance(writer, task)?;
        let late = !world.store.state().late.is_empty();
        if !faults && !late && writers.iter().all(|w| matches!(w, Task::Finished)) {
            // A last one that begins at the very first offset finds all in place: a reset, a zombie, a new consumer group.
            world.committed = 0;
            let mut task = Task::Start;
            while !matches!(task, Task::Finished) {
                task = world.advance(2, task)?;
            }
            return world.check();
        }
    }
    Err("the writers came to no end".into())
}

#[test]
fn ten_thousand_schedules_hold() {
    for seed in 0..10_000 {
        if let Err(what) = play(seed, None) {
            panic!("seed {seed}: {what}");
        }
    }
}

#[test]
fn every_mistake_is_found() {
    for mistake in Mistake::ALL {
        let found = (0..10_000).find_map(|seed| play(seed, Some(mistake)).err().map(|what| (seed, what)));
        assert!(found.is_some(), "{mistake:?} was not found");
    }
}
