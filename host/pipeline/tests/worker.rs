//! A worker on a queue and a sink in memory: what it does when the sink fails between ledger and tables, when stages fail on
//! some days and not on others, when it is told to stop, and when the hour is over.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use host_event::{
    Body, Book, Category, Columns, Edit, EditOp, EventId, Meta, Offset, Outcome, OutcomeCount, ProjectId,
    Record,
};
use host_pipeline::{
    Allowed, Answer, Canary, Chain, Chunk, ChunkPlace, Closing, Crew, End, Errand, FailurePolicy, Fault,
    Fingerprint, Found, Link, PassedOver, Plan, Plans, Rates, Recorded, RecordedEnd, Reply, Settled, Sink,
    SinkError, Stage, StageAnswer, StageKind, Stop, Tools, Verdicts, WorkerConfig, WorkerMetrics,
};
use host_queue::{Memory, Queue};
use parking_lot::Mutex;

const HOUR: i64 = 3_600_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// A chunk as the sink in memory keeps it.
#[derive(Debug, Clone)]
struct Kept {
    end: Offset,
    generations: Vec<(Offset, u64)>,
    is_complete: bool,
    recorded: Recorded,
    /// The rows as they were when the chunk was closed, and as they are in the tables.
    closed: Vec<String>,
    tables: Vec<String>,
}

#[derive(Default)]
struct Shelf {
    chunks: BTreeMap<(u32, Offset), Kept>,
    /// So many closes from now on end with the ledger, as if another worker had written it and died.
    dies: usize,
    /// So many steps from now on fail, as if the store were away.
    fails: usize,
}

/// Does it all with one step.
struct Once<F>(F);

impl<F: FnMut() -> Result<Reply, SinkError> + Send> Errand for Once<F> {
    fn step(&mut self) -> Result<Option<Reply>, SinkError> {
        (self.0)().map(Some)
    }
}

impl Shelf {
    fn fail(&mut self) -> Result<(), SinkError> {
        let fails = self.fails > 0;
        self.fails = self.fails.saturating_sub(1);
        if fails { Err(SinkError::Retry { path: "events".into(), what: "away".into() }) } else { Ok(()) }
    }

    fn found(&self, place: ChunkPlace) -> Option<Found> {
        let kept = self.chunks.get(&(place.partition, place.start));
        let Kept { end, generations, is_complete, recorded, .. } = kept?;
        let incomplete = Some(recorded.clone()).filter(|_| !is_complete);
        Some(Found { end: *end, generations: generations.clone(), incomplete })
    }
}

#[derive(Clone, Default)]
struct MemorySink(Arc<Mutex<Shelf>>);

impl Sink for MemorySink {
    fn find(&self, place: ChunkPlace) -> Box<dyn Errand> {
        let shelf = Arc::clone(&self.0);
        Box::new(Once(move || {
            let mut shelf = shelf.lock();
            shelf.fail()?;
            Ok(shelf.found(place).map_or(Reply::Nothing, Reply::Found))
        }))
    }
    fn tail(&self, _: u32, _: Option<&str>) -> Box<dyn Errand> {
        panic!("a queue of its own says where to go on")
    }
    fn note(&self, _: ChunkPlace) -> String {
        String::new()
    }
    fn begin(&self, place: ChunkPlace) -> Box<dyn Chunk> {
        let (sink, generations) = (self.clone(), Vec::new());
        Box::new(MemoryChunk { sink, place, generations, recorded: Recorded::default(), rows: Vec::new() })
    }
}

struct MemoryChunk {
    sink: MemorySink,
    place: ChunkPlace,
    generations: Vec<(Offset, u64)>,
    recorded: Recorded,
    rows: Vec<String>,
}

