//! `verify` over many folders: what it reads and what not, what it says, and that nobody who writes meanwhile confuses it.
#![allow(clippy::unwrap_used)]

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use host_event::{Category, Doc, EventId, Meta, Outcome};
use host_pipeline::{Accepted, ChunkPlace, Closing, End, Settled, Sink};
use host_sink::repair::{Plan, Step, plan};
use host_sink::store::{Entry, MemoryStore, Over, Store, StoreError};
use host_sink::{
    BreachKind, Committed, ParquetSink, Report, Seam, Silent, SinkConfig, Table, VerifyConfig, verify_with,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

/// 2026-11-22 19:00 UTC.
const NINETEEN: i64 = 1_795_374_000_000;
const HOUR: i64 = 3_600_000;

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

/// A sink, and the epoch that it writes in.
fn sink(store: &Arc<dyn Store>, epoch: u32, nonce: u128) -> (ParquetSink, u32) {
    let sink = ParquetSink::with_store(Arc::clone(store), "memory", SinkConfig::new("main"), nonce);
    (sink.unwrap(), epoch)
}

/// A chunk, so many hours after nineteen o'clock. Every third record is dropped, the others are logs.
fn write((sink, epoch): &(ParquetSink, u32), hour: i64, range: Range<u64>) {
    let queued_at = NINETEEN + hour * HOUR;
    let mut chunk = sink.begin(ChunkPlace { partition: 3, epoch: *epoch, start: range.start, queued_at });
    chunk.turn(9);
    for offset in range.clone() {
        let end = if offset.is_multiple_of(3) {
            let (category, outcome) = (Category::Error, Outcome::Filtered);
            End::Dropped { category, outcome, reason: "old".into(), stage: "filters".into() }
        } else {
            let doc = Doc::parse(r#"{"body":"a line","level":"info"}"#.to_owned()).unwrap();
            let (category, group) = (Category::Log, None);
            End::Accepted(Box::new(Accepted {
                category,
                doc,
                client_sample_rate: 1.0,
                server_sample_rate: 1.0,
                group,
            }))
        };
        let meta = Meta {
            project_id: 1,
            event_id: EventId(offset.into()),
            received_at: queued_at,
            ..Meta::default()
        };
        chunk.push(Settled { offset, queued_at, generation: 9, meta, end });
    }
    chunk.close(Closing::at(range.end)).unwrap().run().unwrap();
}

/// A store with these chunks of partition 3: the hour, and the offsets.
fn store(chunks: &[(i64, Range<u64>)]) -> Arc<dyn Store> {
    let store = memory();
    let sink = sink(&store, 0, 1);
    chunks.iter().for_each(|(hour, range)| write(&sink, *hour, range.clone()));
    store
}

fn name(table: Table, hour: i64, start: u64) -> String {
    format!("{table}/dt=2026-11-22/hour={:02}/main-p00003-o{start:020}.parquet", 19 + hour)
}

fn look(store: &Arc<dyn Store>, since: Option<i64>) -> Report {
    let of = |jobs| {
        verify_with(store, &VerifyConfig { jobs, since, ..VerifyConfig::default() }, &mut Silent).unwrap()
    };
    let (one, many) = (of(1), of(8));
    assert_eq!(one, many, "the same whoever does it");
    one
}

fn kinds(report: &Report) -> Vec<BreachKind> {
    report.breaches.iter().map(|breach| breach.kind).collect()
}

/// Writes a file anew with another footer.
fn forge(store: &Arc<dyn Store>, path: &str, footer: impl Fn(String) -> String) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(store.read(path).unwrap().unwrap()).unwrap();
    let entries = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
    let entries = entries.into_iter().map(|kv| KeyValue::new(kv.key, kv.value.map(&footer))).collect();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(entries)).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, Arc::clone(reader.schema()), Some(properties)).unwrap();
    for batch in reader.build().unwrap() {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.close().unwrap();
    store.delete(path).unwrap();
    store.create(path, out.into()).unwrap();
}

fn copy(store: &Arc<dyn Store>, from: &str, to: &str) {
    store.create(to, store.read(from).unwrap().unwrap()).unwrap();
}

