//! A row of a table as an event again.

use arrow::array::{Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use bytes::Bytes;
use host_event::{Category, Doc, Event, EventId, Kind, Meta, NodeRef};
use host_group::GroupId;

use super::{Decided, PassedBy, StoredEvent};
use crate::named::{int_column, real_column, text_column, time_column};
use crate::schema::Table;
use crate::tables::millis_of;
use crate::wire::attribute_value;

/// What is read of a table. Those that a table does not have are passed over.
pub(super) const COLUMNS: [&str; 13] = [
    "project_id",
    "event_id",
    "received_at",
    "environment",
    "sdk_name",
    "sdk_version",
    "group_id",
    "client_sample_rate",
    "server_sample_rate",
    "generation",
    "partition",
    "offset",
    "payload",
];

/// The rows of one batch, taken one after the other.
#[derive(Default)]
pub(super) struct Rows {
    columns: Option<Columns>,
    next: usize,
}

struct Columns {
    project_id: Int64Array,
    event_id: StringArray,
    received_at: TimestampMicrosecondArray,
    environment: StringArray,
    sdk_name: StringArray,
    sdk_version: StringArray,
    group_id: Option<StringArray>,
    client_sample_rate: Float64Array,
    server_sample_rate: Float64Array,
    generation: Int64Array,
    partition: Int64Array,
    offset: Int64Array,
    payload: StringArray,
}

impl Rows {
    pub(super) fn of(batch: &RecordBatch) -> Result<Rows, String> {
        let text = |name: &str| text_column(batch, name).cloned();
        let int = |name: &str| int_column(batch, name).cloned();
        let real = |name: &str| real_column(batch, name).cloned();
        let columns = Columns {
            project_id: int("project_id")?,
            event_id: text("event_id")?,
            received_at: time_column(batch, "received_at")?.clone(),
            environment: text("environment")?,
            sdk_name: text("sdk_name")?,
            sdk_version: text("sdk_version")?,
            group_id: batch.column_by_name("group_id").map(|_| text("group_id")).transpose()?,
            client_sample_rate: real("client_sample_rate")?,
            server_sample_rate: real("server_sample_rate")?,
            generation: int("generation")?,
            partition: int("partition")?,
            offset: int("offset")?,
            payload: text("payload")?,
        };
        Ok(Rows { columns: Some(columns), next: 0 })
    }

    pub(super) fn next_row(&mut self) -> Option<usize> {
        let row = self.next;
        self.next += 1;
        (row < self.columns.as_ref()?.project_id.len()).then_some(row)
    }

    /// The event of a row; `None` where it is none, which is counted.
    pub(super) fn event(&self, row: usize, table: Table, passed_by: &mut PassedBy) -> Option<StoredEvent> {
        let c = self.columns.as_ref()?;
        let Some(payload) = value(&c.payload, row) else {
            passed_by.without_payload += u64::from(table != Table::Spans);
            return None;
        };
        let doc = Doc::parse(Bytes::copy_from_slice(payload.as_bytes()));
        let Some(doc) = doc.ok().filter(|doc| doc.root().kind() == Kind::Object) else {
            passed_by.unreadable += 1;
            return None;
        };
        let category = category_of(table, doc.root());
        let received_at = millis_of(c.received_at.value(row));
        let meta = Meta {
            project_id: c.project_id.value(row) as u64,
            received_at,
            event_id: EventId::parse(c.event_id.value(row)).unwrap_or_default(),
            environment: c.environment_of_key(row, category, doc.root()).to_owned(),
            sdk: c.sdk(row),
            ..Meta::default()
        };
        let group = c.group_id.as_ref().and_then(|ids| EventId::parse(value(ids, row)?));
        let offset = c.offset.value(row) as u64;
        let decided = Decided {
            group: group.map(|id| GroupId(id.0)),
            client_sample_rate: c.client_sample_rate.value(row),
            server_sample_rate: c.server_sample_rate.value(row),
            generation: c.generation.value(row) as u64,
            partition: c.partition.value(row) as u32,
            offset,
        };
        let event = Event { offset, queued_at: received_at, category, meta, doc };
        Some(StoredEvent { event, decided })
    }
}

impl Columns {
    /// The column has the payload's own environment where it names one, so the key's is known only where it does not.
    fn environment_of_key(&self, row: usize, category: Category, root: NodeRef<'_>) -> &str {
        let own = match category {
            Category::Error | Category::Transaction => root.get("environment"),
            _ => attribute_value(root.get("attributes").and_then(|a| a.get("sentry.environment"))),
        };
        own.map_or_else(|| value(&self.environment, row).unwrap_or_default(), |_| "")
    }

    fn sdk(&self, row: usize) -> String {
        match (value(&self.sdk_name, row), value(&self.sdk_version, row)) {
            (Some(name), Some(version)) => format!("{name}/{version}"),
            (Some(name), None) => name.to_owned(),
            (None, _) => String::new(),
        }
    }
}

fn value(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// `spans` has two categories, and no column that tells them apart.
fn category_of(table: Table, root: NodeRef<'_>) -> Category {
    let is_transaction = || root.get("type").is_some_and(|kind| kind.is(b"transaction"));
    match table {
        Table::Logs => Category::Log,
        Table::Spans if root.get("span_id").is_some() && !is_transaction() => Category::Span,
        Table::Spans => Category::Transaction,
        _ => Category::Error,
    }
}
