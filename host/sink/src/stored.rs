//! Stored events, read back as events of a time range, each with the decision that was made about it: what a replay runs on.
//!
//! Tables keep what went out, so a replay sees less than the live run did:
//!
//! * Only what was accepted has a payload. What a filter dropped, a sampler left out or a stage failed on is not here;
//!   [`Decided::server_sample_rate`] says how many the row stands for.
//! * The payload is the one **after** the scrubbers of its generation, with their `_meta`.
//! * `$meta.project_id`, `$meta.received_at`, `$meta.category` and `$meta.event_id` are as they were. A record of `spans` counts as a
//!   transaction unless it has the `span_id` of a single span at its root.
//! * `$meta.environment` is that of the DSN key where the payload names no environment of its own; where it does, it is absent,
//!   since the column then holds the payload's.
//! * `$meta.sdk` is `name/version` of the columns: the payload's SDK where it names one, else as it was.
//! * `$meta.client_ip`, `$meta.user_agent`, the `sent_at` and every `$trace.KEY` are absent: nothing scrubs them, so tables do not keep
//!   them. A sampler's draw takes the trace of the payload then, which is the header's in what SDKs send, and the rate that the
//!   client said in its header is [`Decided::client_sample_rate`].
//! * The offset is as it was; the time of queueing is not kept and counts as the time of receipt.
//!
//! Memory holds one batch of rows of one file, of the columns that are needed and the rows that are asked for. Events come file by
//! file in the order of time of their chunks, within a file as tables are sorted: by project, group and timestamp.

mod folders;
mod row;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::error::ArrowError;
use host_event::{Category, Event, Millis, Offset, Partition, ProjectId};
use host_group::GroupId;
use parquet::arrow::arrow_reader::{ArrowPredicate, ArrowPredicateFn, ParquetRecordBatchReader, RowFilter};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use thiserror::Error;

use crate::file::{TableFile, batch_failed, store_failed};
use crate::named::{int_column, time_column};
use crate::schema::Table;
use crate::store::{Store, StoreError};
use crate::tables::signed;
use crate::wire::micros_of_millis;
pub(crate) use folders::files as files_of_range;
use row::Rows;

/// Text of one batch of rows, roughly.
const BATCH_BYTES_MAX: u64 = 4 << 20;
const BATCH_ROWS_MAX: u64 = 1024;

/// Which events are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Received at or after this.
    pub from: Millis,
    /// Received before this.
    pub to: Millis,
    /// Of errors, transactions, spans and logs; others have no stages.
    pub categories: Vec<Category>,
    /// Empty for all.
    pub projects: Vec<ProjectId>,
}

/// A row as an event again.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub event: Event,
    pub decided: Decided,
}

/// What was decided about an event that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// Errors have one.
    pub group: Option<GroupId>,
    pub client_sample_rate: f64,
    pub server_sample_rate: f64,
    pub generation: u64,
    pub partition: Partition,
    pub offset: Offset,
}

/// Rows that were asked for and are no events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassedBy {
    /// Rows without a payload. Children of a transaction are not among them: its payload has them.
    pub without_payload: u64,
    /// Rows whose payload is no JSON object.
    pub unreadable: u64,
}

/// The rest of that file is passed by; the iterator goes on with the next one.
#[derive(Debug, Error)]
pub enum StoredError {
    #[error("store {0}")]
    Store(#[from] StoreError),
    #[error("{path}: {what}")]
    File { path: String, what: String },
}

pub struct StoredEvents {
    store: Arc<dyn Store>,
    wanted: Arc<Wanted>,
    files: VecDeque<(Table, String)>,
    files_count: usize,
    open: Option<OpenFile>,
    passed_by: PassedBy,
}

struct OpenFile {
    table: Table,
    path: String,
    reader: ParquetRecordBatchReader,
    rows: Rows,
}

impl StoredEvents {
    /// Lists the files of the range. Their rows are read while the iterator goes on.
    pub fn open(store: Arc<dyn Store>, wanted: Wanted) -> Result<StoredEvents, StoreError> {
        let tables = tables_of(&wanted.categories);
        let files = folders::files(store.as_ref(), &tables, wanted.from, wanted.to)?;
        let (files_count, passed_by) = (files.len(), PassedBy::default());
        Ok(StoredEvents {
            store,
            wanted: Arc::new(wanted),
            files: files.into(),
            files_count,
            open: None,
            passed_by,
        })
    }

    /// Files that are read to their ends, and all of them.
    pub fn progress(&self) -> (usize, usize) {
        (self.files_count - self.files.len() - usize::from(self.open.is_some()), self.files_count)
    }

    pub fn passed_by(&self) -> PassedBy {
        self.passed_by
    }

