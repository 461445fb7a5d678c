//! From filled columns to the bytes of a Parquet file: sort indices, gather, compress, one row group at a time.
//!
//! Payloads are the bulk. They stay where they were received until their row group is written: a view points at them, and the
//! page that is compressed is the only copy.

use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, RecordBatch, StringViewArray, UInt32Array, make_view};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::columns::Filled;
use crate::schema::{Columns, Table};
use crate::tables::SortKey;

/// Limits of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLimits {
    pub row_group_rows_max: usize,
    /// Before compression.
    pub row_group_bytes_max: usize,
    /// `None` does not compress.
    pub zstd_level: Option<i32>,
}

impl Default for FileLimits {
    fn default() -> FileLimits {
        FileLimits {
            row_group_rows_max: 131_072,
            row_group_bytes_max: 64 << 20,
            zstd_level: Some(ZSTD_LEVEL),
        }
    }
}

/// Six is 2.8 times slower for 7 % smaller files.
const ZSTD_LEVEL: i32 = 3;
const BLOOM_COLUMNS: [&str; 3] = ["event_id", "trace_id", "group_id"];
const BLOOM_FALSE_POSITIVES_MAX: f64 = 0.01;
/// Every value is different, or nearly: a dictionary would be built, outgrown and thrown away.
const PLAIN_COLUMNS: [&str; 10] = [
    "event_id",
    "trace_id",
    "span_id",
    "parent_span_id",
    "sample_event_id",
    "timestamp",
    "end_timestamp",
    "duration_ms",
    "offset",
    "payload",
];
/// By these engines skip pages, not only row groups.
const PAGE_STATISTICS_COLUMNS: [&str; 3] = ["project_id", "group_id", "timestamp"];
const PAYLOAD_COLUMN: &str = "payload";

/// The rows of one table, in the order in which they came.
#[derive(Default)]
pub(crate) struct Rows<T> {
    pub(crate) columns: T,
    pub(crate) keys: Vec<SortKey>,
}

impl<T: Columns> Rows<T> {
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.columns.bytes() + self.keys.len() * size_of::<SortKey>()
    }

    /// The bytes of the file.
    pub(crate) fn encode(
        self,
        table: Table,
        footer: Vec<KeyValue>,
        limits: &FileLimits,
    ) -> Result<Bytes, ParquetError> {
        let column_bytes = self.columns.bytes();
        let order = order_of(&self.keys);
        let columns = self.columns.finish();
        let groups = row_groups(&order, &columns, column_bytes, limits);
        let rows_max = groups.iter().map(|g| g.len()).max().unwrap_or_default();
        let schema = table.schema();
        let options = ArrowWriterOptions::new()
            .with_properties(properties(table, rows_max, footer, limits.zstd_level))
            .with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options)?;
        for group in groups {
            let indices = UInt32Array::from(group.to_vec());
            let gathered: Result<Vec<ArrayRef>, ParquetError> =
                columns.iter().map(|c| gather(c, &indices)).collect();
            writer.write(&RecordBatch::try_new(Arc::clone(&schema), gathered?)?)?;
            writer.flush()?;
        }
        Ok(writer.into_inner()?.into())
    }
}

/// A file without rows, for the newest schema.
pub(crate) fn empty_file<T: Columns>(table: Table) -> Result<Bytes, ParquetError> {
    let footer = KeyValue::new("tamis.schema".to_owned(), crate::schema::SCHEMA_VERSION.to_string());
    Rows::<T>::default().encode(table, vec![footer], &FileLimits::default())
}

fn order_of(keys: &[SortKey]) -> Vec<u32> {
    let mut sorted: Vec<(SortKey, u32)> = keys.iter().copied().zip(0..).collect();
    sorted.sort_unstable();
    sorted.into_iter().map(|(_, index)| index).collect()
}

