//! A store with two chunks, of which a broken scrubber has sent items to quarantine, and a mended one.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use bytes::Bytes;
use host_event::{Book, Category, Columns, Edit, EditOp, EventId, Meta, OutcomeCount, ProjectId};
use host_pipeline::generation::{self, Manifest, StageManifest, digest_of};
use host_pipeline::{
    Answer, Chain, ChunkPlace, Closing, FailurePolicy, Fault, Fingerprint, Item, Link, Plan, Rates, Reply,
    Settler, Sink, Stage, StageAnswer, StageKind, Verdicts,
};
use host_sink::quarantine::{self, Depth, Held, Selection};
use host_sink::release::{ReleaseConfig, ReleaseError, Summary, Through, release};
use host_sink::store::{MemoryStore, Store, StoreShelf};
use host_sink::{FileLimits, ParquetSink, Report, Silent, SinkConfig, Table, verify};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

/// 2026-11-22 19:00 UTC.
pub const HOUR: i64 = 1_795_374_000_000;
pub const SECRET: &str = "hunter2";

/// A stage that does what its name and configuration say:
///
/// * `noise` drops what is named `noisy`, or what its configuration names.
/// * `sample` keeps a share.
/// * `ids` hashes `user`.
/// * `scrub` masks `secret`, and fails on what has a `poison` that is not healed.
/// * `group` makes a fingerprint of `secret`.
///
/// With `tires` it goes on to fail after a batch in which it did, without being asked, as long as it lives.
struct Native {
    manifest: StageManifest,
    is_tired: bool,
}

impl Stage for Native {
    fn name(&self) -> &str {
        &self.manifest.name
    }
    fn kind(&self) -> StageKind {
        self.manifest.kind
    }
    fn run(&mut self, columns: &mut Columns) -> StageAnswer {
        let (rows, config) = (columns.len(), self.manifest.config.clone());
        let mut faults = Vec::new();
        let answer = match self.manifest.name.as_str() {
            "noise" => {
                let name = config["drops"].as_str().unwrap_or("noisy");
                let names = columns.strings("name").unwrap();
                let verdicts = (0..rows).map(|row| u32::from(names.get(row) == Some(name))).collect();
                Answer::Filter(Verdicts { verdicts, reasons: vec!["noise".into()] })
            }
            "sample" => {
                let rates = vec![config["rate"].as_f64().unwrap(); rows];
                Answer::Sample(Rates { rates, decided_by: vec![0; rows], rules: Vec::new() })
            }
            "ids" => Answer::Scrub(edits(columns, "user", &EditOp::Hash("key".into()))),
            "group" => {
                let secrets = columns.strings("secret").unwrap();
                let hash = |row| secrets.get(row).unwrap_or("-").to_owned();
                let print = |row| vec![Fingerprint { kind: "app".into(), hash: hash(row) }];
                Answer::Fingerprint((0..rows).map(print).collect())
            }
            _ => {
                let healed = config["heals"].as_array().cloned().unwrap_or_default();
                let poisons = columns.strings("poison").unwrap();
                let fails = |row: &usize| {
                    poisons.get(*row).is_some_and(|poison| !healed.contains(&Value::from(poison)))
                };
                let failed: Vec<usize> = (0..rows).filter(fails).collect();
                let mut edits = edits(columns, "secret", &EditOp::Mask('*'));
                failed.iter().for_each(|row| edits[*row].clear());
                if self.is_tired {
                    let fault = |row| Fault { row, reason: "breaker-open", detail: "rests".into() };
                    let answer = Answer::neutral(StageKind::Scrubber, rows);
                    return StageAnswer { answer, faults: (0..rows).map(fault).collect() };
                }
                self.is_tired = !failed.is_empty() && config["tires"] == true;
                let reason = |row: usize| match columns.event(row).meta.event_id.0 % 2 {
                    0 => "trap",
                    _ => "deadline",
                };
                let fault = |row| Fault { row, reason: reason(row), detail: "poisoned".into() };
                faults = failed.into_iter().map(fault).collect();
                Answer::Scrub(edits)
            }
        };
        StageAnswer { answer, faults }
    }
}

