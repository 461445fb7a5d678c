//! How a chunk becomes durable: decided here, done elsewhere.
//!
//! Creating the ledger at a start offset fixes the range that begins there; the tables follow. Every step may fail before or after it
//! took effect, a store may claim that something exists which does not, and another worker may do the same work at the same
//! time. So what is known is kept as `Facts`, a pure function says what to do next, `step` does that one thing and writes down what was
//! learnt. Dropping the facts at any moment is a crash, and starting anew is the recovery.
//!
//! Table files need no nonce: whoever writes one has read or made the ledger, so the range is the same, and so are the rows: the ledger also
//! says what became of the records that a stage failed on, which nobody could find out a second time.

use bytes::Bytes;
use host_event::Offset;

use crate::ledger::{Ledger, Names};
use crate::schema::Table;
use crate::store::{Create, Store, StoreError};

/// What is to be done with a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Find out what the store has.
    Find,
    /// Write this ledger, then the tables.
    Close(Box<Ledger>),
    /// Write the tables that are missing behind a ledger that must be there and say this.
    Rebuild { end: Offset, rows: Vec<(Table, u64)> },
}

/// What is known of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known<T> {
    Nothing,
    /// The store said that it exists; that may be a lie.
    Refused,
    /// It was looked for and is not there.
    Missing,
    /// It is there.
    There(T),
}

#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) purpose: Purpose,
    pub(crate) ledger: Known<Ledger>,
    pub(crate) tables: Vec<(Table, Known<()>)>,
    #[cfg(test)]
    pub(crate) mistake: Option<crate::simulation::Mistake>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    CreateLedger,
    ReadLedger,
    CreateTable(Table),
    /// Look whether the table's file is there.
    SeekTable(Table),
    Finish(Finish),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    /// All files of the range are there.
    Done,
    /// `Find`: no one has begun a chunk at this offset.
    Nothing,
    /// `Find`, or `Close` where another writer was first.
    Found { ledger: Box<Ledger>, is_complete: bool },
    /// Going on could break the promise.
    Broken(String),
}

impl Facts {
    pub(crate) fn new(purpose: Purpose) -> Facts {
        Facts {
            purpose,
            ledger: Known::Nothing,
            tables: Table::DATA.map(|t| (t, Known::Nothing)).into(),
            #[cfg(test)]
            mistake: None,
        }
    }

    fn table_mut(&mut self, table: Table) -> &mut Known<()> {
        let slot = self.tables.iter_mut().find(|(t, _)| *t == table);
        &mut slot.expect("all tables but the ledger's are listed").1
    }
}

pub(crate) fn decide(facts: &Facts) -> Decision {
    #[cfg(test)]
    if let Some(decision) = facts.mistake.and_then(|mistake| mistake.decide(facts)) {
        return decision;
    }
    match (&facts.purpose, &facts.ledger) {
        (Purpose::Close(_), Known::Nothing | Known::Missing) => Decision::CreateLedger,
        (_, Known::Nothing | Known::Refused) => Decision::ReadLedger,
        (Purpose::Find, Known::Missing) => Decision::Finish(Finish::Nothing),
        (Purpose::Rebuild { .. }, Known::Missing) => broken("the ledger that was found is gone".into()),
        (Purpose::Find, Known::There(ledger)) => seek_tables(facts, ledger),
        (Purpose::Close(mine), Known::There(ledger)) if ledger.nonce == mine.nonce => {
            create_tables(facts, ledger)
        }
        (Purpose::Close(_), Known::There(ledger)) => seek_tables(facts, ledger),
        (Purpose::Rebuild { end, rows }, Known::There(ledger)) => match differences(ledger, *end, rows) {
            Some(what) => broken(what),
            None => create_missing_tables(facts, ledger),
        },
    }
}

fn broken(what: String) -> Decision {
    Decision::Finish(Finish::Broken(what))
}

/// The tables of a ledger that is mine.
fn create_tables(facts: &Facts, ledger: &Ledger) -> Decision {
    for (table, known) in facts.tables.iter().filter(|(t, _)| ledger.rows_of(*t) > 0) {
        match known {
            Known::Nothing | Known::Missing => return Decision::CreateTable(*table),
            Known::Refused => return Decision::SeekTable(*table),
            Known::There(()) => {}
        }
    }
    Decision::Finish(Finish::Done)
}