    /// The next event of the file that is open; `None` at its end.
    fn next_of(&mut self, file: &mut OpenFile) -> Result<Option<StoredEvent>, StoredError> {
        loop {
            while let Some(row) = file.rows.next_row() {
                if let Some(event) = file.rows.event(row, file.table, &mut self.passed_by)
                    && self.wanted.categories.contains(&event.event.category)
                {
                    return Ok(Some(event));
                }
            }
            let failed = |what| StoredError::File { path: file.path.clone(), what };
            match file.reader.next() {
                None => return Ok(None),
                Some(Ok(batch)) => file.rows = Rows::of(&batch).map_err(failed)?,
                Some(Err(e)) => return Err(failed(batch_failed(e)?)),
            }
        }
    }

    fn open_file(&self, table: Table, path: String) -> Result<OpenFile, StoredError> {
        let failed = |what| StoredError::File { path: path.clone(), what };
        let file = TableFile::open(&self.store, &path)?.map_err(failed)?;
        let file = file.ok_or_else(|| failed("it was listed, and is gone".into()))?;
        let groups = file.metadata().row_groups();
        let kept: Vec<usize> = (0..groups.len()).filter(|i| may_have(&groups[*i], &self.wanted)).collect();
        let batch_rows = kept.iter().map(|i| batch_rows(&groups[*i])).min().unwrap_or(1);
        let reader = file.reader(&row::COLUMNS).with_row_groups(kept).with_batch_size(batch_rows);
        let filter = RowFilter::new(vec![predicate(&file, Arc::clone(&self.wanted))]);
        let reader = match reader.with_row_filter(filter).build() {
            Ok(reader) => reader,
            Err(e) => return Err(failed(store_failed(e)?.to_string())),
        };
        Ok(OpenFile { table, path, reader, rows: Rows::default() })
    }
}

impl Iterator for StoredEvents {
    type Item = Result<StoredEvent, StoredError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut file = match self.open.take() {
                Some(file) => file,
                None => {
                    let (table, path) = self.files.pop_front()?;
                    match self.open_file(table, path) {
                        Ok(file) => file,
                        Err(e) => return Some(Err(e)),
                    }
                }
            };
            match self.next_of(&mut file) {
                Ok(Some(event)) => {
                    self.open = Some(file);
                    return Some(Ok(event));
                }
                Ok(None) => {}
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

fn tables_of(categories: &[Category]) -> Vec<Table> {
    let table = |category: &Category| match category {
        Category::Error => Some(Table::Events),
        Category::Transaction | Category::Span => Some(Table::Spans),
        Category::Log => Some(Table::Logs),
        _ => None,
    };
    let mut tables: Vec<_> = categories.iter().filter_map(table).collect();
    tables.sort_unstable();
    tables.dedup();
    tables
}

/// Whether the statistics of a row group allow a row that is asked for. Without any they do.
fn may_have(group: &RowGroupMetaData, wanted: &Wanted) -> bool {
    let range = |name: &str| match group.columns().iter().find(|c| c.column_path().string() == name) {
        Some(column) => match column.statistics() {
            Some(Statistics::Int64(values)) => values.min_opt().copied().zip(values.max_opt().copied()),
            _ => None,
        },
        None => None,
    };
    let in_time = range("received_at")
        .is_none_or(|(min, max)| min < micros_of_millis(wanted.to) && max >= micros_of_millis(wanted.from));
    let has_project = range("project_id").is_none_or(|(min, max)| {
        let is_within = |project: &ProjectId| (min..=max).contains(&signed(*project));
        wanted.projects.is_empty() || wanted.projects.iter().any(is_within)
    });
    in_time && has_project
}

/// So many rows that their payloads stay within a batch's bytes, if they are of about one size.
fn batch_rows(group: &RowGroupMetaData) -> usize {
    let payload = group.columns().iter().find(|c| c.column_path().string() == "payload");
    let bytes = payload.map_or(0, |c| c.uncompressed_size().max(0) as u64);
    let rows = group.num_rows().max(1) as u64;
    (BATCH_BYTES_MAX * rows / bytes.max(1)).clamp(1, BATCH_ROWS_MAX) as usize
}

/// Decided by two small columns, before a payload is looked at.
fn predicate(file: &TableFile, wanted: Arc<Wanted>) -> Box<dyn ArrowPredicate> {
    let mask = file.mask(&["project_id", "received_at"]);
    Box::new(ArrowPredicateFn::new(mask, move |batch: RecordBatch| is_wanted(&batch, &wanted)))
}

fn is_wanted(batch: &RecordBatch, wanted: &Wanted) -> Result<BooleanArray, ArrowError> {
    let projects = int_column(batch, "project_id").map_err(ArrowError::SchemaError)?;
    let times = time_column(batch, "received_at").map_err(ArrowError::SchemaError)?;
    let range = micros_of_millis(wanted.from)..micros_of_millis(wanted.to);
    let is_asked_for = |project: i64| wanted.projects.iter().any(|p| signed(*p) == project);
    let is_wanted = |(project, time): (&i64, &i64)| {
        range.contains(time) && (wanted.projects.is_empty() || is_asked_for(*project))
    };
    Ok(projects.values().iter().zip(times.values()).map(is_wanted).map(Some).collect())
}
