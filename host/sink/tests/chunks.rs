//! Chunks written through the port, read back with Arrow, and proven by `verify`.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use host_event::{Category, Doc, EventId, Meta, Outcome, OutcomeCount};
use host_group::{Group, GroupId, headline};
use host_pipeline::generation::Shelf;
use host_pipeline::{Accepted, ChunkPlace, Closing, End, Found, Mark, Reply, Settled, Sink, SinkError};
use host_sink::store::{Create, MemoryStore, OpenedStore, Over, Store, StoreError, StoreShelf};
use host_sink::{BreachKind, ParquetSink, Report, Silent, SinkConfig, Table, verify};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

const RECEIVED_AT: i64 = 1_795_375_676_123;
/// Of a later epoch, which may begin at any offset.
const LAST: Mark = Mark { queued_at: RECEIVED_AT, crc: 7 };
const PLACE: ChunkPlace = ChunkPlace { partition: 3, epoch: 1, start: 100, queued_at: RECEIVED_AT };

const EVENT: &str = include_str!("data/event.json");
const TRANSACTION: &str = include_str!("data/transaction.json");
const SPAN: &str = include_str!("data/span.json");
const LOG: &str = include_str!("data/log.json");
const SESSION: &str = r#"{"sid":"7c7b6585-f901-4351-bf8d-02711b721929","did":"u1","init":true,"started":"2026-11-22T19:27:00Z",
    "timestamp":"2026-11-22T19:27:30Z","duration":30.5,"status":"exited","errors":2,"attrs":{"release":"app@1","environment":"prod"}}"#;
const AGGREGATES: &str = r#"{"aggregates":[{"started":"2026-11-22T19:26:00Z","exited":3,"crashed":1},{"started":"2026-11-22T19:27:00Z","exited":4}],
    "attrs":{"release":"app@1"}}"#;
const CHECK_IN: &str = r#"{"check_in_id":"83a7c03ed0a04e1b97e2e3b18d38f244","monitor_slug":"nightly","status":"ok","duration":12.5}"#;

fn config() -> SinkConfig {
    SinkConfig::new("main")
}