fn edits(columns: &mut Columns, path: &str, op: &EditOp) -> Vec<Vec<Edit>> {
    let leaves = columns.leaves(path).unwrap();
    let mut edits = vec![Vec::new(); columns.len()];
    for id in leaves.ids {
        let (row, node) = columns.leaf(id).unwrap();
        edits[row].push(Edit { node, range: None, op: op.clone(), rule: "@s".into() });
    }
    edits
}

pub fn stage(kind: StageKind, name: &str, config: Value) -> StageManifest {
    StageManifest {
        name: name.into(),
        kind,
        component: digest_of(name.as_bytes()),
        config,
        categories: vec![Category::Error, Category::Log],
        on_failure: FailurePolicy::default_of(kind),
        read: "**".into(),
        write: "**".into(),
        limits: serde_json::Map::new(),
    }
}

/// Noise out, a half kept, users hashed, and a scrubber that heals those poisons.
pub fn stages(heals: &[&str]) -> Vec<StageManifest> {
    vec![
        stage(StageKind::Filter, "noise", json!({})),
        stage(StageKind::Sampler, "sample", json!({ "rate": 0.5 })),
        stage(StageKind::Scrubber, "ids", json!({})),
        stage(StageKind::Scrubber, "scrub", json!({ "heals": heals })),
        stage(StageKind::Fingerprinter, "group", json!({})),
    ]
}

pub fn publish(store: &Arc<dyn Store>, stages: Vec<StageManifest>) -> Manifest {
    let shelf = StoreShelf(Arc::clone(store));
    generation::publish_stages(&shelf, stages, &[], "2026-11-22T19:00:00Z").unwrap()
}

pub fn links(manifest: &Manifest) -> Vec<Link> {
    let link = |stage: &StageManifest| Link {
        stage: Box::new(Native { manifest: stage.clone(), is_tired: false }),
        name: stage.name.as_str().into(),
        categories: stage.categories.clone(),
        on_failure: stage.on_failure,
    };
    manifest.stages.iter().map(link).collect()
}

struct Nobody;

impl Book for Nobody {
    fn settle(&self, _: ProjectId, _: &OutcomeCount) {}
}

