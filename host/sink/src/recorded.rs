//! What a ledger says of single records, read back from its file: the ends of those that were not accepted, and the stages that
//! others went on without.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray};
use bytes::Bytes;
use host_event::{Category, Offset, Outcome};
use host_pipeline::{Recorded, RecordedEnd};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::ledger::Ledger;
use crate::named::{int_column, text_column};

/// Reads the bytes of an `outcomes` file.
pub(crate) fn read(file: Bytes) -> Result<Recorded, String> {
    let text = |e: &dyn ToString| format!("no Parquet file: {}", e.to_string());
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| text(&e))?;
    let ledger = Ledger::of(reader.metadata())?;
    let mut recorded = Recorded::default();
    for batch in reader.build().map_err(|e| text(&e))? {
        read_ends(&batch.map_err(|e| text(&e))?, &mut recorded)?;
    }
    for (stage, runs) in ledger.passed_over {
        let stage: Arc<str> = stage.into();
        // A damaged ledger must not make this endless.
        let length = ledger.end.saturating_sub(ledger.start);
        for offset in runs.into_iter().flat_map(|(first, n)| first..first.saturating_add(n.min(length))) {
            recorded.passed_over.entry(offset).or_default().push(Arc::clone(&stage));
        }
    }
    Ok(recorded)
}

/// Takes the rows of items that were not accepted. Counts have no item: the records that they come from say them again.
fn read_ends(batch: &RecordBatch, recorded: &mut Recorded) -> Result<(), String> {
    let text = |name: &str| text_column(batch, name);
    let offsets = int_column(batch, "offset")?;
    let (items, categories) = (text("event_id")?, text("category")?);
    let (outcomes, reasons, stages) = (text("outcome")?, text("reason")?, text("stage")?);
    for row in (0..batch.num_rows()).filter(|row| items.is_valid(*row) && offsets.is_valid(*row)) {
        let value =
            |column: &StringArray| if column.is_valid(row) { column.value(row) } else { "" }.to_owned();
        let outcome = value(outcomes);
        let end = RecordedEnd {
            category: Category::from_name(categories.value(row)),
            outcome: Outcome::from_name(&outcome).ok_or_else(|| format!("no outcome is called {outcome}"))?,
            reason: value(reasons).into(),
            stage: value(stages).into(),
        };
        recorded.ends.insert(offsets.value(row) as Offset, end);
    }
    Ok(())
}