fn sink(store: &Arc<dyn Store>, nonce: u128) -> ParquetSink {
    ParquetSink::with_store(Arc::clone(store), "memory", config(), nonce).unwrap()
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

fn meta(project_id: u64, id: u128) -> Meta {
    Meta {
        project_id,
        received_at: RECEIVED_AT,
        event_id: EventId(id),
        environment: "of-key".into(),
        sdk: "sentry.test/1.2".into(),
        client_ip: "203.0.113.9".into(),
        ..Meta::default()
    }
}

fn accepted(offset: u64, project_id: u64, category: Category, json: &str) -> Settled {
    let doc = Doc::parse(json.to_owned()).unwrap();
    let fingerprints =
        vec![("app".to_owned(), format!("hash of {project_id}")), ("system".to_owned(), "ff".into())];
    let group = (category == Category::Error).then(|| Group {
        id: GroupId::of(project_id, &fingerprints[0].1),
        fingerprints,
        headline: headline(&doc),
    });
    let accepted = Accepted { category, doc, client_sample_rate: 0.5, server_sample_rate: 0.25, group };
    let meta = meta(project_id, u128::from(offset));
    Settled { offset, queued_at: RECEIVED_AT, generation: 9, meta, end: End::Accepted(Box::new(accepted)) }
}

fn ended(offset: u64, end: End) -> Settled {
    Settled { offset, queued_at: RECEIVED_AT, generation: 9, meta: meta(1, u128::from(offset)), end }
}

fn count(category: Category, outcome: Outcome, reason: &'static str, quantity: u64) -> OutcomeCount {
    OutcomeCount { category, outcome, reason: reason.into(), quantity }
}

/// One record of every kind, from offset 100.
fn every_kind() -> Vec<Settled> {
    let dropped = End::Dropped {
        category: Category::Error,
        outcome: Outcome::Filtered,
        reason: "web-crawlers".into(),
        stage: "filters".into(),
    };
    let quarantined = End::Quarantined {
        category: Category::Error,
        stage: "scrub".into(),
        reason: "trap".into(),
        detail: "unreachable".into(),
        payload: Bytes::from_static(b"{\"secret\":1}"),
        server_sample_rate: 0.5,
    };
    let counts = vec![
        count(Category::Log, Outcome::RateLimited, "quota", 7),
        count(Category::Error, Outcome::ClientDiscard, "sample_rate", 3),
    ];
    vec![
        accepted(100, 2, Category::Error, EVENT),
        accepted(101, 1, Category::Transaction, TRANSACTION),
        accepted(102, 1, Category::Span, SPAN),
        accepted(103, 1, Category::Log, LOG),
        accepted(104, 1, Category::Session, SESSION),
        accepted(105, 1, Category::Session, AGGREGATES),
        accepted(106, 1, Category::CheckIn, CHECK_IN),
        ended(107, dropped),
        ended(108, quarantined),
        ended(109, End::Ended(counts)),
        accepted(
            110,
            1,
            Category::Error,
            r#"{"level":7,"user":[],"exception":3,"tags":9,"timestamp":"never"}"#,
        ),
        accepted(
            111,
            1,
            Category::Error,
            r#"{"logentry":{"message":"later"},"timestamp":"2026-11-22T19:30:00Z"}"#,
        ),
        accepted(112, 1, Category::Error, r#"{"message":"earlier","timestamp":"2026-11-22T19:20:00Z"}"#),
    ]
}

fn write(sink: &ParquetSink, place: ChunkPlace, records: Vec<Settled>) -> Result<Reply, SinkError> {
    let end = place.start + records.len() as u64;
    let mut chunk = sink.begin(place);
    chunk.turn(9);
    records.into_iter().for_each(|record| chunk.push(record));
    chunk.close(Closing { last: Some(LAST), ..Closing::at(end) })?.run()
}

fn name(table: Table, start: u64) -> String {
    format!("{table}/dt=2026-11-22/hour=19/main-e00001-p00003-o{start:020}.parquet")
}

fn rows(store: &Arc<dyn Store>, table: Table) -> RecordBatch {
    let bytes = store.read(&name(table, 100)).unwrap().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// All rows as `column=value` lines, nulls left out.
fn show(batch: &RecordBatch, without: &[&str]) -> String {
    let options = FormatOptions::default();
    let mut out = String::new();
    for row in 0..batch.num_rows() {
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            if without.contains(&field.name().as_str()) || column.is_null(row) {
                continue;
            }
            let text = match column.as_primitive_opt::<TimestampMicrosecondType>() {
                Some(times) => times.value(row).to_string(),
                None => ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string(),
            };
            out += &format!("{}={text}\n", field.name());
        }
        out += "\n";
    }
    out
}

/// Compares with a file of golden rows; `UPDATE_EXPECT=1` writes it.
fn expect(file: &str, found: &str) {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap_or_default(), "{file}");
}

fn proof(store: &Arc<dyn Store>) -> Report {
    verify(store, &mut Silent).unwrap()
}

#[test]
fn every_record_is_found_in_its_table() {
    let store = memory();
    assert_eq!(write(&sink(&store, 1), PLACE, every_kind()).unwrap(), Reply::Done);
    for table in Table::ALL {
        expect(&format!("{table}.rows"), &show(&rows(&store, table), &["payload"]));
    }
    let payloads = rows(&store, Table::Events);
    let payloads = payloads.column_by_name("payload").unwrap().as_string::<i32>();
    assert!(payloads.iter().any(|p| p == Some(EVENT)), "the payload is the event, byte by byte");
    expect("report.txt", &proof(&store).render().lines().map(without_bytes).collect::<String>());
}

/// The number of bytes depends on the version of the compressor.
fn without_bytes(line: &str) -> String {
    let line = line.rsplit_once(", ").filter(|(_, rest)| rest.ends_with(" bytes")).map_or(line, |(l, _)| l);
    format!("{line}\n")
}

#[test]
fn rows_are_sorted_and_nothing_of_the_host_leaks() {
    let store = memory();
    write(&sink(&store, 1), PLACE, every_kind()).unwrap();
    let events = rows(&store, Table::Events);
    let projects = events.column_by_name("project_id").unwrap().as_primitive::<Int64Type>();
    let times = events.column_by_name("timestamp").unwrap().as_primitive::<TimestampMicrosecondType>();
    let groups = events.column_by_name("group_id").unwrap().as_string::<i32>();
    let keys: Vec<_> =
        (0..events.num_rows()).map(|r| (projects.value(r), groups.value(r), times.value(r))).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    for table in [Table::Events, Table::Spans, Table::Logs] {
        assert!(
            !show(&rows(&store, table), &[]).contains("203.0.113.9"),
            "the client's address was not scrubbed"
        );
    }
    let weights = events.column_by_name("sample_rate").unwrap().as_primitive::<Float64Type>();
    assert!(weights.values().iter().all(|w| *w == 0.125));
}

#[test]
fn the_ledger_decides_who_was_first() {
    let store = memory();
    let (mine, other) = (sink(&store, 1), sink(&store, 2));
    assert_eq!(mine.find(PLACE).run().unwrap(), Reply::Nothing);
    assert_eq!(write(&mine, PLACE, every_kind()).unwrap(), Reply::Done);
    let found = Found { end: 113, generations: vec![(100, 9)], incomplete: None };
    assert_eq!(other.find(PLACE).run().unwrap(), Reply::Found(found.clone()));
    let shorter = every_kind().into_iter().take(5).collect();
    assert_eq!(write(&other, PLACE, shorter).unwrap(), Reply::Found(found.clone()));
    // The same process, another attempt: its answer was lost, and it would now end elsewhere.
    let shorter = every_kind().into_iter().take(5).collect();
    assert_eq!(write(&mine, PLACE, shorter).unwrap(), Reply::Found(found));
    assert!(proof(&store).is_sound());
}

#[test]
fn missing_tables_are_rebuilt_and_only_the_same_ones() {
    let store = memory();
    let sink = sink(&store, 1);
    write(&sink, PLACE, every_kind()).unwrap();
    let (events, logs) = (name(Table::Events, 100), name(Table::Logs, 100));
    let before = store.read(&events).unwrap();
    store.delete(&events).unwrap();
    store.delete(&logs).unwrap();
    let Reply::Found(Found { end: 113, incomplete: Some(recorded), .. }) = sink.find(PLACE).run().unwrap()
    else {
        panic!("it is not complete")
    };
    assert!(!recorded.ends.is_empty(), "who makes the tables again has to know");
    let kinds: Vec<_> = proof(&store).breaches.iter().map(|b| b.kind).collect();
    assert_eq!(kinds, [BreachKind::Unfinished, BreachKind::Unfinished]);

    let rebuild = |records: Vec<Settled>, end| {
        let mut chunk = sink.begin(PLACE);
        chunk.turn(9);
        records.into_iter().for_each(|record| chunk.push(record));
        chunk.rebuild(end).and_then(|mut errand| errand.run())
    };
    let mut wrong = every_kind();
    wrong[3] = accepted(103, 1, Category::Error, EVENT);
    let error = rebuild(wrong, 113).unwrap_err();
    assert!(matches!(&error, SinkError::Fatal { what, .. } if what.contains("rows of events")), "{error}");
    let error = rebuild(every_kind().into_iter().take(5).collect(), 105).unwrap_err();
    assert!(matches!(&error, SinkError::Fatal { what, .. } if what.contains("ends at 113")), "{error}");

    rebuild(every_kind(), 113).unwrap();
    assert_eq!(store.read(&events).unwrap(), before, "rebuilding gives the same bytes");
    assert!(proof(&store).is_sound());
}

#[test]
fn gaps_are_refused() {
    let sink = sink(&memory(), 1);
    let mut records = every_kind();
    records.remove(4);
    let error = write(&sink, PLACE, records).unwrap_err();
    assert!(matches!(&error, SinkError::Fatal { what, .. } if what.contains("offset 104")), "{error}");
    let error = sink.begin(PLACE).close(Closing::at(100)).err().unwrap();
    assert!(matches!(error, SinkError::Fatal { .. }), "an empty range is no chunk");
}

/// A store with two chunks, and what happens to it.
fn broken(harm: impl Fn(&Arc<dyn Store>)) -> Report {
    let store = memory();
    let sink = sink(&store, 1);
    write(&sink, PLACE, every_kind()).unwrap();
    let next = (113..116).map(|o| accepted(o, 1, Category::Error, EVENT)).collect();
    write(&sink, ChunkPlace { start: 113, ..PLACE }, next).unwrap();
    assert!(proof(&store).is_sound());
    harm(&store);
    proof(&store)
}

fn kinds(report: &Report) -> Vec<BreachKind> {
    report.breaches.iter().map(|b| b.kind).collect()
}

fn move_to(store: &Arc<dyn Store>, from: &str, to: &str) {
    let bytes = store.read(from).unwrap().unwrap();
    store.delete(from).unwrap();
    store.delete(to).unwrap();
    store.create(to, bytes).unwrap();
}

type Harm = Box<dyn Fn(&Arc<dyn Store>)>;

/// Writes a table's file anew, its rows and footer changed.
fn forge(
    store: &Arc<dyn Store>,
    path: &str,
    rows: impl Fn(RecordBatch) -> RecordBatch,
    footer: impl Fn(String) -> String,
) {
    let bytes = store.read(path).unwrap().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let entries = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
    let entries = entries.into_iter().map(|kv| KeyValue::new(kv.key, kv.value.map(&footer))).collect();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(entries)).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, Arc::clone(reader.schema()), Some(properties)).unwrap();
    for batch in reader.build().unwrap() {
        writer.write(&rows(batch.unwrap())).unwrap();
    }
    writer.close().unwrap();
    store.delete(path).unwrap();
    store.create(path, out.into()).unwrap();
}