#[test]
fn chunks_of_a_chain_lie_in_folders_in_any_order() {
    // The times of a shared log are those of its producers.
    let store = store(&[(2, 0..5), (0, 5..9), (4, 9..10), (1, 10..12), (0, 12..20)]);
    let report = look(&store, None);
    assert!(report.is_sound(), "{}", report.render());
    let chain = &report.chains[0];
    assert_eq!((chain.start, chain.end, chain.chunks, chain.seam), (0, 20, 5, None));
    assert_eq!((report.offsets, report.rows[&Table::Logs], report.rows[&Table::Outcomes]), (20, 13, 11));
}

#[test]
fn what_is_wrong_is_said_with_its_offsets_and_files() {
    let (ledger, logs) = (name(Table::Outcomes, 1, 10), name(Table::Logs, 1, 10));
    type Harm<'a> = Box<dyn Fn(&Arc<dyn Store>) + 'a>;
    let cases: [(&str, Harm<'_>, String); 6] = [
        (
            "a ledger is gone",
            Box::new(|s| s.delete(&ledger).unwrap()),
            format!(
                "Gap: {} partition 3 offset 20: {} ends at 10: offsets 10..20 are in no chunk\n\
                 Orphan: {logs}: there is no ledger of that name",
                name(Table::Outcomes, 2, 20),
                name(Table::Outcomes, 0, 0)
            ),
        ),
        (
            "a chunk twice, in another hour",
            Box::new(|s| write(&sink(s, 0, 1), 3, 10..15)),
            format!(
                "Fork: {} partition 3 offset 10: {ledger} begins there too, and ends at 20\n\
                 hint: main partition 3: 1 chunk has offsets that others have, too. Writer {:032x} made both",
                name(Table::Outcomes, 3, 10),
                1
            ),
        ),
        (
            "a chunk that reaches into two others",
            Box::new(|s| write(&sink(s, 0, u128::MAX), 3, 19..21)),
            format!(
                "Overlap: {over} partition 3 offset 19: {ledger} ends at 20: offset 19 is in both\n\
                 Overlap: {} partition 3 offset 20: {over} ends at 21: offset 20 is in both\n\
                 hint: main partition 3: 2 chunks have offsets that others have, too. Writer {:032x} made {ledger}, and \
                 writer {:032x} made {over}",
                name(Table::Outcomes, 2, 20),
                1,
                u128::MAX,
                over = name(Table::Outcomes, 3, 19)
            ),
        ),
        (
            "a table of an earlier chunk is gone",
            Box::new(|s| s.delete(&logs).unwrap()),
            format!("MissingTable: {logs} partition 3 offset 10: the ledger says 7 rows"),
        ),
        (
            "the first chunk is gone",
            Box::new(|s| {
                [Table::Outcomes, Table::Logs].iter().for_each(|t| s.delete(&name(*t, 0, 0)).unwrap());
            }),
            format!(
                "Gap: {ledger} partition 3 offset 10: the chain begins here, and not at offset 0: offsets 0..10 are in no chunk"
            ),
        ),
        (
            "files above the folders of hours",
            Box::new(|s| {
                copy(s, &logs, "logs/copy.parquet");
                s.create("outcomes/dt=2026-11-22/x.parquet", Bytes::from_static(b"PAR1")).map(drop).unwrap();
            }),
            "UnreadableLedger: outcomes/dt=2026-11-22/x.parquet: no Parquet file".to_owned(),
        ),
    ];
    for (what, harm, want) in cases {
        let store = store(&[(0, 0..10), (1, 10..20), (2, 20..30)]);
        harm(&store);
        let text = look(&store, None).render();
        let mut rest = text.as_str();
        for line in want.lines() {
            rest = rest.split_once(line).unwrap_or_else(|| panic!("{what}: {line}\nis not in\n{text}")).1;
        }
    }
}

#[test]
fn offsets_without_an_outcome_are_told_in_runs() {
    let store = store(&[(0, 0..9), (1, 9..30)]);
    // All rows of the logs of the second chunk, in the place of those of the first.
    let (of_first, of_second) = (name(Table::Logs, 0, 0), name(Table::Logs, 1, 9));
    store.delete(&of_first).unwrap();
    copy(&store, &of_second, &of_first);
    let report = look(&store, None);
    let breach = report.breaches.iter().find(|breach| breach.kind == BreachKind::NoOutcome).unwrap();
    let runs = "offsets 1..3 are, offsets 4..6 are, offsets 7..9 are in no table";
    assert!(breach.what.ends_with(runs), "{}", breach.what);
    assert_eq!((breach.range, breach.offset), (Some((1, 3)), Some(1)));

    let store = self::store(&[(0, 0..9)]);
    forge(&store, &name(Table::Outcomes, 0, 0), |json| json.replace(r#""end":9"#, r#""end":90"#));
    assert!(look(&store, None).breaches[0].what.contains("offsets 9..90 are in no table"));
}

/// Notes what was read.
struct Watched {
    inner: Arc<dyn Store>,
    read: Mutex<Vec<String>>,
}

impl Over for Watched {
    fn inner(&self) -> &dyn Store {
        &*self.inner
    }
    fn on_read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.read.lock().unwrap().push(path.to_owned());
        self.inner.read_range(path, range)
    }
}

#[test]
fn from_a_time_on_older_folders_are_not_read() {
    // The chunk 30..40 lies in an older folder, and is not missing for that.
    let chunks = [(-5, 0..10), (-1, 10..20), (1, 20..30), (-2, 30..40), (2, 40..50)];
    let inner = store(&chunks);
    let watched = Arc::new(Watched { inner: Arc::clone(&inner), read: Mutex::default() });
    let store: Arc<dyn Store> = Arc::clone(&watched) as _;
    let since = Some(NINETEEN + HOUR / 2);
    let report = look(&store, since);
    assert!(report.is_sound(), "{}", report.render());
    let chain = &report.chains[0];
    assert_eq!((chain.start, chain.end, chain.chunks, chain.seam), (20, 50, 2, Some(Seam::Checked)));
    let text = report.render();
    assert!(text.contains("only what was queued since dt=2026-11-22/hour=19 was read\n"), "{text}");
    assert!(text.contains("20..50 in 2 chunks, and the chunk before them was looked at\n"), "{text}");
    let read = watched.read.lock().unwrap().clone();
    let is_older =
        |path: &&String| path.contains("hour=14") || (path.contains("hour=1") && path.contains("logs"));
    assert_eq!(read.iter().filter(is_older).count(), 0, "{read:?}");

    // What is missing is told, but for what is older than all that was looked at.
    inner.delete(&name(Table::Outcomes, -2, 30)).unwrap();
    let report = look(&inner, since);
    assert_eq!(kinds(&report), [BreachKind::Gap], "{}", report.render());
    assert!(
        report.breaches[0]
            .what
            .ends_with("offsets 30..40 are in no chunk that was looked at; without --since all are")
    );
    inner.delete(&name(Table::Outcomes, -1, 10)).unwrap();
    let report = look(&inner, since);
    assert_eq!(kinds(&report), [BreachKind::Gap, BreachKind::Gap], "the seam as well: {}", report.render());
    inner.delete(&name(Table::Outcomes, -5, 0)).unwrap();
    let report = look(&inner, since);
    assert_eq!((kinds(&report), report.chains[0].seam), (vec![BreachKind::Gap], Some(Seam::Unknown)));

    let whole = look(&self::store(&[(1, 0..10)]), since);
    assert_eq!(whole.chains[0].seam, Some(Seam::Beginning));
    assert!(look(&self::store(&[(-1, 0..10)]), since).chains.is_empty());
}

#[test]
fn a_last_chunk_that_is_gone_is_missed_where_the_queue_says_how_far_it_came() {
    let at = |next, hour_and_start: Option<(i64, u64)>| Committed {
        source: "main".into(),
        partition: 3,
        next,
        ledger: hour_and_start.map(|(hour, start)| name(Table::Outcomes, hour, start)),
    };
    let look = |store: &Arc<dyn Store>, committed, since: Option<i64>| {
        let since = since.map(|hour| NINETEEN + hour * HOUR);
        let config = VerifyConfig { jobs: 1, since, committed: vec![committed] };
        verify_with(store, &config, &mut Silent).unwrap()
    };
    let whole = store(&[(0, 0..4), (1, 4..6), (3, 6..9)]);
    for committed in [at(9, Some((3, 6))), at(9, None), at(6, Some((1, 4))), at(0, None)] {
        for since in [None, Some(0), Some(3), Some(9)] {
            let report = look(&whole, committed.clone(), since);
            assert!(report.is_sound(), "{committed:?} since {since:?}: {:?}", report.breaches);
        }
    }
    let last = name(Table::Outcomes, 3, 6);
    let cut = store(&[(0, 0..4), (1, 4..6)]);
    for (committed, file) in [(at(9, Some((3, 6))), last.clone()), (at(9, None), name(Table::Outcomes, 1, 4))]
    {
        for since in [None, Some(1)] {
            let report = look(&cut, committed.clone(), since);
            let [breach] = &report.breaches[..] else { panic!("{:?}", report.breaches) };
            assert_eq!((breach.kind, &breach.file, breach.range), (BreachKind::Gap, &file, Some((6, 9))));
            assert!(breach.what.contains("committed at 9, and offsets 6..9 are in no chunk"), "{breach:?}");
        }
    }
    // Nothing of it was queued since, and a note says where to look all the same.
    assert!(look(&cut, at(9, None), Some(9)).is_sound(), "that can not be known");
    let report = look(&cut, at(9, Some((3, 6))), Some(9));
    assert_eq!((kinds(&report), &report.breaches[0].file), (vec![BreachKind::Gap], &last));
    let report = look(&memory(), at(9, None), None);
    assert!(report.breaches[0].what.contains("another store"), "{:?}", report.breaches);
    // A new epoch begins where somebody wanted it to: the commit is of the old one until the first of its own.
    write(&sink(&whole, 1, 2), 4, 0..3);
    for committed in [at(9, Some((3, 6))), at(3, None)] {
        assert!(look(&whole, committed, None).is_sound());
    }
    let of_it = |report: &Report| (kinds(report), report.breaches[0].range);
    // A chunk of the old epoch that happens to end there is not the one of the note.
    let gone = name(Table::Outcomes, 5, 3).replace("-p00003", "-e00001-p00003");
    let report = look(&whole, Committed { ledger: Some(gone), ..at(6, None) }, None);
    assert_eq!(of_it(&report), (vec![BreachKind::Gap], Some((3, 6))));
    assert_eq!(of_it(&look(&whole, at(5, None), None)), (vec![BreachKind::Gap], Some((3, 5))));
    let elsewhere = Committed { partition: 4, ..at(9, None) };
    assert_eq!(kinds(&look(&whole, elsewhere, None)), [BreachKind::Gap]);
}

#[test]
fn a_log_may_begin_later_and_has_epochs() {
    let store = store(&[(0, 100..110), (1, 110..120)]);
    assert_eq!(kinds(&look(&store, None)), [BreachKind::Gap]);
    forge(&store, &name(Table::Outcomes, 0, 100), |json| {
        json.replace(r#""start":100"#, r#""begins":true,"start":100"#)
    });
    assert!(look(&store, None).is_sound(), "its first ledger says so");
    write(&sink(&store, 1, 1), 0, 40..50);
    write(&sink(&store, 1, 1), 2, 50..55);
    let report = look(&store, None);
    assert!(report.is_sound(), "{}", report.render());
    let chains: Vec<_> = report.chains.iter().map(|c| (c.epoch, c.start, c.end)).collect();
    assert_eq!(chains, [(0, 100, 120), (1, 40, 55)]);
    // In the middle it says nothing.
    forge(&store, &name(Table::Outcomes, 1, 110), |json| {
        json.replace(r#""start":110"#, r#""begins":true,"start":110"#)
    });
    store.delete(&name(Table::Outcomes, 0, 100)).unwrap();
    store.delete(&name(Table::Logs, 0, 100)).unwrap();
    assert!(look(&store, None).is_sound(), "what was before is gone with its ledger, and nobody can know");
}

type Meanwhile = Box<dyn Fn(&Arc<dyn Store>) + Send + Sync>;

/// A store in use: behind the first listing of a folder something is written.
struct InUse {
    inner: Arc<dyn Store>,
    behind: String,
    listed: AtomicUsize,
    meanwhile: Meanwhile,
}

impl Over for InUse {
    fn inner(&self) -> &dyn Store {
        &*self.inner
    }
    fn on_list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let listed = self.inner.list(folder);
        if folder == self.behind && self.listed.fetch_add(1, Relaxed) == 0 {
            (self.meanwhile)(&self.inner);
        }
        listed
    }
}

#[test]
fn a_store_in_use_has_no_holes() {
    let cases: [(&str, i64, Meanwhile); 3] = [
        // Its folder was listed already, and that of the next one was not.
        (
            "behind the listing",
            1,
            Box::new(|s| {
                write(&sink(s, 0, 2), 1, 20..30);
                write(&sink(s, 0, 2), 0, 30..40);
            }),
        ),
        (
            "the tables of the last chunk",
            1,
            Box::new(|s| {
                let logs = name(Table::Logs, 1, 10);
                let bytes = s.read("aside").unwrap().unwrap();
                s.create(&logs, bytes).unwrap();
                write(&sink(s, 0, 2), 0, 20..30);
            }),
        ),
        ("in a folder that is new", 1, Box::new(|s| write(&sink(s, 0, 2), 2, 20..30))),
    ];
    for (what, hour, meanwhile) in cases {
        let inner = store(&[(0, 0..10), (1, 10..20)]);
        if what.starts_with("the tables") {
            let logs = name(Table::Logs, 1, 10);
            copy(&inner, &logs, "aside");
            inner.delete(&logs).unwrap();
        }
        let behind = format!("outcomes/dt=2026-11-22/hour={:02}", 19 + hour);
        let store: Arc<dyn Store> = Arc::new(InUse { inner, behind, listed: AtomicUsize::new(0), meanwhile });
        let config = VerifyConfig { jobs: 1, ..VerifyConfig::default() };
        let report = verify_with(&store, &config, &mut Silent).unwrap();
        assert!(report.is_sound(), "{what}: {}", report.render());
        assert!(look(&store, None).is_sound());
    }
}

#[test]
fn a_broken_store_is_told_in_the_same_words_whoever_looks() {
    let store = memory();
    let sink = sink(&store, 1, 1);
    (0..400).for_each(|at| write(&sink, at % 4, at as u64 * 3..at as u64 * 3 + 3));
    // 1,200 breaches, of which 1,000 are kept.
    for at in 0..400u64 {
        let ledger = name(Table::Outcomes, at as i64 % 4, at * 3).replace("-p", "-e00001-p");
        forge(&store, &ledger, |json| {
            json.replace(r#""logs":2"#, r#""logs":5"#).replace(r#""outcomes":2"#, r#""outcomes":7"#)
        });
        store.create(&format!("logs/dt=2026-11-21/hour=00/{at}.parquet"), Bytes::new()).unwrap();
    }
    let report = look(&store, None);
    assert_eq!((report.breaches.len(), report.breaches_count), (1000, 1200));
    assert!(report.breaches.is_sorted_by_key(|b| b.kind == BreachKind::Orphan), "orphans come last");
}

#[test]
fn a_repair_knows_what_can_be_mended() {
    use BreachKind::*;
    let plan_of = |harm: &dyn Fn(&Arc<dyn Store>)| -> (Plan, Vec<BreachKind>) {
        let store = store(&[(0, 0..10), (1, 10..20), (2, 20..30)]);
        harm(&store);
        let plan = plan(&store, &look(&store, None)).unwrap();
        let kinds = plan.by_hand.iter().map(|by_hand| by_hand.breach.kind).collect();
        (plan, kinds)
    };
    let logs = |hour, start| name(Table::Logs, hour, start);
    let (plan, kinds) = plan_of(&|s| {
        s.delete(&logs(0, 0)).unwrap();
        s.delete(&logs(2, 20)).unwrap();
    });
    let [Step::Rebuild(first), Step::Rebuild(last)] = plan.steps.as_slice() else { panic!("{plan:?}") };
    assert_eq!((first.start, first.end, first.is_last, kinds.len()), (0, 10, false, 0));
    assert_eq!((&first.ledger, &first.missing), (&name(Table::Outcomes, 0, 0), &vec![logs(0, 0)]));
    assert_eq!((last.start, last.is_last), (20, true));

    let note = |plan: &Plan| plan.by_hand.last().and_then(|by_hand| by_hand.note.clone()).unwrap_or_default();
    let (plan, kinds) = plan_of(&|s| s.delete(&name(Table::Outcomes, 1, 10)).unwrap());
    assert_eq!((plan.steps.len(), kinds), (0, vec![Gap, Orphan]));
    assert!(
        note(&plan).contains("10..=19 are missing elsewhere (gap 10..20): its ledger was lost"),
        "{plan:?}"
    );
    let (plan, kinds) = plan_of(&|s| copy(s, &logs(0, 0), &logs(1, 0)));
    assert_eq!(kinds, [Orphan]);
    assert!(note(&plan).starts_with("superseded: each of its offsets 1..=8 is in a chunk"), "{plan:?}");
    let (plan, kinds) = plan_of(&|s| {
        s.delete(&logs(0, 0)).unwrap();
        s.create(&logs(0, 0), Bytes::from_static(b"PAR1")).map(drop).unwrap();
    });
    assert_eq!((plan.steps.len(), kinds), (0, vec![Unreadable]), "an object is never overwritten");
}
