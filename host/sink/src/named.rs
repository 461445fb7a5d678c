//! Columns of a batch by name and type, for those that read tables back. What is not there, or is something else, is said.

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

pub(crate) fn text_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, String> {
    column(batch, name)?.as_string_opt().ok_or_else(|| format!("{name} is no text"))
}

pub(crate) fn int_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array, String> {
    let column = column(batch, name)?.as_primitive_opt::<Int64Type>();
    column.ok_or_else(|| format!("{name} is no int64"))
}

pub(crate) fn real_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Float64Array, String> {
    let column = column(batch, name)?.as_primitive_opt::<Float64Type>();
    column.ok_or_else(|| format!("{name} is no f64"))
}

pub(crate) fn time_column<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a TimestampMicrosecondArray, String> {
    let column = column(batch, name)?.as_primitive_opt::<TimestampMicrosecondType>();
    column.ok_or_else(|| format!("{name} is no time"))
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, String> {
    batch.column_by_name(name).ok_or_else(|| format!("no column {name}"))
}