fn same<T>(value: T) -> T {
    value
}

/// The rows with one of their integer columns changed.
fn with_ints(batch: &RecordBatch, column: &str, change: impl Fn(usize, i64) -> i64) -> RecordBatch {
    let (at, _) = batch.schema().column_with_name(column).unwrap();
    let old = batch.column(at).as_primitive::<Int64Type>();
    let new = (0..old.len()).map(|row| old.is_valid(row).then(|| change(row, old.value(row))));
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(new.collect::<Int64Array>());
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

fn swap(store: &Arc<dyn Store>, one: &str, other: &str) {
    let [a, b] = [one, other].map(|path| store.read(path).unwrap().unwrap());
    for (path, bytes) in [(one, b), (other, a)] {
        store.delete(path).unwrap();
        store.create(path, bytes).unwrap();
    }
}

fn copy(store: &Arc<dyn Store>, from: &str, to: &str) {
    store.create(to, store.read(from).unwrap().unwrap()).unwrap();
}

fn case(
    what: &'static str,
    harm: impl Fn(&Arc<dyn Store>) + 'static,
    want: &[BreachKind],
) -> (&'static str, Harm, Vec<BreachKind>) {
    (what, Box::new(harm), want.to_vec())
}

#[test]
fn verify_finds_files_that_are_gone_or_misplaced() {
    use BreachKind::*;
    let cases = [
        case("a table is gone", |s| s.delete(&name(Table::Spans, 100)).unwrap(), &[MissingTable]),
        case("the last table is gone", |s| s.delete(&name(Table::Events, 113)).unwrap(), &[Unfinished]),
        case("a ledger is gone", |s| s.delete(&name(Table::Outcomes, 113)).unwrap(), &[Orphan, Orphan]),
        case("a file too many", |s| copy(s, &name(Table::Logs, 100), &name(Table::Logs, 500)), &[Orphan]),
        case(
            "a ledger too many",
            |s| copy(s, &name(Table::Outcomes, 113), &name(Table::Outcomes, 116)),
            &[Misplaced, Fork],
        ),
        case(
            "the events of another chunk",
            |s| move_to(s, &name(Table::Events, 113), &name(Table::Events, 100)),
            &[
                Misplaced,
                RowCount,
                OutOfRange,
                OutOfRange,
                OutOfRange,
                Conservation,
                Conservation,
                NoOutcome,
                Unfinished,
            ],
        ),
        case(
            "two tables of a chunk in each other's place",
            |s| swap(s, &name(Table::Quarantine, 100), &name(Table::Groups, 100)),
            &[Misplaced, RowCount, Unreadable, Misplaced, RowCount, Unreadable],
        ),
        case(
            "a ledger at another place",
            |s| move_to(s, &name(Table::Outcomes, 113), &name(Table::Outcomes, 120)),
            &[Misplaced],
        ),
        case(
            "a torn file",
            |s| {
                let path = name(Table::Events, 100);
                let bytes = s.read(&path).unwrap().unwrap();
                s.delete(&path).unwrap();
                s.create(&path, bytes.slice(..bytes.len() / 2)).unwrap();
            },
            &[Unreadable],
        ),
        case(
            "an empty file",
            |s| {
                s.delete(&name(Table::Events, 100)).unwrap();
                s.create(&name(Table::Events, 100), Bytes::new()).unwrap();
            },
            &[Unreadable],
        ),
        case(
            "a ledger that is none",
            |s| {
                let path = "outcomes/dt=2026-11-22/hour=19/x.parquet";
                s.create(path, Bytes::from_static(b"PAR1")).map(|_| ()).unwrap();
            },
            &[UnreadableLedger],
        ),
    ];
    for (what, harm, want) in cases {
        let report = broken(harm);
        assert_eq!(kinds(&report), want, "{what}: {}", report.render());
    }
}

#[test]
fn verify_finds_rows_and_counts_that_were_changed() {
    use BreachKind::*;
    let ledger = || name(Table::Outcomes, 100);
    let in_ledger = |from: &'static str, to: &'static str| {
        move |s: &Arc<dyn Store>| {
            forge(s, &ledger(), same, |json| {
                assert!(json.contains(from), "{json}");
                json.replace(from, to)
            });
        }
    };
    let cases = [
        case("another count of rows", in_ledger(r#""events":4"#, r#""events":5"#), &[RowCount]),
        case("a longer range", in_ledger(r#""end":113"#, r#""end":114"#), &[Overlap, NoOutcome]),
        case(
            "a row less",
            |s| forge(s, &name(Table::Events, 100), |rows| rows.slice(0, 3), same),
            &[RowCount, Conservation, NoOutcome],
        ),
        case(
            "an offset twice, and one not at all",
            |s| {
                let twice =
                    |rows: RecordBatch| with_ints(&rows, "offset", |_, n| if n == 111 { 112 } else { n });
                forge(s, &name(Table::Events, 100), twice, same);
            },
            &[Duplicate, Conservation, NoOutcome],
        ),
        case(
            "an event of another project",
            |s| forge(s, &name(Table::Logs, 100), |rows| with_ints(&rows, "project_id", |_, n| n + 1), same),
            &[Conservation, Conservation],
        ),
        case(
            "one accepted more",
            move |s| {
                let more = |rows: RecordBatch| {
                    let ends = rows.column_by_name("offset").unwrap().clone();
                    with_ints(&rows, "quantity", |row, n| n + i64::from(ends.is_null(row)))
                };
                forge(s, &ledger(), more, same);
            },
            &[Conservation; 8],
        ),
        case(
            "a group counts one more",
            |s| {
                forge(
                    s,
                    &name(Table::Groups, 100),
                    |rows| with_ints(&rows, "count", |row, n| n + i64::from(row == 0)),
                    same,
                )
            },
            &[Conservation],
        ),
        case(
            "what was quarantined is gone, and the ledger says none of it",
            move |s| {
                s.delete(&name(Table::Quarantine, 100)).unwrap();
                forge(s, &ledger(), same, |json| json.replace(r#""quarantine":1"#, r#""quarantine":0"#));
            },
            &[Conservation],
        ),
        case(
            "the groups are gone, and the ledger says none of them",
            move |s| {
                s.delete(&name(Table::Groups, 100)).unwrap();
                forge(s, &ledger(), same, |json| json.replace(r#""groups":2,"#, r#""groups":0,"#));
            },
            &[Conservation; 2],
        ),
    ];
    for (what, harm, want) in cases {
        let report = broken(harm);
        assert_eq!(kinds(&report), want, "{what}: {}", report.render());
        assert!(
            report.breaches.iter().all(|b| b.file.contains("o00000000000000000") && b.partition == Some(3))
        );
    }
}

/// The same rows at the same offsets, in another partition.
#[test]
fn verify_finds_files_of_another_partition() {
    let store = memory();
    let sink = sink(&store, 1);
    write(&sink, PLACE, every_kind()).unwrap();
    write(&sink, ChunkPlace { partition: 4, ..PLACE }, every_kind()).unwrap();
    assert!(proof(&store).is_sound());
    let of_another = name(Table::Events, 100).replace("p00003", "p00004");
    swap(&store, &name(Table::Events, 100), &of_another);
    let report = proof(&store);
    assert_eq!(kinds(&report), [BreachKind::Misplaced; 2], "{}", report.render());
    assert!(report.breaches[0].what.contains(&of_another));
}

#[test]
fn verify_finds_that_the_first_chunk_is_gone() {
    let store = memory();
    let sink = ParquetSink::with_store(Arc::clone(&store), "memory", SinkConfig::new("main"), 1).unwrap();
    let dropped = |offset| {
        let (outcome, reason) = (Outcome::Invalid, "invalid_json".into());
        ended(offset, End::Dropped { category: Category::Error, outcome, reason, stage: "".into() })
    };
    for start in [0, 2] {
        let chunk = vec![dropped(start), dropped(start + 1)];
        write(&sink, ChunkPlace { start, epoch: 0, ..PLACE }, chunk).unwrap();
    }
    assert!(proof(&store).is_sound());
    store.delete(&name(Table::Outcomes, 0).replace("-e00001", "")).unwrap();
    assert_eq!(kinds(&proof(&store)), [BreachKind::Gap]);
}

#[test]
fn verify_finds_gaps_overlaps_and_forks() {
    use BreachKind::*;
    let errors =
        |start: u64, end: u64| (start..end).map(|o| accepted(o, 1, Category::Error, EVENT)).collect();
    for (start, queued_at, want) in
        [(115, RECEIVED_AT, Gap), (112, RECEIVED_AT, Overlap), (100, RECEIVED_AT + 3_600_000, Fork)]
    {
        let store = memory();
        let sink = sink(&store, 1);
        write(&sink, PLACE, every_kind()).unwrap();
        write(&sink, ChunkPlace { start, queued_at, ..PLACE }, errors(start, start + 3)).unwrap();
        let report = proof(&store);
        assert_eq!(kinds(&report), [want], "{}", report.render());
        assert_eq!((report.breaches[0].partition, report.breaches[0].offset), (Some(3), Some(start)));
    }
}

/// Every member that any table looks at, at three depths, with values of every wrong kind.
fn known_fields_with_hostile_values() -> Vec<String> {
    const NAMES: &str = "timestamp start_timestamp end_timestamp started level platform environment release dist transaction \
        logentry message formatted logger server_name user id username email ip_address request method url sdk name version \
        contexts trace trace_id span_id parent_span_id op description status origin data tags exception values type value \
        module mechanism handled stacktrace frames function filename abs_path lineno colno in_app spans measurements \
        attributes sentry.op sentry.segment.id sentry.release is_segment severity_number body sid did seq init duration \
        errors attrs aggregates exited errored crashed abnormal check_in_id monitor_slug culprit segment_id";
    const VALUES: [&str; 18] = [
        "null",
        "true",
        "-1",
        "0",
        "-0.0",
        "1e400",
        "-1e400",
        "99999999999999999999",
        "-62135596801",
        "253402300800",
        r#""10000-01-01T00:00:00Z""#,
        r#""-9999-01-01T00:00:00Z""#,
        r#""""#,
        r#""\u0000\ud800""#,
        "[]",
        "{}",
        "[[[]]]",
        r#"{"value":{"value":null}}"#,
    ];
    let object = |value: &str| {
        // Each key twice: once as it is, once escaped.
        let twice =
            |name: &str| format!(r#""{name}":{value},"\u{:04x}{}":{value}"#, name.as_bytes()[0], &name[1..]);
        format!("{{{}}}", NAMES.split_whitespace().map(twice).collect::<Vec<_>>().join(","))
    };
    let deeper = |value: &str| {
        let inner = object(value);
        let once = format!(r#"{{"values":[{inner}],"frames":[{inner}],"trace":{inner},"data":{inner}}}"#);
        let names = [
            "exception",
            "stacktrace",
            "contexts",
            "logentry",
            "user",
            "sdk",
            "request",
            "attributes",
            "measurements",
        ];
        let lists = ["spans", "exception", "aggregates", "tags", "attributes"];
        let objects = names.map(|name| format!(r#"{{"{name}":{once}}}"#));
        let lists = lists.map(|name| format!(r#"{{"{name}":[{once},{inner},{value}]}}"#));
        objects.into_iter().chain(lists).chain([inner]).collect::<Vec<_>>()
    };
    VALUES.into_iter().flat_map(deeper).collect()
}

/// Every category takes any document: what makes no sense is null, and the payload keeps it.
#[test]
fn hostile_documents_become_rows() {
    let deep = format!("{{\"contexts\":{}1{}}}", "[".repeat(400), "]".repeat(400));
    let long = format!(r#"{{"message":"{0}","body":"{0}","tags":{{"a":"{0}"}}}}"#, "é".repeat(1 << 19));
    let tags: Vec<_> = (0..100_000).map(|i| format!("\"k{}\":{i}", i % 60_000)).collect();
    let many = format!(r#"{{"tags":{{{0}}},"attributes":{{{0}}}}}"#, tags.join(","));
    let documents = [
        "[]",
        "\"text\"",
        "null",
        "{}",
        r#"{"exception":{"values":[1,null,[],{},{"stacktrace":[]},{"stacktrace":{"frames":{}}},{"mechanism":true}]}}"#,
        r#"{"contexts":{"trace":[1]},"spans":{"a":1},"user":1,"sdk":[],"request":"x","logentry":{},"attributes":[["a","b"],["a"]]}"#,
        r#"{"timestamp":1e308,"start_timestamp":-1e308,"end_timestamp":99999999999999999999,"started":"0000-00-00","seq":1e30,"errors":9223372036854775808}"#,
        r#"{"tags":[[1,2],[[],{}],["\u0000","\ud83d\ude00"],null],"release":"a\u0000b","level":{},"platform":false}"#,
        r#"{"timest\u0061mp":1795375670,"level":"error","level":"info","aggregates":[{"exited":9223372036854775807},{"exited":1},7]}"#,
        &deep,
        &long,
        &many,
    ];
    let nested = known_fields_with_hostile_values();
    let documents: Vec<_> = documents.into_iter().chain(nested.iter().map(String::as_str)).collect();
    let categories = [
        Category::Error,
        Category::Transaction,
        Category::Span,
        Category::Log,
        Category::Session,
        Category::CheckIn,
        Category::Attachment,
    ];
    let all = documents.iter().flat_map(|d| categories.iter().map(move |c| (*d, *c)));
    let records: Vec<_> = (100..).zip(all).map(|(o, (d, c))| accepted(o, u64::MAX, c, d)).collect();
    let (store, count) = (memory(), records.len() as u64);
    assert_eq!(write(&sink(&store, 1), PLACE, records).unwrap(), Reply::Done);
    let report = proof(&store);
    assert!(report.is_sound(), "{}", report.render());
    assert_eq!((report.offsets, report.rows[&Table::Logs]), (count, documents.len() as u64));
    let logs = rows(&store, Table::Logs);
    let bodies = logs.column_by_name("body").unwrap().as_string::<i32>();
    assert_eq!(bodies.iter().flatten().map(str::len).max(), Some(8192), "long texts are cut");
}

/// A client can say much with few bytes, and each child is a whole row.
#[test]
fn children_beyond_the_limit_stay_in_the_payload() {
    let children = vec!["{}"; 20_000].join(",");
    let transaction = format!(r#"{{"transaction":"many","spans":[{children}]}}"#);
    let store = memory();
    write(&sink(&store, 1), PLACE, vec![accepted(100, 1, Category::Transaction, &transaction)]).unwrap();
    let spans = rows(&store, Table::Spans);
    assert_eq!(spans.num_rows(), 1 + 10_000);
    let payloads = spans.column_by_name("payload").unwrap().as_string::<i32>();
    assert_eq!(payloads.iter().flatten().collect::<Vec<_>>(), [transaction]);
    assert!(proof(&store).is_sound());
}

#[test]
fn small_row_groups_hold_the_same_rows() {
    let store = memory();
    let mut config = config();
    config.files.row_group_rows_max = 3;
    let small = ParquetSink::with_store(Arc::clone(&store), "memory", config, 1).unwrap();
    let records = (100..120).map(|o| accepted(o, o % 3, Category::Error, EVENT)).collect();
    write(&small, PLACE, records).unwrap();
    let bytes = store.read(&name(Table::Events, 100)).unwrap().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 7);
    let events = rows(&store, Table::Events);
    let projects = events.column_by_name("project_id").unwrap().as_primitive::<Int64Type>();
    let offsets = events.column_by_name("offset").unwrap().as_primitive::<Int64Type>();
    assert!(projects.values().is_sorted() && events.num_rows() == 20);
    assert!((0..20).all(|r| offsets.value(r) % 3 == projects.value(r)), "columns stay together");
}

/// What lets engines skip, and what would only cost: by the footers of the files.
#[test]
fn files_are_laid_out_for_engines() {
    let store = memory();
    write(&sink(&store, 1), PLACE, every_kind()).unwrap();
    for table in Table::ALL {
        let bytes = store.read(&name(table, 100)).unwrap().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let columns = reader.metadata().row_group(0).columns();
        for column in columns {
            let path = column.column_path().string();
            let place = format!("{table}.{path}");
            assert!(matches!(column.compression(), Compression::ZSTD(_)), "{place}");
            let is_text = column.column_type() == Type::BYTE_ARRAY;
            let has_bloom = is_text && ["event_id", "trace_id", "group_id"].contains(&path.as_str());
            assert_eq!(column.bloom_filter_offset().is_some(), has_bloom, "{place}");
            let is_plain = ["event_id", "trace_id", "span_id", "timestamp", "offset", "payload"]
                .contains(&path.as_str());
            assert!(!is_plain || column.dictionary_page_offset().is_none(), "{place} has a dictionary");
            let statistics = column.statistics().map(|s| s.min_bytes_opt().is_some());
            let all_null =
                column.statistics().and_then(|s| s.null_count_opt()) == Some(column.num_values() as u64);
            assert!(statistics == Some(true) || all_null || path == "payload", "{place} has no statistics");
            let skips_pages = ["project_id", "timestamp"].contains(&path.as_str());
            assert!(!skips_pages || column.column_index_offset().is_some(), "{place} has no page index");
        }
    }
}

type Answer = fn() -> Result<Create, StoreError>;

/// A store that fails for good, or says for good that all exists and has nothing.
struct Stubborn {
    inner: MemoryStore,
    answer: Answer,
}

impl Over for Stubborn {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }
    fn on_create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        if path.starts_with("control/") { self.inner.create(path, bytes) } else { (self.answer)() }
    }
}

#[test]
fn what_the_store_says_is_told_apart() {
    let cases: [(Answer, bool, &str); 3] = [
        (|| Ok(Create::Exists), true, "has nothing there"),
        (|| Err(StoreError::away("p", "full")), true, "full"),
        (|| Err(StoreError::permanent("p", "no such call")), false, "no such call"),
    ];
    for (answer, is_retry, want) in cases {
        let store: Arc<dyn Store> = Arc::new(Stubborn { inner: MemoryStore::default(), answer });
        let sink = ParquetSink::with_store(store, "memory", config(), 1).unwrap();
        let error = write(&sink, PLACE, every_kind()).unwrap_err();
        assert_eq!(matches!(error, SinkError::Retry { .. }), is_retry, "{error}");
        assert!(error.to_string().contains(want), "{error}");
    }
}

#[test]
fn sources_must_be_fit_for_names() {
    for source in ["", "a/b", "a b", "é"] {
        let opened = ParquetSink::with_store(memory(), "memory", SinkConfig::new(source), 1);
        assert!(opened.is_err(), "{source:?}");
    }
}

#[test]
fn generations_find_their_shelf() {
    let shelf = StoreShelf(memory());
    assert_eq!(shelf.create("control/pipeline/1.json", b"one".to_vec()), Ok(true));
    assert_eq!(
        shelf.create("control/pipeline/1.json", b"one".to_vec()),
        Ok(true),
        "a lost answer to the own write"
    );
    assert_eq!(shelf.create("control/pipeline/1.json", b"two".to_vec()), Ok(false));
    assert_eq!(shelf.list("control/pipeline"), Ok(vec!["1.json".to_owned()]));
    assert_eq!(shelf.seek("control/pipeline/1.json"), Ok(Some(b"one".to_vec())));
    assert_eq!(shelf.seek("control/pipeline/2.json"), Ok(None));
}

#[test]
fn a_local_folder_keeps_it_all() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().to_str().unwrap();
    let sink = ParquetSink::open(url, config(), 7, runtime.handle().clone()).unwrap();
    assert_eq!(write(&sink, PLACE, every_kind()).unwrap(), Reply::Done);
    let again: Arc<dyn Store> = Arc::new(OpenedStore::open(url, runtime.handle().clone()).unwrap());
    let report = proof(&again);
    assert!(report.is_sound(), "{}", report.render());
    assert_eq!((report.chunks, report.offsets, report.files), (1, 13, 8));
    assert!(again.size("control/schema/0002/events.parquet").unwrap().is_some());
}