/// The tables of a ledger that exists: most are there already, so look before uploading.
fn create_missing_tables(facts: &Facts, ledger: &Ledger) -> Decision {
    for (table, known) in facts.tables.iter().filter(|(t, _)| ledger.rows_of(*t) > 0) {
        match known {
            Known::Nothing | Known::Refused => return Decision::SeekTable(*table),
            Known::Missing => return Decision::CreateTable(*table),
            Known::There(()) => {}
        }
    }
    Decision::Finish(Finish::Done)
}

/// Whether the ledger of another is complete. One missing table is enough to know.
fn seek_tables(facts: &Facts, ledger: &Ledger) -> Decision {
    let found =
        |is_complete| Decision::Finish(Finish::Found { ledger: Box::new(ledger.clone()), is_complete });
    for (table, known) in facts.tables.iter().filter(|(t, _)| ledger.rows_of(*t) > 0) {
        match known {
            Known::Nothing | Known::Refused => return Decision::SeekTable(*table),
            Known::Missing => return found(false),
            Known::There(()) => {}
        }
    }
    found(true)
}

/// Why rows that were made again can not stand behind this ledger.
fn differences(ledger: &Ledger, end: Offset, rows: &[(Table, u64)]) -> Option<String> {
    if ledger.end != end {
        return Some(format!("the ledger ends at {} and the rebuilt chunk at {end}", ledger.end));
    }
    let (table, made) = rows.iter().find(|(table, made)| ledger.rows_of(*table) != *made)?;
    let said = ledger.rows_of(*table);
    Some(format!("the ledger says {said} rows of {table} and rebuilding gives {made}"))
}

/// The bytes of the files, by name, and how a ledger is read.
pub(crate) struct Files<'a> {
    pub(crate) names: &'a Names,
    /// The ledger's file under `Table::Outcomes`.
    pub(crate) bodies: &'a [(Table, Bytes)],
    pub(crate) read_ledger: fn(&Bytes) -> Result<Ledger, String>,
}

impl Files<'_> {
    fn body(&self, table: Table) -> Option<Bytes> {
        self.bodies.iter().find(|(t, _)| *t == table).map(|(_, bytes)| bytes.clone())
    }
}

/// Decides, does that one thing, and notes what was learnt. An error teaches nothing: the same thing is decided again.
pub(crate) fn step(
    store: &dyn Store,
    files: &Files<'_>,
    facts: &mut Facts,
) -> Result<Option<Finish>, StoreError> {
    match decide(facts) {
        Decision::Finish(finish) => return Ok(Some(finish)),
        Decision::CreateLedger => {
            let Some(body) = files.body(Table::Outcomes) else { return Ok(Some(no_file(Table::Outcomes))) };
            let answer = store.create(&files.names.ledger(), body)?;
            facts.ledger = match (answer, &facts.purpose) {
                (Create::Created, Purpose::Close(mine)) => Known::There((**mine).clone()),
                _ => Known::Refused,
            };
        }
        Decision::ReadLedger => {
            let path = files.names.ledger();
            facts.ledger = match store.read(&path)?.map(|bytes| (files.read_ledger)(&bytes)) {
                None => Known::Missing,
                Some(Ok(ledger)) => Known::There(ledger),
                Some(Err(what)) => return Ok(Some(Finish::Broken(format!("{path}: {what}")))),
            };
        }
        Decision::CreateTable(table) => {
            let Some(body) = files.body(table) else { return Ok(Some(no_file(table))) };
            *facts.table_mut(table) = match store.create(&files.names.table(table), body)? {
                Create::Created => Known::There(()),
                Create::Exists => Known::Refused,
            };
        }
        Decision::SeekTable(table) => {
            let size = store.size(&files.names.table(table))?;
            *facts.table_mut(table) = size.map_or(Known::Missing, |_| Known::There(()));
        }
    }
    Ok(None)
}

/// The ledger names rows that this writer has not made, so it is not what it was taken for.
fn no_file(table: Table) -> Finish {
    Finish::Broken(format!("the ledger names rows of {table} and none were made"))
}