impl Chunk for MemoryChunk {
    fn push(&mut self, settled: Settled) {
        assert_eq!(settled.offset, self.place.start + self.rows.len() as u64, "no gap");
        self.rows.push(row(&settled));
        let (category, outcome, reason, stage) = match settled.end {
            End::Dropped { category, outcome, reason, stage } => (category, outcome, reason, stage),
            End::Quarantined { category, reason, stage, .. } => {
                (category, Outcome::Quarantined, reason, stage)
            }
            End::Accepted(_) | End::Ended(_) => return,
        };
        self.recorded.ends.insert(settled.offset, RecordedEnd { category, outcome, reason, stage });
    }
    fn turn(&mut self, generation: u64) {
        self.generations.push((self.place.start + self.rows.len() as u64, generation));
    }
    fn note(&mut self, PassedOver { offset, stage }: PassedOver) {
        self.recorded.passed_over.entry(offset).or_default().push(stage);
    }
    fn rows(&self) -> usize {
        self.rows.len()
    }
    fn bytes(&self) -> usize {
        0
    }
    fn close(self: Box<Self>, closing: Closing) -> Result<Box<dyn Errand>, SinkError> {
        assert!(closing.last.is_some() && !closing.begins);
        let MemoryChunk { sink, place, generations, recorded, rows } = *self;
        Ok(Box::new(Once(move || {
            let mut shelf = sink.0.lock();
            shelf.fail()?;
            let dies = shelf.dies > 0;
            shelf.dies = shelf.dies.saturating_sub(1);
            let kept = Kept {
                end: closing.end,
                generations: generations.clone(),
                is_complete: !dies,
                recorded: recorded.clone(),
                closed: rows.clone(),
                tables: if dies { Vec::new() } else { rows.clone() },
            };
            let before = shelf.chunks.insert((place.partition, place.start), kept);
            assert!(before.is_none(), "a ledger is never written twice");
            Ok(if dies { Reply::Found(shelf.found(place).unwrap()) } else { Reply::Done })
        })))
    }
    fn rebuild(self: Box<Self>, end: Offset) -> Result<Box<dyn Errand>, SinkError> {
        let MemoryChunk { sink, place, recorded, rows, .. } = *self;
        Ok(Box::new(Once(move || {
            let mut shelf = sink.0.lock();
            shelf.fail()?;
            let kept = shelf.chunks.get_mut(&(place.partition, place.start)).unwrap();
            assert_eq!((kept.end, kept.is_complete), (end, false));
            assert_eq!(kept.recorded.ends, recorded.ends, "the ledger holds");
            kept.tables = rows.clone();
            kept.is_complete = true;
            Ok(Reply::Done)
        })))
    }
}

/// All that a row depends on. What a stage said of a failure is left out: it can not be known again.
fn row(settled: &Settled) -> String {
    let (offset, generation) = (settled.offset, settled.generation);
    let row = match &settled.end {
        End::Accepted(a) => {
            let hash = a.group.as_ref().map(|g| g.fingerprints[0].1.as_str()).unwrap_or_default();
            let text = String::from_utf8_lossy(a.doc.text());
            format!("{offset} {} at {} in {hash}: {text}", a.category, a.server_sample_rate)
        }
        End::Dropped { category, outcome, reason, stage } => {
            format!("{offset} {category} {outcome} {reason} {stage}")
        }
        End::Quarantined { stage, reason, detail, payload, .. } => {
            assert!(!detail.is_empty());
            format!("{offset} {stage} {reason}: {}", String::from_utf8_lossy(payload))
        }
        End::Ended(counts) => format!("{offset} {counts:?}"),
    };
    format!("{row} by {generation}")
}

type Run = Box<dyn FnMut(&mut Columns) -> StageAnswer + Send>;

struct Native(StageKind, Run);

impl Stage for Native {
    fn name(&self) -> &str {
        self.0.as_str()
    }
    fn kind(&self) -> StageKind {
        self.0
    }
    fn run(&mut self, columns: &mut Columns) -> StageAnswer {
        (self.1)(columns)
    }
}

fn link(kind: StageKind, run: impl FnMut(&mut Columns) -> StageAnswer + Send + 'static) -> Link {
    Link {
        stage: Box::new(Native(kind, Box::new(run))),
        name: kind.as_str().into(),
        categories: vec![Category::Error, Category::Log],
        on_failure: FailurePolicy::default_of(kind),
    }
}

type MakeLinks = Box<dyn Fn() -> Vec<Link> + Send + Sync>;

struct Made(MakeLinks);

impl Plans for Made {
    fn newest(&self) -> u64 {
        4
    }
    fn plan(&self, generation: u64) -> Result<Plan, String> {
        Ok(Plan::of(Chain { generation, links: (self.0)() }))
    }
}

#[derive(Default)]
struct Counts(Mutex<BTreeMap<Outcome, u64>>);

impl Book for Counts {
    fn settle(&self, _: ProjectId, count: &OutcomeCount) {
        *self.0.lock().entry(count.outcome).or_default() += count.quantity;
    }
}

