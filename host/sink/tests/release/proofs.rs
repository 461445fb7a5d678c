//! What `verify` finds in rounds that were changed.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use host_sink::store::Store;
use host_sink::{BreachKind, Report, Table};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::world::*;

/// Two chunks, two rounds of each.
fn released() -> Arc<dyn Store> {
    let store = world();
    for heals in [&["a"][..], &["a", "b"]] {
        let mended = publish(&store, stages(heals));
        release_with(&store, &mended, &config(1)).unwrap();
    }
    assert_eq!(assert_sound(&store).rounds, 4);
    store
}

fn name(table: Table, start: u64, round: u32) -> String {
    let round = if round == 0 { String::new() } else { format!("-r{round:05}") };
    format!("{table}/dt=2026-11-22/hour=19/main-p00003-o{start:020}{round}.parquet")
}

/// Writes a file anew, at another place, its rows and footer changed.
fn forge(
    store: &Arc<dyn Store>,
    from: &str,
    to: &str,
    rows: impl Fn(RecordBatch) -> RecordBatch,
    footer: impl Fn(String) -> String,
) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(store.read(from).unwrap().unwrap()).unwrap();
    let entries = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
    let entries = entries.into_iter().map(|kv| KeyValue::new(kv.key, kv.value.map(&footer))).collect();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(entries)).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, Arc::clone(reader.schema()), Some(properties)).unwrap();
    for batch in reader.build().unwrap() {
        writer.write(&rows(batch.unwrap())).unwrap();
    }
    writer.close().unwrap();
    store.delete(to).unwrap();
    store.create(to, out.into()).unwrap();
}

fn same<T>(value: T) -> T {
    value
}

fn with_ints(batch: &RecordBatch, column: &str, change: impl Fn(i64) -> i64) -> RecordBatch {
    let (at, _) = batch.schema().column_with_name(column).unwrap();
    let old = batch.column(at).as_primitive::<Int64Type>();
    let new = (0..old.len()).map(|row| old.is_valid(row).then(|| change(old.value(row))));
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(new.collect::<Int64Array>());
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

fn kinds(report: &Report) -> Vec<BreachKind> {
    let mut kinds: Vec<_> = report.breaches.iter().map(|b| b.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// A round once more, under the next number, with all its rows.
fn released_twice(store: &Arc<dyn Store>) {
    for table in Table::ALL {
        let from = name(table, 0, 1);
        if store.size(&from).unwrap().is_some() {
            let footer = |text: String| {
                text.replace("-r00001", "-r00003")
                    .replace(r#""release":{"number":1"#, r#""release":{"number":3"#)
            };
            forge(store, &from, &name(table, 0, 3), same, footer);
        }
    }
}

#[test]
fn every_forgery_is_found() {
    use BreachKind::*;
    type Harm = Box<dyn Fn(&Arc<dyn Store>)>;
    let ledger = name(Table::Outcomes, 0, 1);
    let in_ledger = |change: fn(String) -> String| -> Harm {
        let path = ledger.clone();
        Box::new(move |s| {
            forge(s, &path, &path, same, |text| {
                let changed = change(text.clone());
                assert_ne!(changed, text);
                changed
            })
        })
    };
    let in_rows = |table: Table, change: fn(RecordBatch) -> RecordBatch| -> Harm {
        let path = name(table, 0, 1);
        Box::new(move |s| forge(s, &path, &path, change, same))
    };
    let without = |table: Table, start, round| -> Harm {
        Box::new(move |s: &Arc<dyn Store>| s.delete(&name(table, start, round)).unwrap())
    };
    let cases: Vec<(&str, Harm, Vec<BreachKind>)> = vec![
        ("a round twice", Box::new(released_twice), vec![Duplicate]),
        ("the first round's ledger is gone", without(Table::Outcomes, 0, 1), vec![Gap, Orphan]),
        ("the last round's ledger is gone", without(Table::Outcomes, 0, 2), vec![Orphan]),
        ("the chunk's ledger is gone", without(Table::Outcomes, 80, 0), vec![Orphan]),
        ("a table of a round is gone", without(Table::Events, 80, 2), vec![Unfinished]),
        (
            "one offset more is released, which never was in quarantine",
            in_ledger(|text| text.replacen(r#""offsets":["#, r#""offsets":[[1,1],"#, 1)),
            vec![Duplicate, NoOutcome, Conservation],
        ),
        (
            "offsets of another chunk are released",
            in_ledger(|text| text.replacen(r#""offsets":["#, r#""offsets":[[900,5],"#, 1)),
            vec![OutOfRange],
        ),
        (
            "a ledger releases none",
            in_ledger(|text| {
                let (head, tail) = text.split_once(r#""offsets":["#).unwrap();
                let end = tail.find("]]").unwrap();
                format!(r#"{head}"offsets":[{}"#, &tail[end + 1..])
            }),
            vec![OutOfRange, Duplicate, Conservation],
        ),
        (
            "an event less",
            in_rows(Table::Events, |rows| rows.slice(1, rows.num_rows() - 1)),
            vec![RowCount, NoOutcome, Conservation],
        ),
        (
            "an event of another offset",
            in_rows(Table::Events, |rows| with_ints(&rows, "offset", |n| n + 1)),
            vec![Duplicate, NoOutcome],
        ),
        (
            "nothing is taken back",
            in_rows(Table::Outcomes, |rows| with_ints(&rows, "quantity", |n| n.max(1))),
            vec![Duplicate, Conservation],
        ),
        (
            "more is taken back",
            in_rows(Table::Outcomes, |rows| with_ints(&rows, "quantity", |n| if n < 0 { -2 } else { n })),
            vec![Conservation],
        ),
        (
            "a chunk that is no round takes something back",
            Box::new(|s| {
                let path = name(Table::Outcomes, 0, 0);
                forge(s, &path, &path, |rows| with_ints(&rows, "quantity", |n| -n), same);
            }),
            vec![Conservation, NoOutcome, Duplicate],
        ),
    ];
    let mut wrong = Vec::new();
    for (what, harm, mut want) in cases {
        let store = released();
        harm(&store);
        let report = proof(&store);
        want.sort_unstable();
        if kinds(&report) != want {
            wrong.push(format!("{what}: {want:?} and not {:?}\n{:#?}", kinds(&report), report.breaches));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
