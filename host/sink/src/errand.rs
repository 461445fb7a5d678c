//! What is to be done in the store, one call at a time: a chunk's files, or the question what is there.

use std::sync::Arc;

use bytes::Bytes;
use host_event::{Offset, Partition};
use host_pipeline::{ChunkPlace, Errand, Found, Reply, SinkError, Tail};

use crate::commit::{Facts, Files, Finish, Purpose, step};
use crate::file::TableFile;
use crate::ledger::{Ledger, Names};
use crate::recorded;
use crate::schema::Table;
use crate::sink::Shared;
use crate::store::StoreError;
use crate::tails::Youngest;

/// Carries out the decisions about one chunk.
pub(crate) struct ChunkErrand {
    shared: Arc<Shared>,
    place: ChunkPlace,
    names: Names,
    facts: Facts,
    bodies: Vec<(Table, Bytes)>,
    /// A ledger whose tables are not all there: what it says of single records is still to be read.
    incomplete: Option<Ledger>,
}

impl ChunkErrand {
    pub(crate) fn new(
        shared: Arc<Shared>,
        place: ChunkPlace,
        purpose: Purpose,
        bodies: Vec<(Table, Bytes)>,
    ) -> ChunkErrand {
        let names = Names::new(&shared.config.source, place);
        let facts = Facts::new(purpose);
        #[cfg(test)]
        let facts = Facts { mistake: shared.mistake, ..facts };
        ChunkErrand { shared, place, names, facts, bodies, incomplete: None }
    }

    fn read_recorded(&self, ledger: Ledger) -> Result<Option<Reply>, SinkError> {
        let path = self.names.ledger();
        let place = (self.place.partition, self.place.start);
        let fatal = |what: String| fatal(place, format!("{path}: {what}"));
        let file = self.shared.store.read(&path).map_err(|e| failed(place, e))?;
        let file = file.ok_or_else(|| fatal("the ledger that was found is gone".into()))?;
        let incomplete = Some(recorded::read(file).map_err(fatal)?);
        Ok(Some(Reply::Found(Found { end: ledger.end, generations: ledger.generations, incomplete })))
    }
}

impl Errand for ChunkErrand {
    fn step(&mut self) -> Result<Option<Reply>, SinkError> {
        if let Some(ledger) = &self.incomplete {
            return self.read_recorded(ledger.clone());
        }
        let place = (self.place.partition, self.place.start);
        let files = Files { names: &self.names, bodies: &self.bodies, read_ledger: Ledger::read };
        let finish = step(self.shared.store.as_ref(), &files, &mut self.facts);
        match finish.map_err(|e| failed(place, e))? {
            None => Ok(None),
            Some(Finish::Done) => Ok(Some(Reply::Done)),
            Some(Finish::Nothing) => Ok(Some(Reply::Nothing)),
            Some(Finish::Broken(what)) => Err(fatal(place, what)),
            Some(Finish::Found { ledger, is_complete: true }) => {
                let Ledger { end, generations, .. } = *ledger;
                Ok(Some(Reply::Found(Found { end, generations, incomplete: None })))
            }
            Some(Finish::Found { ledger, is_complete: false }) => {
                self.incomplete = Some(*ledger);
                Ok(None)
            }
        }
    }

    fn bytes(&self) -> usize {
        self.bodies.iter().map(|(_, body)| body.len()).sum()
    }
}

/// Looks for the youngest chunk of a partition.
pub(crate) struct TailErrand {
    shared: Arc<Shared>,
    partition: Partition,
    state: Seeking,
}

enum Seeking {
    /// In the whole store.
    All,
    /// The ledger of that path; if it was found by searching, its tables may be missing.
    Ledger { path: String, was_noted: bool },
    /// Whether the tables of a ledger that was found are there.
    Tables { ledger: Box<Ledger>, path: String, left: Vec<Table> },
}

impl TailErrand {
    pub(crate) fn new(shared: Arc<Shared>, partition: Partition, noted: Option<&str>) -> TailErrand {
        let noted = noted.map(|path| Seeking::Ledger { path: path.to_owned(), was_noted: true });
        TailErrand { shared, partition, state: noted.unwrap_or(Seeking::All) }
    }

    fn place(&self) -> (Partition, Offset) {
        (self.partition, 0)
    }

    fn read(&self, path: &str) -> Result<Option<Ledger>, SinkError> {
        let opened = TableFile::open(&self.shared.store, path).map_err(|e| failed(self.place(), e))?;
        let wrong = |what: String| fatal(self.place(), format!("{path}: {what}"));
        let Some(file) = opened.map_err(wrong)? else { return Ok(None) };
        Ledger::of(file.metadata()).map(Some).map_err(wrong)
    }
}

impl Errand for TailErrand {
    fn step(&mut self) -> Result<Option<Reply>, SinkError> {
        let place = self.place();
        match &mut self.state {
            Seeking::All => {
                let found = self.shared.tails.youngest(
                    self.shared.store.as_ref(),
                    &self.shared.config.source,
                    self.partition,
                );
                match found.map_err(|e| failed(place, e))? {
                    Some(Youngest { path, .. }) => self.state = Seeking::Ledger { path, was_noted: false },
                    None => return Ok(Some(Reply::Tail(None))),
                }
            }
            Seeking::Ledger { path, was_noted } => {
                let (path, was_noted) = (path.clone(), *was_noted);
                match self.read(&path)? {
                    None => return Ok(Some(Reply::Tail(None))),
                    Some(ledger) if was_noted => return Ok(Some(tail_of(&ledger, path))),
                    Some(ledger) => {
                        let left = Table::DATA.into_iter().filter(|t| ledger.rows_of(*t) > 0).collect();
                        self.state = Seeking::Tables { ledger: Box::new(ledger), path, left };
                    }
                }
            }
            Seeking::Tables { ledger, path, left } => {
                let Some(table) = left.last() else { return Ok(Some(tail_of(ledger, path.clone()))) };
                // Only an answer takes it off the list.
                let path_of_table = Names::of(ledger).table(*table);
                let size = self.shared.store.size(&path_of_table).map_err(|e| failed(place, e))?;
                left.pop();
                if size.is_none() {
                    // Whoever goes on begins with this chunk, finds it and finishes it.
                    let Ledger { epoch, start: end, .. } = **ledger;
                    let path = path.clone();
                    return Ok(Some(Reply::Tail(Some(Tail { path, epoch, end, last: None }))));
                }
            }
        }
        Ok(None)
    }
}

fn tail_of(ledger: &Ledger, path: String) -> Reply {
    let Ledger { epoch, end, last, .. } = *ledger;
    Reply::Tail(Some(Tail { path, epoch, end, last }))
}

type Place = (Partition, Offset);

fn failed(place: Place, error: StoreError) -> SinkError {
    match error.is_transient() {
        true => SinkError::Retry { path: error.path, what: error.what },
        false => fatal(place, error.to_string()),
    }
}

fn fatal((partition, offset): Place, what: String) -> SinkError {
    SinkError::Fatal { partition, offset, what }
}