/// A worker in its thread, and what it works with.
struct Scene {
    queue: Arc<Memory>,
    sink: MemorySink,
    clock: Arc<AtomicI64>,
    stop: Arc<Stop>,
    book: Arc<Counts>,
    plans: Arc<Made>,
}

impl Scene {
    fn new(links: impl Fn() -> Vec<Link> + Send + Sync + 'static) -> Scene {
        let clock = Arc::new(AtomicI64::new(HOUR / 2));
        let now = Arc::clone(&clock);
        Scene {
            queue: Arc::new(Memory::new(1, Arc::new(move || now.load(Relaxed)))),
            sink: MemorySink::default(),
            clock,
            stop: Arc::default(),
            book: Arc::default(),
            plans: Arc::new(Made(Box::new(links))),
        }
    }

    fn append(&self, records: Vec<Record>) {
        self.append_to(0, records);
    }

    fn append_to(&self, partition: u32, records: Vec<Record>) {
        let mut appending = self.queue.append(partition, records);
        let polled = appending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(()))));
    }

    fn start(&self, chunk_age_max: Duration) -> Crew {
        self.start_with(Arc::clone(&self.plans) as _, chunk_age_max)
    }

    fn start_with(&self, plans: Arc<dyn Plans>, chunk_age_max: Duration) -> Crew {
        let config = WorkerConfig { batch_events_max: 7, chunk_age_max, ..WorkerConfig::default() };
        Crew::start(&Tools { config, ..self.tools(plans) }).unwrap()
    }

    fn tools(&self, plans: Arc<dyn Plans>) -> Tools {
        Tools {
            queue: Arc::clone(&self.queue) as _,
            sink: Arc::new(self.sink.clone()),
            plans,
            book: Arc::clone(&self.book) as _,
            config: WorkerConfig::default(),
            allowed: Allowed::default(),
            stop: Arc::clone(&self.stop),
        }
    }

    fn until(&self, what: &str, happened: impl Fn(&Scene) -> bool) {
        let begun = Instant::now();
        while !happened(self) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn chunks(&self) -> Vec<(Offset, Kept)> {
        self.sink.0.lock().chunks.iter().map(|((_, start), kept)| (*start, kept.clone())).collect()
    }
}

fn item(id: u128, category: Category, json: &str) -> Record {
    let meta = Meta { project_id: 1, event_id: EventId(id), ..Meta::default() };
    Record { meta, body: Body::Item { category, payload: Bytes::from(json.to_owned()) } }
}