/// Cuts the sorted rows into row groups, by rows and by bytes.
fn row_groups<'a>(
    order: &'a [u32],
    columns: &[Filled],
    column_bytes: usize,
    limits: &FileLimits,
) -> Vec<&'a [u32]> {
    let payloads = columns.iter().find_map(|c| match c {
        Filled::Payloads(values) => Some(values),
        Filled::Array(_) => None,
    });
    let payload_of = |row: u32| payloads.and_then(|p| p[row as usize].as_ref()).map_or(0, Bytes::len);
    let payload_bytes: usize = order.iter().map(|row| payload_of(*row)).sum();
    let others_of_row = column_bytes.saturating_sub(payload_bytes) / order.len().max(1);
    let (mut groups, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, row) in order.iter().enumerate() {
        let size = payload_of(*row) + others_of_row;
        let full = at - start >= limits.row_group_rows_max || bytes + size > limits.row_group_bytes_max;
        if full && at > start {
            groups.push(&order[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    if start < order.len() {
        groups.push(&order[start..]);
    }
    groups
}

fn gather(column: &Filled, indices: &UInt32Array) -> Result<ArrayRef, ParquetError> {
    match column {
        Filled::Array(array) => Ok(take(array.as_ref(), indices, None)?),
        Filled::Payloads(values) => Ok(Arc::new(views(values, indices)?)),
    }
}

/// The payloads of those rows, where they are.
fn views(values: &[Option<Bytes>], indices: &UInt32Array) -> Result<StringViewArray, ParquetError> {
    let mut views = Vec::with_capacity(indices.len());
    let mut buffers = Vec::with_capacity(indices.len());
    let mut valid = NullBufferBuilder::new(indices.len());
    for row in indices.values() {
        let value = values[*row as usize].as_ref();
        valid.append(value.is_some());
        let text = value.map_or(&[][..], |bytes| bytes);
        views.push(make_view(text, buffers.len() as u32, 0));
        buffers.extend(value.map(|bytes| Buffer::from(bytes.clone())));
    }
    Ok(StringViewArray::try_new(ScalarBuffer::from(views), buffers, valid.finish())?)
}

fn properties(
    table: Table,
    rows_max: usize,
    footer: Vec<KeyValue>,
    zstd_level: Option<i32>,
) -> WriterProperties {
    let level = zstd_level.map(|level| ZstdLevel::try_new(level).expect("the level is within zstd's range"));
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("tamis ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(level.map_or(Compression::UNCOMPRESSED, Compression::ZSTD))
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(footer));
    for column in table.columns() {
        let path = || ColumnPath::from(column.name);
        if column.data_type == DataType::Utf8 && BLOOM_COLUMNS.contains(&column.name) {
            builder = builder
                .set_column_bloom_filter_fpp(path(), BLOOM_FALSE_POSITIVES_MAX)
                .set_column_bloom_filter_max_ndv(path(), rows_max.max(1) as u64);
        }
        if PLAIN_COLUMNS.contains(&column.name) {
            builder = builder.set_column_dictionary_enabled(path(), false);
        }
        if PAGE_STATISTICS_COLUMNS.contains(&column.name) {
            builder = builder.set_column_statistics_enabled(path(), EnabledStatistics::Page);
        }
        if column.name == PAYLOAD_COLUMN {
            builder = builder.set_column_statistics_enabled(path(), EnabledStatistics::None);
        }
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_groups_are_cut_by_rows_and_bytes() {
        let sizes = |order: &[u32], payloads: &[usize], limits: (usize, usize)| {
            let values = payloads.iter().map(|n| Some(Bytes::from(vec![b'x'; *n]))).collect();
            let limits = FileLimits {
                row_group_rows_max: limits.0,
                row_group_bytes_max: limits.1,
                ..FileLimits::default()
            };
            let total = payloads.iter().sum();
            let groups = row_groups(order, &[Filled::Payloads(values)], total, &limits);
            groups.iter().map(|g| g.len()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[0, 1, 2, 3, 4], &[1; 5], (2, 100)), [2, 2, 1]);
        assert_eq!(sizes(&[4, 3, 2, 1, 0], &[60, 60, 10, 10, 10], (100, 64)), [3, 1, 1]);
        assert_eq!(sizes(&[0], &[1000], (100, 64)), [1]);
        assert_eq!(sizes(&[], &[], (100, 64)), [] as [usize; 0]);
    }
}
