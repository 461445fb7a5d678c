//! What could have been got wrong, and a sink that gets it wrong.

use std::sync::{Arc, Mutex};

use host_event::{Offset, Partition};
use host_pipeline::{
    Chunk, ChunkPlace, Closing, Errand, Found, PassedOver, Recorded, Reply, Settled, Sink, SinkError,
};

use crate::commit::{Decision, Facts, Finish, Known, Purpose, decide};
use crate::sink::ParquetSink;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// The offset is committed before the ledger is written.
    CommitFirst,
    /// Objects are written without the condition that they must not exist.
    Overwrite,
    /// Tables that another writer left out are not made.
    NoAdoption,
    /// Whoever lost goes on at the end that it had in mind.
    OwnEnd,
    /// Tables are written before the ledger has fixed the range.
    TablesFirst,
    /// `AlreadyExists` for the ledger is taken for a lost answer to the own write.
    LedgerExistsIsMine,
    /// `AlreadyExists` for a table is believed.
    TableExistsIsThere,
    /// The nonce belongs to the process and not to the attempt.
    NonceOfProcess,
    /// The offset is committed when the ledger is written.
    TablesForgotten,
    /// Whoever makes missing tables decides anew what becomes of the records.
    DecidesAnew,
}

impl Mistake {
    pub(crate) const ALL: [Mistake; 10] = [
        Mistake::CommitFirst,
        Mistake::Overwrite,
        Mistake::NoAdoption,
        Mistake::OwnEnd,
        Mistake::TablesFirst,
        Mistake::LedgerExistsIsMine,
        Mistake::TableExistsIsThere,
        Mistake::NonceOfProcess,
        Mistake::TablesForgotten,
        Mistake::DecidesAnew,
    ];

    /// What a decision with this mistake says where it differs from the right one.
    pub(crate) fn decide(self, facts: &Facts) -> Option<Decision> {
        match (self, &facts.purpose, &facts.ledger) {
            (Mistake::TablesFirst, Purpose::Close(mine), Known::Nothing) => facts
                .tables
                .iter()
                .find(|(t, known)| {
                    mine.rows_of(*t) > 0 && !matches!(known, Known::There(()) | Known::Refused)
                })
                .map(|(t, _)| Decision::CreateTable(*t)),
            (Mistake::LedgerExistsIsMine, Purpose::Close(mine), Known::Refused) => {
                let believed = Facts { ledger: Known::There((**mine).clone()), ..facts.clone() };
                Some(decide(&Facts { mistake: None, ..believed }))
            }
            (Mistake::TableExistsIsThere, _, Known::There(_)) => {
                let mut believed = Facts { mistake: None, ..facts.clone() };
                for (_, known) in believed.tables.iter_mut().filter(|(_, k)| *k == Known::Refused) {
                    *known = Known::There(());
                }
                Some(decide(&believed))
            }
            (Mistake::TablesForgotten, Purpose::Close(_), Known::There(_)) => {
                Some(Decision::Finish(Finish::Done))
            }
            _ => None,
        }
    }
}

/// Errands that go on although their worker was told that they are done.
pub(super) type Background = Arc<Mutex<Vec<Box<dyn Errand>>>>;

/// A sink with a mistake, or none.
pub(super) struct Mistaken {
    pub(super) sink: ParquetSink,
    pub(super) mistake: Option<Mistake>,
    pub(super) background: Background,
}

impl Mistaken {
    fn spoil(&self, errand: Box<dyn Errand>, own_end: Option<Offset>) -> Box<dyn Errand> {
        spoil(errand, self.mistake, own_end)
    }
}

fn spoil(errand: Box<dyn Errand>, mistake: Option<Mistake>, own_end: Option<Offset>) -> Box<dyn Errand> {
    match mistake {
        Some(mistake) => Box::new(Spoilt { errand, mistake, own_end }),
        None => errand,
    }
}

impl Sink for Mistaken {
    fn find(&self, place: ChunkPlace) -> Box<dyn Errand> {
        self.spoil(self.sink.find(place), None)
    }
    fn tail(&self, partition: Partition, note: Option<&str>) -> Box<dyn Errand> {
        self.sink.tail(partition, note)
    }
    fn note(&self, place: ChunkPlace) -> String {
        self.sink.note(place)
    }
    fn begin(&self, place: ChunkPlace) -> Box<dyn Chunk> {
        let chunk = self.sink.begin(place);
        let (mistake, background) = (self.mistake, Arc::clone(&self.background));
        Box::new(MistakenChunk { chunk, mistake, background })
    }
}

struct Spoilt {
    errand: Box<dyn Errand>,
    mistake: Mistake,
    own_end: Option<Offset>,
}

impl Errand for Spoilt {
    fn step(&mut self) -> Result<Option<Reply>, SinkError> {
        let Some(reply) = self.errand.step()? else { return Ok(None) };
        let Reply::Found(Found { end, generations, incomplete }) = reply else { return Ok(Some(reply)) };
        let found = match (self.mistake, self.own_end) {
            (Mistake::NoAdoption, _) => Found { end, generations, incomplete: None },
            (Mistake::OwnEnd, Some(end)) => Found { end, generations, incomplete: None },
            (Mistake::DecidesAnew, _) => {
                Found { end, generations, incomplete: incomplete.map(|_| Recorded::default()) }
            }
            _ => Found { end, generations, incomplete },
        };
        Ok(Some(Reply::Found(found)))
    }
}

struct MistakenChunk {
    chunk: Box<dyn Chunk>,
    mistake: Option<Mistake>,
    background: Background,
}

/// Says that all is done before anything is.
struct TooEarly {
    errand: Option<Box<dyn Errand>>,
    background: Background,
}

impl Errand for TooEarly {
    fn step(&mut self) -> Result<Option<Reply>, SinkError> {
        self.background.lock().unwrap().extend(self.errand.take());
        Ok(Some(Reply::Done))
    }
}

impl Chunk for MistakenChunk {
    fn push(&mut self, settled: Settled) {
        self.chunk.push(settled);
    }
    fn turn(&mut self, generation: u64) {
        self.chunk.turn(generation);
    }
    fn note(&mut self, passed_over: PassedOver) {
        self.chunk.note(passed_over);
    }
    fn rows(&self) -> usize {
        self.chunk.rows()
    }
    fn bytes(&self) -> usize {
        self.chunk.bytes()
    }
    fn close(self: Box<Self>, closing: Closing) -> Result<Box<dyn Errand>, SinkError> {
        let errand = self.chunk.close(closing)?;
        Ok(match self.mistake {
            Some(Mistake::CommitFirst) => {
                Box::new(TooEarly { errand: Some(errand), background: self.background })
            }
            mistake => spoil(errand, mistake, Some(closing.end)),
        })
    }
    fn rebuild(self: Box<Self>, end: Offset) -> Result<Box<dyn Errand>, SinkError> {
        self.chunk.rebuild(end)
    }
}