/// Every third item is poisoned with `a` or `b`, some are noisy, some are logs.
pub fn item(offset: u64) -> Item {
    let poison = match offset % 6 {
        0 => r#","poison":"a""#,
        3 => r#","poison":"b""#,
        _ => "",
    };
    let name = if offset % 11 == 5 { "noisy" } else { "fine" };
    let payload = format!(
        r#"{{"message":"m","body":"b","name":"{name}","secret":"{SECRET}","user":"u{offset}"{poison}}}"#
    );
    let meta = Meta {
        project_id: 1 + offset % 2,
        received_at: HOUR + offset as i64,
        sent_at: Some(HOUR),
        event_id: event_id(offset),
        environment: "prod".into(),
        client_ip: "203.0.113.9".into(),
        user_agent: "agent/1".into(),
        sdk: "sentry.test/1".into(),
        trace: Bytes::from(format!(r#"{{"trace_id":"{}","sample_rate":"0.5"}}"#, event_id(offset))),
    };
    let category = if offset % 5 == 4 { Category::Log } else { Category::Error };
    Item { offset, queued_at: HOUR, meta, category, payload: payload.into() }
}

/// Spread over all 128 bits, so that draws are.
pub fn event_id(offset: u64) -> EventId {
    EventId(u128::from(offset + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

pub fn sink(store: &Arc<dyn Store>) -> ParquetSink {
    ParquetSink::with_store(Arc::clone(store), "memory", SinkConfig::new("main"), 7).unwrap()
}

/// Writes a chunk as a worker does.
pub fn write(store: &Arc<dyn Store>, manifest: &Manifest, start: u64, end: u64) {
    let chain = Chain { generation: manifest.generation, links: links(manifest) };
    let mut settler = Settler::new(Plan::of(chain), Arc::new(Nobody));
    let mut chunk = sink(store).begin(ChunkPlace { partition: 3, epoch: 0, start, queued_at: HOUR });
    chunk.turn(manifest.generation);
    settler.settle_items((start..end).map(item).collect()).into_iter().for_each(|s| chunk.push(s));
    settler.take_passed_over().into_iter().for_each(|note| chunk.note(note));
    assert_eq!(chunk.close(Closing::at(end)).unwrap().run().unwrap(), Reply::Done);
}

/// Two chunks of a generation that knows no poison. They are written once, and copied for whoever wants a world of their own.
pub fn world() -> Arc<dyn Store> {
    static WORLD: LazyLock<Arc<dyn Store>> = LazyLock::new(|| {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let broken = publish(&store, stages(&[]));
        write(&store, &broken, 0, 80);
        write(&store, &broken, 80, 120);
        assert!(held(&store).len() > 10);
        store
    });
    let store = MemoryStore::default();
    for folder in Table::ALL.map(Table::name).into_iter().chain(["control"]) {
        for entry in WORLD.list(folder).unwrap() {
            store.create(&entry.path, WORLD.read(&entry.path).unwrap().unwrap()).unwrap();
        }
    }
    Arc::new(store)
}

pub fn config(nonce: u128) -> ReleaseConfig {
    let (selection, files) = (Selection::default(), FileLimits::default());
    ReleaseConfig { selection, dry_run: false, nonce, files, allow_unsafe: false }
}

pub fn release_with(
    store: &Arc<dyn Store>,
    manifest: &Manifest,
    config: &ReleaseConfig,
) -> Result<Summary, ReleaseError> {
    let shelf = StoreShelf(Arc::clone(store));
    let links = || Ok(links(manifest));
    release(store, &Through { manifest, links: &links, shelf: &shelf }, config, &mut Silent)
}

/// Everything that was ever in quarantine.
pub fn all_held(store: &Arc<dyn Store>) -> Vec<Held> {
    let files = quarantine::files(store.as_ref(), None).unwrap();
    let read = |file| quarantine::read(store, file, &Selection::default(), Depth::Payloads).unwrap();
    files.iter().flat_map(read).collect()
}

/// What is in it now.
pub fn held(store: &Arc<dyn Store>) -> Vec<Held> {
    all_held(store).into_iter().filter(|held| held.released.is_none()).collect()
}

pub fn proof(store: &Arc<dyn Store>) -> Report {
    verify(store, &mut Silent).unwrap()
}

#[track_caller]
pub fn assert_sound(store: &Arc<dyn Store>) -> Report {
    let report = proof(store);
    assert!(report.is_sound(), "{}", report.render());
    report
}

pub fn rows(store: &Arc<dyn Store>, table: Table) -> Vec<RecordBatch> {
    let entries = store.list(table.name()).unwrap();
    let read = |path: &str| {
        let bytes = store.read(path).unwrap().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        reader.map(Result::unwrap).collect::<Vec<_>>()
    };
    entries.iter().flat_map(|entry| read(&entry.path)).collect()
}

/// A row of `events` or `logs`, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub event_id: String,
    pub payload: String,
    pub generation: i64,
    pub rate: f64,
}

/// All rows by offset, which no two of them may have.
pub fn accepted(store: &Arc<dyn Store>) -> BTreeMap<i64, Row> {
    let mut all = BTreeMap::new();
    for batch in [Table::Events, Table::Logs].into_iter().flat_map(|table| rows(store, table)) {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let ints = |name: &str| column(name).as_primitive::<Int64Type>().clone();
        let (offsets, generations) = (ints("offset"), ints("generation"));
        let (ids, payloads) = (column("event_id").as_string::<i32>(), column("payload").as_string::<i32>());
        let rates = column("server_sample_rate").as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let found = Row {
                event_id: ids.value(row).to_owned(),
                payload: payloads.value(row).to_owned(),
                generation: generations.value(row),
                rate: rates.value(row),
            };
            let twice = all.insert(offsets.value(row), found);
            assert_eq!(twice, None, "offset {} is in two rows", offsets.value(row));
        }
    }
    all
}

/// `sum(quantity)` of `outcomes` by outcome.
pub fn sums(store: &Arc<dyn Store>) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for batch in rows(store, Table::Outcomes) {
        let outcomes = batch.column_by_name("outcome").unwrap().as_string::<i32>().clone();
        let quantities = batch.column_by_name("quantity").unwrap().as_primitive::<Int64Type>().clone();
        for (outcome, quantity) in outcomes.iter().zip(quantities.values()) {
            *sums.entry(outcome.unwrap().to_owned()).or_default() += quantity;
        }
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}
