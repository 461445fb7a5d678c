//! How fast a chunk goes from parsed events to sorted Parquet: `cargo run --release -p host-sink --example chunk_rate [MiB] [rounds] [folder]`.
//!
//! Events are made from a seed in the shape of what Python's client sends: an exception chain with frames and source lines, breadcrumbs,
//! tags, contexts, about 8 KB each; 50 projects, groups by Zipf. Parsing is measured apart, since it is not the sink's. With a folder the
//! files are kept there, a partition per round, and fsynced. Time is the thread's time on a core where the system tells it, so that a
//! busy machine does not count.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_event::{Category, Doc, EventId, Meta};
use host_group::{Group, GroupId, headline};
use host_pipeline::{Accepted, ChunkPlace, Closing, End, Settled, Sink};
use host_sink::store::{MemoryStore, OpenedStore, Store};
use host_sink::{ParquetSink, SinkConfig, Table};

const NOW: i64 = 1_795_375_676_123;
const PROJECTS: u64 = 50;
const GROUPS: u64 = 400;
const WORDS: [&str; 24] = [
    "checkout", "order", "session", "payment", "render", "fetch", "index", "cache", "worker", "stream",
    "token", "handler", "batch", "widget", "search", "queue", "invoice", "profile", "upload", "schema",
    "metric", "router", "policy", "parser",
];

/// SplitMix64: all that is needed for shapes.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len() as u64) as usize]
    }
    /// Small numbers are likely, by 1 / n.
    fn zipf(&mut self, n: u64) -> u64 {
        let share = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((n as f64).powf(share) - 1.0) as u64
    }
    fn hex(&mut self, digits: usize) -> String {
        let text = format!("{:016x}{:016x}", self.next(), self.next());
        text[..digits].to_owned()
    }
}

/// A frame is a place in the code, so it is drawn from its group's seed and not from the event's.
fn frame(code: &mut Draw, draw: &mut Draw) -> String {
    let (a, b, c) = (code.word(), code.word(), code.word());
    let line = code.below(900);
    format!(
        r#"{{"filename":"{a}/{b}.py","abs_path":"/srv/app/releases/current/{a}/{b}.py","function":"{c}_{b}","module":"{a}.{b}","lineno":{line},"pre_context":["    def {c}_{b}(self, request):","        {a} = self.{b}.get(request.{c})"],"context_line":"        return {a}.{c}({b}, timeout={})","post_context":["","    @property"],"in_app":{},"vars":{{"{a}":"<{b}.{c} object at 0x7f{}>","request":"'{}'"}}}}"#,
        code.below(60),
        code.below(2) == 0,
        draw.hex(10),
        draw.word()
    )
}

fn event(draw: &mut Draw, project: u64) -> (String, String) {
    let group = draw.zipf(GROUPS);
    let mut code = Draw(project * 1_000_003 + group);
    let (kind, place) = (code.word(), code.word());
    let frames = |code: &mut Draw, draw: &mut Draw| {
        let count = 5 + code.below(7);
        (0..count).map(|_| frame(code, draw)).collect::<Vec<_>>().join(",")
    };
    let (first, second) = (frames(&mut code, draw), frames(&mut code, draw));
    let crumbs: Vec<_> = (0..8)
        .map(|i| {
            format!(
                r#"{{"timestamp":"2026-11-22T19:2{i}:{:02}.{:06}Z","type":"http","category":"{}","level":"info","message":"GET /{}/{}","data":{{"status_code":200,"duration_ms":{}}}}}"#,
                draw.below(60), draw.below(1_000_000), draw.word(), draw.word(), draw.below(100_000), draw.below(900)
            )
        })
        .collect();
    let json = format!(
        r#"{{"event_id":"{}","timestamp":"2026-11-22T19:27:{:02}.{:06}Z","platform":"python","level":"error","release":"shop@2.{}.0","environment":"production","server_name":"web-{}","transaction":"/{place}/{kind}","logger":"{kind}.{place}","sdk":{{"name":"sentry.python","version":"2.75.0","integrations":["django","logging","stdlib"]}},"user":{{"id":"{}","ip_address":"10.{}.{}.7"}},"tags":{{"region":"eu-{}","runtime":"CPython 3.13.1","{place}":"{}","plan":"{}"}},"request":{{"method":"POST","url":"https://shop.example/{place}/{kind}","headers":{{"Accept":"*/*","User-Agent":"Mozilla/5.0 (X11; Linux x86_64) Chrome/1{}.0"}}}},"contexts":{{"trace":{{"trace_id":"{}","span_id":"{}","type":"trace"}},"runtime":{{"name":"CPython","version":"3.13.1"}}}},"breadcrumbs":{{"values":[{}]}},"exception":{{"values":[{{"type":"{kind}Error","value":"{kind} {} is gone","module":"{place}.errors","mechanism":{{"type":"chained","handled":true}},"stacktrace":{{"frames":[{first}]}}}},{{"type":"{place}Failed","value":"could not {kind} the {place}: {}","mechanism":{{"type":"django","handled":false}},"stacktrace":{{"frames":[{second}]}}}}]}}}}"#,
        draw.hex(32),
        draw.below(60),
        draw.below(1_000_000),
        draw.zipf(9),
        draw.below(20),
        draw.below(100_000),
        draw.below(200),
        draw.below(200),
        draw.below(4),
        draw.word(),
        draw.word(),
        draw.below(40),
        draw.hex(32),
        draw.hex(16),
        crumbs.join(","),
        draw.below(1_000_000),
        draw.below(1_000_000)
    );
    (json, format!("{group:032x}"))
}

