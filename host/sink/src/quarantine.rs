//! What waits in quarantine, read from the store alone, and what was released of it.
//!
//! A row of `quarantine` never goes away. Whether its item is still there is told by the rounds of release that lie beside its
//! chunk's ledger (see `release`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Float64Type;
use bytes::Bytes;
use host_event::{Category, EventId, Meta, Millis, Offset, Partition, ProjectId};
use thiserror::Error;

use crate::file::TableFile;
use crate::ledger::{Ledger, Names, each_of};
use crate::named::{int_column, text_column, time_column};
use crate::schema::Table;
use crate::store::{Store, StoreError};
use crate::stored::files_of_range;
use crate::tables::millis_of;

const COLUMNS: [&str; 15] = [
    "project_id",
    "event_id",
    "timestamp",
    "category",
    "stage",
    "reason",
    "detail",
    "environment",
    "sdk",
    "client_ip",
    "user_agent",
    "sent_at",
    "generation",
    "partition",
    "offset",
];
/// The large ones, and the ones that only a release needs.
const MORE_COLUMNS: [&str; 3] = ["trace", "payload", "server_sample_rate"];

/// An item in quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    pub meta: Meta,
    pub category: Category,
    /// The stage that failed on it.
    pub stage: String,
    pub reason: String,
    pub detail: String,
    /// The generation whose stage that was.
    pub generation: u64,
    pub partition: Partition,
    pub offset: Offset,
    /// The rate of the samplers that it had got past; absent in files of a version that did not keep it.
    pub server_sample_rate: Option<f64>,
    /// As it was before that stage: what stages before it did is done. Empty unless it was asked for.
    pub payload: Bytes,
    pub released: Option<Released>,
}

/// When an item left quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    pub round: u32,
    pub generation: u64,
}

/// Which items are meant. What is empty or absent means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    pub stages: Vec<String>,
    pub reasons: Vec<String>,
    pub projects: Vec<ProjectId>,
    pub events: Vec<EventId>,
    /// Received then or later.
    pub since: Option<Millis>,
}

impl Selection {
    pub fn takes(&self, held: &Held) -> bool {
        fn any<T: PartialEq>(wanted: &[T], found: &T) -> bool {
            wanted.is_empty() || wanted.contains(found)
        }
        any(&self.stages, &held.stage)
            && any(&self.reasons, &held.reason)
            && any(&self.projects, &held.meta.project_id)
            && any(&self.events, &held.meta.event_id)
            && self.since.is_none_or(|since| held.meta.received_at >= since)
    }
}

/// Whether payloads are read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Rows,
    Payloads,
}

#[derive(Debug, Error)]
pub enum QuarantineError {
    #[error("store {0}")]
    Store(#[from] StoreError),
    #[error("{path}: {what}")]
    File { path: String, what: String },
}

/// A file of the table, which has the items of one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineFile {
    pub(crate) names: Names,
}

impl QuarantineFile {
    pub fn path(&self) -> String {
        self.names.table(Table::Quarantine)
    }
}

/// The files that may have items received since then, in the order of time.
pub fn files(store: &dyn Store, since: Option<Millis>) -> Result<Vec<QuarantineFile>, StoreError> {
    let files = files_of_range(store, &[Table::Quarantine], since.unwrap_or(Millis::MIN), Millis::MAX)?;
    let tail = |(_, path): (Table, String)| path.split_once('/').map(|(_, tail)| Names::of_tail(tail));
    Ok(files.into_iter().filter_map(tail).map(|names| QuarantineFile { names }).collect())
}

/// The items of a file that are meant, released ones as well, in the order of their offsets.
pub fn read(
    store: &Arc<dyn Store>,
    file: &QuarantineFile,
    selection: &Selection,
    depth: Depth,
) -> Result<Vec<Held>, QuarantineError> {
    let mut items = rows(store, file, selection, depth)?;
    if !items.is_empty() {
        let released = released(&rounds(store, &file.names)?);
        items.iter_mut().for_each(|held| held.released = released.get(&held.offset).copied());
    }
    Ok(items)
}

/// The same, without a look at what was released.
pub(crate) fn rows(
    store: &Arc<dyn Store>,
    file: &QuarantineFile,
    selection: &Selection,
    depth: Depth,
) -> Result<Vec<Held>, QuarantineError> {
    let path = file.path();
    let failed = |what| QuarantineError::File { path: path.clone(), what };
    let table = TableFile::open(store, &path)?.map_err(failed)?;
    let table = table.ok_or_else(|| failed("it was listed, and is gone".into()))?;
    let mut columns = COLUMNS.to_vec();
    if depth == Depth::Payloads {
        columns.extend(MORE_COLUMNS);
    }
    let mut items = Vec::new();
    let take = |batch: &RecordBatch| {
        let rows = Rows::of(batch, depth)?;
        items.extend((0..batch.num_rows()).map(|row| rows.held(row)).filter(|held| selection.takes(held)));
        Ok(())
    };
    table.for_each(&columns, take)?.map_err(failed)?;
    items.sort_by_key(|held| held.offset);
    Ok(items)
}

