//! A crash between the ledger and the tables, with plugins that fail on other events before it than after it: the tables become
//! what the ledger says.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use bytes::Bytes;
use host_event::{
    Body, Book, Category, Columns, Edit, EditOp, EventId, Meta, OutcomeCount, ProjectId, Record,
};
use host_pipeline::{
    Allowed, Answer, Chain, Crew, FailurePolicy, Fault, Fingerprint, Link, Plan, Plans, Stage, StageAnswer,
    StageKind, Stop, Tools, WorkerConfig, WorkerMetrics,
};
use host_queue::{Memory, Queue};
use host_sink::store::{Create, MemoryStore, Over, Store, StoreError};
use host_sink::{ParquetSink, Silent, SinkConfig, verify};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const EVENTS: u64 = 60;
const PATIENCE: Duration = Duration::from_secs(20);

/// A store that takes ledgers and, while it is broken, no tables.
#[derive(Default)]
struct HalfAway {
    inner: MemoryStore,
    is_broken: AtomicBool,
}

impl Over for HalfAway {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }
    fn on_create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        let is_table = !path.starts_with("control/") && !path.starts_with("outcomes/");
        if is_table && self.is_broken.load(Relaxed) {
            return Err(StoreError::away(path, "away"));
        }
        self.inner.create(path, bytes)
    }
}

/// A stage that fails on every fourth event of its first batches, on others with every call.
struct Moody {
    kind: StageKind,
    calls: usize,
}

impl Stage for Moody {
    fn name(&self) -> &str {
        self.kind.as_str()
    }
    fn kind(&self) -> StageKind {
        self.kind
    }
    fn run(&mut self, columns: &mut Columns) -> StageAnswer {
        self.calls += 1;
        let fails = |row: &usize| self.calls <= 3 && row % 4 == self.calls % 4;
        let faults: Vec<_> = (0..columns.len()).filter(fails).collect();
        let answer = match self.kind {
            StageKind::Scrubber => {
                let leaves = columns.leaves("secret").unwrap();
                let mut edits = vec![Vec::new(); columns.len()];
                for id in leaves.ids {
                    let (row, node) = columns.leaf(id).unwrap();
                    edits[row].push(Edit { node, range: None, op: EditOp::Mask('*'), rule: "@s".into() });
                }
                faults.iter().for_each(|row| edits[*row].clear());
                Answer::Scrub(edits)
            }
            _ => {
                let print = |row: usize| match faults.contains(&row) {
                    true => Vec::new(),
                    false => vec![Fingerprint { kind: "app".into(), hash: "same".into() }],
                };
                Answer::Fingerprint((0..columns.len()).map(print).collect())
            }
        };
        let fault = |row| Fault { row, reason: "deadline", detail: "of that day".into() };
        StageAnswer { answer, faults: faults.into_iter().map(fault).collect() }
    }
}

/// How many plans were made: a later one fails on other events than the first.
struct Days(AtomicUsize);

impl Plans for Days {
    fn newest(&self) -> u64 {
        1
    }
    fn plan(&self, generation: u64) -> Result<Plan, String> {
        let calls = self.0.fetch_add(1, Relaxed);
        let link = |kind: StageKind| Link {
            stage: Box::new(Moody { kind, calls }),
            name: kind.as_str().into(),
            categories: vec![Category::Error],
            on_failure: FailurePolicy::default_of(kind),
        };
        let links = vec![link(StageKind::Scrubber), link(StageKind::Fingerprinter)];
        Ok(Plan::of(Chain { generation, links }))
    }
}

struct Nobody;

impl Book for Nobody {
    fn settle(&self, _: ProjectId, _: &OutcomeCount) {}
}

fn queue() -> Arc<Memory> {
    let queue = Memory::new(1, Arc::new(|| 1_795_375_676_123));
    let records = (0..EVENTS).map(|i| {
        let payload = format!(r#"{{"message":"m{i}","secret":"abc"}}"#).into();
        let meta = Meta { project_id: 1, event_id: EventId(u128::from(i)), ..Meta::default() };
        Record { meta, body: Body::Item { category: Category::Error, payload } }
    });
    let mut appending = queue.append(0, records.collect());
    let polled = appending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(()))));
    drop(appending);
    Arc::new(queue)
}

/// A process: its worker runs until that is so, and is stopped.
fn process(
    queue: &Arc<Memory>,
    store: &Arc<HalfAway>,
    plans: &Arc<Days>,
    nonce: u128,
    until: impl Fn() -> bool,
) -> Arc<WorkerMetrics> {
    let sink = ParquetSink::with_store(Arc::clone(store) as _, "memory", SinkConfig::new("main"), nonce);
    let stop = Arc::new(Stop::default());
    let tools = Tools {
        queue: Arc::clone(queue) as _,
        sink: Arc::new(sink.unwrap()),
        plans: Arc::clone(plans) as _,
        book: Arc::new(Nobody),
        config: WorkerConfig {
            batch_events_max: 16,
            chunk_age_max: Duration::from_millis(30),
            ..WorkerConfig::default()
        },
        allowed: Allowed::default(),
        stop: Arc::clone(&stop),
    };
    let crew = Crew::start(&tools).unwrap();
    let begun = Instant::now();
    while !until() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        thread::sleep(Duration::from_millis(5));
    }
    let metrics = crew.partitions().all().pop().unwrap().1;
    stop.request(Duration::ZERO, Duration::ZERO);
    crew.join().unwrap();
    metrics
}

fn rows(store: &HalfAway, table: &str) -> RecordBatch {
    let entry = &store.list(table).unwrap()[0];
    let bytes = store.read(&entry.path).unwrap().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_tables_become_what_the_ledger_says() {
    let (queue, store, plans) = (queue(), Arc::new(HalfAway::default()), Arc::new(Days(0.into())));
    store.is_broken.store(true, Relaxed);
    let has_ledger = || !store.list("outcomes").unwrap().is_empty();
    process(&queue, &store, &plans, 1, has_ledger);
    assert_eq!(queue.committed(0).unwrap(), 0);
    assert!(store.list("events").unwrap().is_empty() && store.list("quarantine").unwrap().is_empty());

    store.is_broken.store(false, Relaxed);
    let metrics = process(&queue, &store, &plans, 2, || queue.committed(0).unwrap() == EVENTS);
    assert!(metrics.retries.load(Relaxed) > 0, "its stages failed on events that had got past them");

    let dynamic: Arc<dyn Store> = Arc::clone(&store) as _;
    let report = verify(&dynamic, &mut Silent).unwrap();
    assert!(report.is_sound() && report.offsets == EVENTS, "{}", report.render());
    let (events, quarantine) = (rows(&store, "events"), rows(&store, "quarantine"));
    assert_eq!(events.num_rows() + quarantine.num_rows(), EVENTS as usize);
    assert!(texts(&events, "payload").iter().all(|text| !text.contains("abc")), "only scrubbed ones get out");
    assert!(texts(&quarantine, "payload").iter().all(|text| text.contains("abc")), "as before that stage");
    assert!(texts(&quarantine, "detail").iter().all(|text| text.starts_with("rebuilt from the ledger")));
    assert!(texts(&quarantine, "reason").iter().all(|reason| reason == "deadline"));
    // The fingerprinter had failed on some: they keep the group that they had, each its own by its title.
    let groups: BTreeSet<_> = texts(&events, "group_id").into_iter().collect();
    assert!(groups.len() > 2, "{groups:?}");
    assert_eq!(groups, texts(&rows(&store, "groups"), "group_id").into_iter().collect());
}