struct Made {
    project: u64,
    hash: String,
    json: String,
}

fn settled(offset: u64, made: &Made, doc: Doc) -> Settled {
    let fingerprints = vec![("app".to_owned(), made.hash.clone()), ("system".to_owned(), made.hash.clone())];
    let group = Group { id: GroupId::of(made.project, &made.hash), fingerprints, headline: headline(&doc) };
    let meta = Meta {
        project_id: made.project,
        received_at: NOW,
        event_id: EventId(u128::from(Draw(offset).next()) << 64 | u128::from(offset)),
        ..Meta::default()
    };
    let accepted = Accepted {
        category: Category::Error,
        doc,
        client_sample_rate: 1.0,
        server_sample_rate: 0.5,
        group: Some(group),
    };
    Settled { offset, queued_at: NOW, generation: 1, meta, end: End::Accepted(Box::new(accepted)) }
}

/// Time on a core, else time on the wall.
struct Watch {
    on_core: Option<Duration>,
    on_wall: Instant,
}

impl Watch {
    fn start() -> Watch {
        Watch { on_core: Watch::on_core(), on_wall: Instant::now() }
    }

    fn on_core() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
    }

    fn elapsed(&self) -> Duration {
        let on_core = self.on_core.zip(Watch::on_core()).map(|(from, to)| to.saturating_sub(from));
        on_core.unwrap_or_else(|| self.on_wall.elapsed())
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|a| a.parse::<usize>().ok());
    let (mib, rounds) = (number(0).unwrap_or(64), number(1).unwrap_or(5));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let mut draw = Draw(1);
    let (mut made, mut bytes) = (Vec::new(), 0);
    while bytes < mib << 20 {
        let project = draw.zipf(PROJECTS);
        let (json, hash) = event(&mut draw, project);
        bytes += json.len();
        made.push(Made { project, hash, json });
    }
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    let mut out = io::stdout().lock();
    writeln!(out, "{} events, {} bytes each, MB/s of JSON:", made.len(), bytes / made.len())?;
    for round in 0..rounds as u32 {
        let store: Arc<dyn Store> = match arguments.get(2) {
            Some(folder) => {
                let opened = OpenedStore::open(folder, runtime.handle().clone());
                Arc::new(opened.map_err(io::Error::other)?)
            }
            None => Arc::new(MemoryStore::default()),
        };
        let sink = ParquetSink::with_store(Arc::clone(&store), "memory", SinkConfig::new("rate"), 1)
            .map_err(io::Error::other)?;
        let begun = Watch::start();
        let docs: Vec<_> = made.iter().map(|m| Doc::parse(m.json.clone()).expect("made as JSON")).collect();
        let parse = begun.elapsed();
        let records: Vec<_> =
            made.iter().zip(docs).zip(0..).map(|((m, doc), offset)| settled(offset, m, doc)).collect();
        let place = ChunkPlace { partition: round, epoch: 0, start: 0, queued_at: NOW };
        let mut chunk = sink.begin(place);
        chunk.turn(1);
        let begun = Watch::start();
        records.into_iter().for_each(|record| chunk.push(record));
        let push = begun.elapsed();
        let memory = chunk.bytes();
        let begun = Watch::start();
        chunk
            .close(Closing::at(made.len() as u64))
            .and_then(|mut errand| errand.run())
            .map_err(io::Error::other)?;
        let close = begun.elapsed();
        let files = store.list(Table::Events.name()).map_err(io::Error::other)?;
        writeln!(
            out,
            "sink {:.0} (push {:.0}, close {:.0}); parse {:.0}; with parse {:.0}; in memory {:.1} MB, file {:.1} MB",
            rate(push + close),
            rate(push),
            rate(close),
            rate(parse),
            rate(parse + push + close),
            memory as f64 / 1e6,
            files[0].size as f64 / 1e6
        )?;
    }
    Ok(())
}