/// The ledgers of all rounds of release of a chunk, by number.
pub(crate) fn rounds(store: &Arc<dyn Store>, names: &Names) -> Result<Vec<Ledger>, QuarantineError> {
    let mut rounds = Vec::new();
    for number in 1.. {
        let path = names.of_round(number).ledger();
        let failed = |what| QuarantineError::File { path: path.clone(), what };
        let Some(file) = TableFile::open(store, &path)?.map_err(failed)? else { break };
        rounds.push(Ledger::of(file.metadata()).map_err(failed)?);
    }
    Ok(rounds)
}

/// What those rounds released.
pub(crate) fn released(rounds: &[Ledger]) -> BTreeMap<Offset, Released> {
    let mut all = BTreeMap::new();
    for ledger in rounds {
        let generation = ledger.generations.first().map_or(0, |(_, generation)| *generation);
        if let Some(round) = &ledger.release {
            let released = Released { round: round.number, generation };
            all.extend(each_of(&round.offsets, &ledger.range()).map(|offset| (offset, released)));
        }
    }
    all
}

/// The columns of a batch.
struct Rows {
    project_id: Int64Array,
    event_id: StringArray,
    timestamp: TimestampMicrosecondArray,
    category: StringArray,
    stage: StringArray,
    reason: StringArray,
    detail: StringArray,
    environment: StringArray,
    sdk: StringArray,
    client_ip: StringArray,
    user_agent: StringArray,
    sent_at: TimestampMicrosecondArray,
    generation: Int64Array,
    partition: Int64Array,
    offset: Int64Array,
    trace: Option<StringArray>,
    payload: Option<StringArray>,
    server_sample_rate: Option<Float64Array>,
}

impl Rows {
    fn of(batch: &RecordBatch, depth: Depth) -> Result<Rows, String> {
        let text = |name: &str| text_column(batch, name).cloned();
        let int = |name: &str| int_column(batch, name).cloned();
        let time = |name: &str| time_column(batch, name).cloned();
        let is_deep = depth == Depth::Payloads;
        let rate = batch.column_by_name("server_sample_rate");
        Ok(Rows {
            project_id: int("project_id")?,
            event_id: text("event_id")?,
            timestamp: time("timestamp")?,
            category: text("category")?,
            stage: text("stage")?,
            reason: text("reason")?,
            detail: text("detail")?,
            environment: text("environment")?,
            sdk: text("sdk")?,
            client_ip: text("client_ip")?,
            user_agent: text("user_agent")?,
            sent_at: time("sent_at")?,
            generation: int("generation")?,
            partition: int("partition")?,
            offset: int("offset")?,
            trace: is_deep.then(|| text("trace")).transpose()?,
            payload: is_deep.then(|| text("payload")).transpose()?,
            server_sample_rate: rate.and_then(|rate| rate.as_primitive_opt::<Float64Type>()).cloned(),
        })
    }

    fn held(&self, row: usize) -> Held {
        let bytes = |column: &Option<StringArray>| {
            column.as_ref().map_or_else(Bytes::new, |c| Bytes::copy_from_slice(value(c, row).as_bytes()))
        };
        let meta = Meta {
            project_id: self.project_id.value(row) as u64,
            received_at: millis_of(self.timestamp.value(row)),
            sent_at: self.sent_at.is_valid(row).then(|| millis_of(self.sent_at.value(row))),
            event_id: EventId::parse(value(&self.event_id, row)).unwrap_or_default(),
            environment: value(&self.environment, row).to_owned(),
            client_ip: value(&self.client_ip, row).to_owned(),
            user_agent: value(&self.user_agent, row).to_owned(),
            sdk: value(&self.sdk, row).to_owned(),
            trace: bytes(&self.trace),
        };
        let rate = self.server_sample_rate.as_ref().filter(|rates| rates.is_valid(row));
        Held {
            meta,
            category: Category::from_name(value(&self.category, row)),
            stage: value(&self.stage, row).to_owned(),
            reason: value(&self.reason, row).to_owned(),
            detail: value(&self.detail, row).to_owned(),
            generation: self.generation.value(row) as u64,
            partition: self.partition.value(row) as u32,
            offset: self.offset.value(row) as u64,
            server_sample_rate: rate.map(|rates| rates.value(row)),
            payload: bytes(&self.payload),
            released: None,
        }
    }
}

fn value(column: &StringArray, row: usize) -> &str {
    if column.is_valid(row) { column.value(row) } else { "" }
}
