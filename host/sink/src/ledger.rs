//! The ledger of a chunk: what the footer of its `outcomes` file says, and the names of the chunk's files.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use host_event::{Millis, Offset, Partition};
use host_pipeline::{ChunkPlace, Mark, PassedOver};
use parquet::file::metadata::{KeyValue, ParquetMetaData, ParquetMetaDataReader};
use serde::{Deserialize, Serialize};

use crate::schema::Table;

/// The key of the footer under which the ledger stands, as JSON.
const LEDGER_KEY: &str = "tamis.ledger";
/// The key under which a table's file says its own name, so that one in the place of another is found.
pub(crate) const FILE_KEY: &str = "tamis.file";

/// Fixes the range of a chunk, and says what must be behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    pub source: String,
    pub epoch: u32,
    pub partition: Partition,
    pub start: Offset,
    pub end: Offset,
    /// Of the attempt that wrote it, so that a writer whose answer was lost knows its own work again.
    pub nonce: String,
    /// The published generations that said what became of the records, each with the first offset it said about.
    pub generations: Vec<(Offset, u64)>,
    /// When the first record was queued.
    pub queued_at: Millis,
    /// Rows by table. Those with none have no file.
    pub rows: BTreeMap<Table, u64>,
    /// Bytes of the table files as this writer made them; one that rebuilds them later may need more or fewer.
    pub bytes: BTreeMap<Table, u64>,
    /// Tells the last record from another one at the same offset: a log that was made anew or cut off has others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Mark>,
    /// It is the first one of its chain, which begins behind offset 0: the log had forgotten what was before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begins: bool,
    /// Records that went on without a stage that failed on them: by stage, runs of offsets, `[first, how many]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passed_over: BTreeMap<String, Runs>,
    /// Only of a round of release: its range is that of the chunk whose items were quarantined, and it has the ends of a few of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Round>,
}

/// Offsets in ascending order, as runs: `[first, how many]`.
pub type Runs = Vec<(Offset, u64)>;

/// One of the times that items of a chunk were released from quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Counts up from 1, without a gap.
    pub number: u32,
    /// Those of the released items.
    pub offsets: Runs,
}

/// Adds an offset behind all others.
pub(crate) fn push_run(runs: &mut Runs, offset: Offset) {
    match runs.last_mut() {
        Some((first, length)) if *first + *length == offset => *length += 1,
        _ => runs.push((offset, 1)),
    }
}

/// The offsets one by one. A damaged ledger must not make this endless, so they end with the range of the chunk.
pub(crate) fn each_of<'a>(runs: &'a Runs, range: &Range<Offset>) -> impl Iterator<Item = Offset> + use<'a> {
    let Range { start, end } = *range;
    runs.iter().flat_map(move |(first, n)| (*first).max(start)..first.saturating_add(*n).min(end))
}

impl Ledger {
    pub(crate) fn range(&self) -> Range<Offset> {
        self.start..self.end
    }

    pub(crate) fn rows_of(&self, table: Table) -> u64 {
        self.rows.get(&table).copied().unwrap_or_default()
    }

    /// Notes a record that went on without a stage. They come in the order of their offsets.
    pub(crate) fn note(&mut self, note: &PassedOver) {
        push_run(self.passed_over.entry(note.stage.to_string()).or_default(), note.offset);
    }

    pub(crate) fn key_value(&self) -> KeyValue {
        let json = serde_json::to_string(self).expect("a ledger is always JSON");
        KeyValue::new(LEDGER_KEY.to_owned(), json)
    }

    /// Reads the ledger from the bytes of an `outcomes` file.
    pub(crate) fn read(file: &Bytes) -> Result<Ledger, String> {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(file);
        Ledger::of(&metadata.map_err(|e| format!("no Parquet file: {e}"))?)
    }

    pub(crate) fn of(metadata: &ParquetMetaData) -> Result<Ledger, String> {
        let json = footer_value(metadata, LEDGER_KEY).ok_or("its footer has no ledger")?;
        serde_json::from_str(json).map_err(|e| format!("its ledger can not be read: {e}"))
    }
}

/// What the footer of a file says under a key.
pub(crate) fn footer_value<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let entries = metadata.file_metadata().key_value_metadata();
    entries.into_iter().flatten().find(|kv| kv.key == key)?.value.as_deref()
}

/// Which chain of chunks, and where the files of one chunk are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// Behind the table: `dt=…/hour=…/<name>.parquet`.
    tail: String,
}

impl Names {
    pub(crate) fn new(source: &str, place: ChunkPlace) -> Names {
        let at = jiff::Timestamp::from_millisecond(place.queued_at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let at = jiff::tz::Offset::UTC.to_datetime(at);
        let epoch = if place.epoch == 0 { String::new() } else { format!("-e{:05}", place.epoch) };
        let tail = format!(
            "dt={:04}-{:02}-{:02}/hour={:02}/{source}{epoch}-p{:05}-o{:020}.parquet",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            place.partition,
            place.start
        );
        Names { tail }
    }

    pub(crate) fn of(ledger: &Ledger) -> Names {
        let Ledger { partition, epoch, start, queued_at, .. } = *ledger;
        let names = Names::new(&ledger.source, ChunkPlace { partition, epoch, start, queued_at });
        match &ledger.release {
            Some(round) => names.of_round(round.number),
            None => names,
        }
    }

    /// Of the chunk that a file belongs to, by the file's path below its table's folder.
    pub(crate) fn of_tail(tail: &str) -> Names {
        Names { tail: tail.to_owned() }
    }

    /// Of a round of release of this chunk.
    pub(crate) fn of_round(&self, number: u32) -> Names {
        Names { tail: format!("{}-r{number:05}.parquet", self.stem()) }
    }

    /// Below a table's folder, without what files end in.
    pub(crate) fn stem(&self) -> &str {
        self.tail.strip_suffix(".parquet").unwrap_or(&self.tail)
    }

    pub(crate) fn ledger(&self) -> String {
        self.table(Table::Outcomes)
    }

    pub(crate) fn table(&self, table: Table) -> String {
        format!("{table}/{}", self.tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_designed() {
        let place = ChunkPlace { partition: 12, epoch: 0, start: 4711, queued_at: 1_795_375_676_000 };
        let names = Names::new("main", place);
        let want = "outcomes/dt=2026-11-22/hour=19/main-p00012-o00000000000000004711.parquet";
        assert_eq!(names.ledger(), want);
        let again = Names::new("main", ChunkPlace { epoch: 2, ..place }).table(Table::CheckIns);
        assert_eq!(again, "check_ins/dt=2026-11-22/hour=19/main-e00002-p00012-o00000000000000004711.parquet");
        let round = names.of_round(3).ledger();
        assert_eq!(round, "outcomes/dt=2026-11-22/hour=19/main-p00012-o00000000000000004711-r00003.parquet");
    }

    #[test]
    fn offsets_are_runs() {
        let mut runs = Runs::new();
        [3, 4, 7, 9, 10, 11].into_iter().for_each(|offset| push_run(&mut runs, offset));
        assert_eq!(runs, [(3, 2), (7, 1), (9, 3)]);
        let each = |runs: &Runs, range| each_of(runs, &range).collect::<Vec<_>>();
        assert_eq!(each(&runs, 0..20), [3, 4, 7, 9, 10, 11]);
        assert_eq!(each(&runs, 4..10), [4, 7, 9]);
        assert_eq!(each(&vec![(5, u64::MAX), (90, 1)], 0..8), [5, 6, 7], "a damaged one");
    }
}