/// What the events say about how the stages fare with them on the first day.
fn records() -> Vec<Record> {
    let errors = (0..60u128).map(|i| {
        let name = ["plain", "noisy", "slow-scrub", "slow-print", "slow-rate", "plain"][i as usize % 6];
        let json = format!(r#"{{"name":"{name}","secret":"abc","message":"m{}"}}"#, i % 4);
        item(i * 0x9e37_79b9_7f4a_7c15, Category::Error, &json)
    });
    let ended = OutcomeCount {
        category: Category::Error,
        outcome: Outcome::ClientDiscard,
        reason: "sample_rate".into(),
        quantity: 3,
    };
    let others = [
        item(1, Category::Log, r#"{"body":"x","secret":"abc"}"#),
        item(2, Category::Error, "[1]"),
        item(3, Category::Profile, "{}"),
        item(4, Category::Session, "{}"),
        Record { meta: Meta::default(), body: Body::Ended(vec![ended]) },
    ];
    errors.chain(others).collect()
}

/// A stage that fails on some names, and answers for the others.
fn failing(kind: StageKind, names: &'static [&'static str], answer: fn(&mut Columns) -> Answer) -> Link {
    link(kind, move |columns| {
        let found = columns.strings("name").unwrap().clone();
        let fails = |row: &usize| found.get(*row).is_some_and(|name| names.contains(&name));
        let faults = (0..columns.len()).filter(fails);
        let faults: Vec<_> =
            faults.map(|row| Fault { row, reason: "deadline", detail: "1 s".into() }).collect();
        let mut answer = answer(columns);
        // What is asked of a guest that failed is the neutral answer.
        for fault in &faults {
            match &mut answer {
                Answer::Filter(verdicts) => verdicts.verdicts[fault.row] = 0,
                Answer::Sample(rates) => rates.rates[fault.row] = 1.0,
                Answer::Scrub(edits) => edits[fault.row].clear(),
                Answer::Fingerprint(prints) => prints[fault.row].clear(),
            }
        }
        StageAnswer { answer, faults }
    })
}

fn drop_noisy(columns: &mut Columns) -> Answer {
    let names = columns.strings("name").unwrap().clone();
    let verdicts = (0..columns.len()).map(|row| u32::from(names.get(row) == Some("noisy"))).collect();
    Answer::Filter(Verdicts { verdicts, reasons: vec!["noise".into()] })
}

fn halve(columns: &mut Columns) -> Answer {
    let rows = columns.len();
    Answer::Sample(Rates { rates: vec![0.5; rows], decided_by: vec![1; rows], rules: vec!["7".into()] })
}

fn mask_secrets(columns: &mut Columns) -> Answer {
    let leaves = columns.leaves("secret").unwrap();
    let mut edits = vec![Vec::new(); columns.len()];
    for id in leaves.ids {
        let (row, node) = columns.leaf(id).unwrap();
        edits[row].push(Edit { node, range: None, op: EditOp::Mask('*'), rule: "@s".into() });
    }
    Answer::Scrub(edits)
}

fn print_messages(columns: &mut Columns) -> Answer {
    let messages = columns.strings("message").unwrap();
    let print = |row| vec![Fingerprint { kind: "app".into(), hash: messages.get(row).unwrap_or("-").into() }];
    Answer::Fingerprint((0..messages.len()).map(print).collect())
}

/// Four stages that are busy on the first day; on the second others fail, for two tries; then all is well.
fn moody() -> impl Fn() -> Vec<Link> + Send + Sync {
    let day = AtomicUsize::new(0);
    move || match day.fetch_add(1, Relaxed) {
        0 => vec![
            failing(StageKind::Filter, &[], drop_noisy),
            failing(StageKind::Sampler, &["slow-rate"], halve),
            failing(StageKind::Scrubber, &["slow-scrub"], mask_secrets),
            failing(StageKind::Fingerprinter, &["slow-print"], print_messages),
        ],
        _ => {
            let tries = Arc::new(AtomicUsize::new(0));
            let resting = move |kind: StageKind, answer: fn(&mut Columns) -> Answer| {
                let tries = Arc::clone(&tries);
                link(kind, move |columns| {
                    let names = columns.strings("name").unwrap().clone();
                    assert!((0..columns.len()).all(|row| names.get(row) != Some("noisy")), "asked again");
                    let rests = tries.fetch_add(1, Relaxed) < 2;
                    let fault = |row| Fault { row, reason: "breaker-open", detail: "resting".into() };
                    let rows = columns.len();
                    match rests {
                        true => StageAnswer {
                            answer: Answer::neutral(kind, rows),
                            faults: (0..rows).map(fault).collect(),
                        },
                        false => StageAnswer { answer: answer(columns), faults: Vec::new() },
                    }
                })
            };
            vec![
                link(StageKind::Filter, |_| panic!("what the filter said is in the ledger")),
                resting(StageKind::Sampler, halve),
                resting(StageKind::Scrubber, mask_secrets),
                resting(StageKind::Fingerprinter, print_messages),
            ]
        }
    }
}

#[test]
fn what_can_not_be_found_out_again_is_taken_from_the_ledger() {
    let scene = Scene::new(moody());
    scene.sink.0.lock().dies = 1;
    let (records, end) = (records(), records().len() as u64);
    scene.append(records);
    scene.sink.0.lock().fails = 2;
    let worker = scene.start(Duration::from_millis(50));
    scene.until("all is committed", |s| s.queue.committed(0).unwrap() == end);
    let metrics = metrics_of(&worker);
    scene.stop.request(PATIENCE, PATIENCE);
    worker.join().unwrap();

    let chunks = scene.chunks();
    assert_eq!(chunks.iter().map(|(start, kept)| (*start, kept.end)).collect::<Vec<_>>(), [(0, end)]);
    let Kept { closed, tables, recorded, .. } = &chunks[0].1;
    assert_eq!(tables, closed);
    let count = |what: &str| tables.iter().filter(|row| row.contains(what)).count();
    assert_eq!(
        (count("noise filter"), count("scrubber deadline: ")),
        (10, recorded_in(recorded, "scrubber"))
    );
    assert!(count("scrubber deadline: ") > 0 && count("Sampled:7") > 0 && count("at 1 in m") > 0);
    let stages: Vec<_> = recorded.passed_over.values().flatten().map(|s| s.to_string()).collect();
    assert!(stages.iter().any(|s| s == "sampler") && stages.iter().any(|s| s == "fingerprinter"));
    let unscrubbed = |row: &&String| row.contains("abc") && !row.contains("scrubber deadline");
    assert_eq!(tables.iter().find(unscrubbed), None);
    // The store twice, and the stages that rested.
    assert!(metrics.retries.load(Relaxed) >= 3);
    assert_eq!(metrics.generation.load(Relaxed), 4);
    // However often it was tried, each record is counted once; one of them is a client's report of three.
    let counts = scene.book.0.lock().clone();
    assert_eq!(counts.values().sum::<u64>(), end + 2);
    assert_eq!(
        (counts[&Outcome::Filtered], counts[&Outcome::ClientDiscard], counts[&Outcome::Invalid]),
        (10, 3, 2)
    );
    assert_eq!(counts[&Outcome::Quarantined] as usize, recorded_in(recorded, "scrubber"));
}

fn metrics_of(crew: &Crew) -> Arc<WorkerMetrics> {
    crew.partitions().all().pop().expect("it has taken the partition up").1
}

fn recorded_in(recorded: &Recorded, stage: &str) -> usize {
    recorded.ends.values().filter(|end| &*end.stage == stage).count()
}

#[test]
fn a_worker_that_is_to_stop_leaves_a_rebuild_to_the_next() {
    let day = AtomicUsize::new(0);
    let scene = Scene::new(move || {
        let names: &[&str] = if day.fetch_add(1, Relaxed) == 1 { &["plain"] } else { &[] };
        vec![failing(StageKind::Scrubber, names, mask_secrets)]
    });
    scene.sink.0.lock().dies = 1;
    let end = records().len() as u64;
    scene.append(records());
    let worker = scene.start(Duration::from_millis(50));
    scene.until("it tried to rebuild", |_| {
        worker.partitions().all().iter().any(|(_, metrics)| metrics.retries.load(Relaxed) > 1)
    });
    let begun = Instant::now();
    scene.stop.request(Duration::from_millis(100), PATIENCE);
    worker.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(scene.queue.committed(0).unwrap(), 0);
    assert!(scene.chunks()[0].1.tables.is_empty(), "nothing goes out unscrubbed");

    let next = Scene { stop: Arc::default(), ..scene };
    let worker = next.start(Duration::from_millis(50));
    next.until("all is committed", |s| s.queue.committed(0).unwrap() == end);
    next.stop.request(PATIENCE, PATIENCE);
    worker.join().unwrap();
    let kept = &next.chunks()[0].1;
    assert_eq!(kept.tables, kept.closed);
}

#[test]
fn a_drain_works_off_what_nobody_had_begun() {
    const PARTITIONS: u32 = 9;
    let scene = Scene::new(Vec::new);
    let queue = Arc::new(Memory::new(PARTITIONS, Arc::new(|| HOUR / 2)));
    let scene = Scene { queue, ..scene };
    (0..PARTITIONS).for_each(|partition| scene.append_to(partition, records()));
    scene.stop.request(PATIENCE, PATIENCE);
    scene.start(Duration::from_secs(3600)).join().unwrap();
    let left = (0..PARTITIONS).map(|p| scene.queue.end(p) - scene.queue.committed(p).unwrap());
    assert_eq!(left.sum::<u64>(), 0, "records were left in the queue");
}

#[test]
fn no_chunk_spans_two_hours() {
    let scene = Scene::new(Vec::new);
    let log = || item(1, Category::Log, "{}");
    scene.append(vec![log(), log()]);
    scene.clock.store(HOUR, Relaxed);
    scene.append(vec![log(), log(), log()]);
    scene.clock.store(3 * HOUR - 1, Relaxed);
    scene.append(vec![log()]);
    scene.clock.store(3 * HOUR, Relaxed);
    scene.append(vec![log()]);
    // No age closes them: only the hour and the end do.
    let worker = scene.start(Duration::from_secs(3600));
    scene.until("two hours are over", |s| s.queue.committed(0).unwrap() == 6);
    scene.stop.request(PATIENCE, PATIENCE);
    worker.join().unwrap();
    let ranges: Vec<_> = scene.chunks().iter().map(|(start, kept)| (*start, kept.end)).collect();
    assert_eq!(ranges, [(0, 2), (2, 5), (5, 6), (6, 7)]);
    assert_eq!(scene.queue.committed(0).unwrap(), 7, "what is left is closed before the worker ends");
}

#[test]
fn a_sink_that_can_not_go_on_stops_the_partition_and_shows_it() {
    struct Broken;
    impl Sink for Broken {
        fn find(&self, place: ChunkPlace) -> Box<dyn Errand> {
            let ChunkPlace { partition, start: offset, .. } = place;
            Box::new(Once(move || Err(SinkError::Fatal { partition, offset, what: "damaged".into() })))
        }
        fn tail(&self, _: u32, _: Option<&str>) -> Box<dyn Errand> {
            panic!("not asked")
        }
        fn note(&self, _: ChunkPlace) -> String {
            String::new()
        }
        fn begin(&self, _: ChunkPlace) -> Box<dyn Chunk> {
            panic!("nothing was found")
        }
    }
    let scene = Scene::new(Vec::new);
    scene.append(vec![item(1, Category::Log, "{}")]);
    let tools = Tools { sink: Arc::new(Broken), ..scene.tools(Arc::clone(&scene.plans) as _) };
    let crew = Crew::start(&tools).unwrap();
    let failed = || crew.partitions().all().iter().any(|(_, metrics)| metrics.failed.load(Relaxed));
    scene.until("it is shown", |_| failed());
    scene.stop.request(PATIENCE, PATIENCE);
    let error = crew.join().unwrap_err();
    assert_eq!(error.to_string(), "partition 0 at offset 0: damaged");
}

/// Plans of numbers that the test sets: an odd generation drops what is noisy, and 5 is a canary on top of 4.
struct Numbered(AtomicU64);

impl Plans for Numbered {
    fn newest(&self) -> u64 {
        self.0.load(Relaxed)
    }
    fn plan(&self, generation: u64) -> Result<Plan, String> {
        let chain = |generation: u64| {
            let filter = failing(StageKind::Filter, &[], drop_noisy);
            Chain { generation, links: if generation % 2 == 1 { vec![filter] } else { Vec::new() } }
        };
        match generation {
            5 => {
                let canary = Some(Canary { share: 0.5, chain: chain(5) });
                Ok(Plan { generation, chain: chain(4), canary, tap: None })
            }
            9 => Err("it does not load on this machine".into()),
            _ => Ok(Plan::of(chain(generation))),
        }
    }
}

#[test]
fn a_worker_turns_between_two_batches_and_a_rebuild_turns_at_the_same_offsets() {
    let scene = Scene::new(Vec::new);
    let plans = Arc::new(Numbered(AtomicU64::new(2)));
    scene.sink.0.lock().dies = 1;
    let worker = scene.start_with(Arc::clone(&plans) as _, Duration::from_millis(700));
    let noisy = |from: u64| {
        let error = |i: u64| item(u128::from(i) << 64 | 77, Category::Error, r#"{"name":"noisy"}"#);
        (from..from + 20).map(error).collect::<Vec<_>>()
    };
    // All within one chunk: 9 can not be made ready, so 4 goes on.
    for (generation, from) in [(2, 0), (3, 20), (4, 40), (5, 60), (9, 80)] {
        plans.0.store(generation, Relaxed);
        scene.append(noisy(from));
        scene.until("a batch was run", |_| {
            worker.partitions().all().iter().any(|(_, metrics)| metrics.next.load(Relaxed) == from + 20)
        });
    }
    scene.until("all is committed", |s| s.queue.committed(0).unwrap() == 100);
    scene.stop.request(PATIENCE, PATIENCE);
    worker.join().unwrap();
    let chunks = scene.chunks();
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].1.generations, [(0, 2), (20, 3), (40, 4), (60, 5)]);
    // Rows of what was dropped are in the ledger: a rebuild does not write them again, and does not ask which chain it was.
    let kept =
        |rows: &[String]| rows.iter().filter(|row| !row.contains("noise")).cloned().collect::<Vec<_>>();
    let rows = &chunks[0].1.closed;
    assert_eq!(kept(&chunks[0].1.tables), kept(rows), "rebuilt after the store failed");
    let dropped = rows.iter().filter(|row| row.contains("noise")).count();
    for (offset, row) in rows.iter().enumerate() {
        let generation = match offset {
            0..20 => 2,
            20..40 => 3,
            40..60 => 4,
            _ if row.contains("noise") => 5,
            _ => 4,
        };
        assert!(row.ends_with(&format!(" by {generation}")), "{offset}: {row}");
        assert_eq!(row.contains("noise"), generation % 2 == 1, "{offset}: {row}");
    }
    // The canary has about half of the last forty.
    assert!((28..=52).contains(&dropped), "{dropped}");
}
