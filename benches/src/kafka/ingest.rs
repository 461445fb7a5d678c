//! The ingest role alone against librdkafka's own benchmark, `rdkafka_performance`: the same library, broker, topic and settings, records
//! of the same size with the same headers, spread over the partitions in the same way.
//!
//! What differs is where records come from. librdkafka sends one buffer again and again. Ingest reads each from a request over HTTP, parses
//! it and answers when it is acknowledged, and whoever sends the requests is on the same two cores.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tamis_tests::{Host, Kafka as Cluster, tools};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use super::process::{self, broker_cpu_seconds, cpu_seconds};
use crate::http::{self, EVENT_BYTES};
use crate::measure::{Row, median};

const PARTITIONS: u32 = 4;
const ROUNDS: usize = 3;
const RATIO_MIN: f64 = 0.75;
const CORES: f64 = 2.0;
/// Events in a request, and connections: so many are on their way at a time, enough for full batches to every partition.
const SHAPES: [(usize, usize); 2] = [(1, 1000), (20, 100)];
const SECONDS: u64 = 8;
/// About as long.
const RECORDS: usize = 600_000;

/// What ingest sets itself (docs/kafka.md). The key of a record decides its partition there, so here each is drawn.
const SETTINGS: [&str; 7] = [
    "enable.idempotence=true",
    "acks=all",
    "linger.ms=5",
    "batch.size=131072",
    "message.timeout.ms=10000",
    "socket.nagle.disable=true",
    "sticky.partitioning.linger.ms=0",
];
/// What ingest says of an event.
const HEADERS: [&str; 5] = [
    "client_ip=127.0.0.1",
    "project_id=1",
    "received_at=1795372800000",
    "category=error",
    "event_id=0123456789abcdef0123456789abcdef",
];

/// One round of one side.
#[derive(Debug, Clone)]
struct Produced {
    records: f64,
    wall: f64,
    /// Of the process that produces.
    own_cpu: f64,
    broker_cpu: f64,
    load_cpu: f64,
    said: String,
}

pub fn rows() -> Result<Vec<Row>> {
    let cluster = super::cluster()?;
    let (mut librdkafka, mut ingest) = (Vec::new(), [Vec::new(), Vec::new()]);
    // The first round is there for the broker's compiler.
    for round in 0..=ROUNDS {
        let mut rounds = vec![(None, &mut librdkafka)];
        rounds.extend(SHAPES.into_iter().map(Some).zip(&mut ingest));
        for (at, (shape, rounds)) in rounds.into_iter().enumerate() {
            let topic = format!("ingest-{round}-{at}");
            cluster.make_topic(&topic, PARTITIONS as i32, &super::TOPIC_SETTINGS)?;
            let produced = match shape {
                None => of_librdkafka(&cluster, &topic),
                Some(shape) => of_ingest(&cluster, &topic, shape),
            };
            let produced = produced.with_context(|| topic.clone())?;
            cluster.delete_topic(&topic)?;
            if round > 0 {
                rounds.push(produced);
            }
        }
    }
    let [events, logs] = &ingest;
    let what = "ingest alone to Kafka, 2 KB events, acks=all, against rdkafka_performance";
    let of_logs = format!("the same with logs of 2 KB, {} in a request", SHAPES[1].0);
    Ok(vec![row(what, &librdkafka, events), row(&of_logs, &librdkafka, logs)])
}

fn row(what: &str, librdkafka: &[Produced], ingest: &[Produced]) -> Row {
    let of = |all: &[Produced], figure: fn(&Produced) -> f64| median(all.iter().map(figure).collect());
    let on_the_clock = |p: &Produced| p.records / p.wall;
    // The cores are busy all the time, and this is what is left of them without the load.
    let without_load = |p: &Produced| p.records / (p.wall - p.load_cpu / CORES);
    let per_own = |p: &Produced| p.records / p.own_cpu;
    let share = |p: &Produced| (p.own_cpu, p.broker_cpu, p.load_cpu);
    let (theirs, ours) = (of(librdkafka, on_the_clock), of(ingest, without_load));
    let last = &ingest[ingest.len() - 1];
    let (own, broker, load) = share(last);
    let theirs_last = &librdkafka[librdkafka.len() - 1];
    let detail = format!(
        "{ours:.0} records a second with the load's share of two cores taken out, {:.0} on the clock ({:.2} of librdkafka); \
         librdkafka {theirs:.0}; per core second of the process {:.0} against {:.0}; of {:.1} core seconds ingest had {own:.1}, the \
         broker {broker:.1}, the load {load:.1}; of librdkafka's {:.1} it had {:.1}, the broker {:.1}; {}",
        of(ingest, on_the_clock),
        of(ingest, on_the_clock) / theirs,
        of(ingest, per_own),
        of(librdkafka, per_own),
        last.wall * CORES,
        theirs_last.wall * CORES,
        theirs_last.own_cpu,
        theirs_last.broker_cpu,
        last.said,
    );
    Row::at_least(what, RATIO_MIN, ours / theirs, &detail)
}

fn of_librdkafka(cluster: &Cluster, topic: &str) -> Result<Produced> {
    let program = tools::target()?.join("bench/rdkafka_performance");
    ensure!(program.is_file(), "there is no {}: run `make bench`, which builds it", program.display());
    let mut command = Command::new(program);
    command.args(["-P", "-t", topic, "-b", cluster.brokers(), "-s", &EVENT_BYTES.to_string()]);
    command.args(["-c", &RECORDS.to_string()]);
    for setting in SETTINGS {
        command.args(["-X", setting]);
    }
    for header in HEADERS {
        command.args(["-H", header]);
    }
    let before = broker_cpu_seconds(cluster)?;
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (text, own_cpu) = to_the_end(child)?;
    let broker_cpu = broker_cpu_seconds(cluster)? - before;
    // `% 600000 messages produced (… bytes), 600000 delivered (offset …, 0 failed) in 8000ms: …`
    let last = text.lines().rfind(|line| line.contains("messages produced")).context(text.clone())?;
    let ms = last.split(" in ").nth(1).and_then(|rest| rest.split("ms:").next());
    let wall = ms.context("the time")?.parse::<f64>()? / 1000.0;
    ensure!(last.contains(&format!("{RECORDS} delivered")), "{last}");
    let (records, said) = (RECORDS as f64, String::new());
    Ok(Produced { records, wall, own_cpu, broker_cpu, load_cpu: 0.0, said })
}

/// Waits for it: what it printed, and the processor seconds that it took.
fn to_the_end(mut child: Child) -> Result<(String, f64)> {
    let mut cpu = 0.0;
    // What it prints, a line a second, fits into the pipe.
    let status = loop {
        cpu = cpu_seconds(child.id()).unwrap_or(cpu);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        sleep(Duration::from_millis(5));
    };
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(status.success(), "ended with {status}: {text}{}", String::from_utf8_lossy(&output.stderr));
    Ok((text, cpu))
}

fn of_ingest(cluster: &Cluster, topic: &str, shape: (usize, usize)) -> Result<Produced> {
    let dir = tempfile::tempdir()?;
    let kafka = format!("topic = \"{topic}\"\n");
    let host = process::start(&dir.path().join("ingest"), "ingest", cluster, &kafka, "", None)?;
    let (before, own_before) = (broker_cpu_seconds(cluster)?, cpu_seconds(host.pid())?);
    let (text, load_cpu) = loaded(&host, shape)?;
    let (broker, own) = (broker_cpu_seconds(cluster)?, cpu_seconds(host.pid())?);
    let mut words = text.splitn(3, ' ');
    let mut number = || words.next().context("the load says its figures")?.parse::<f64>().context("a number");
    let (records, wall) = (number()?, number()?);
    let said = words.next().context("how long answers took")?.trim();
    let said = format!("{} connections, {said}", shape.1);
    let ends: i64 = super::places(cluster, topic, "nobody")?.iter().map(|place| place.end).sum();
    ensure!(ends as f64 >= records, "{records} were answered with 200, and the topic has {ends}");
    host.terminate()?;
    Ok(Produced { records, wall, own_cpu: own - own_before, broker_cpu: broker - before, load_cpu, said })
}

fn loaded(host: &Host, (events, connections): (usize, usize)) -> Result<(String, f64)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["load-many", &host.ingest().to_string()]);
    command.args([SECONDS, events as u64, connections as u64].map(|number| number.to_string()));
    to_the_end(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// `tamis-benches load-many ADDRESS SECONDS EVENTS CONNECTIONS`, in a process of its own with one thread: one request at a time over each
/// connection, with so many events. Prints how many were accepted, in how many seconds, and how long they took.
pub fn load(args: &[String]) -> Result<()> {
    let [address, seconds, events, connections] = args else {
        bail!("load-many ADDRESS SECONDS EVENTS CONNECTIONS")
    };
    let address: SocketAddr = address.parse()?;
    let (seconds, events, connections): (u64, usize, usize) =
        (seconds.parse()?, events.parse()?, connections.parse()?);
    let requests = Rc::new(if events == 1 { http::requests() } else { http::requests_of_logs(events) });
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    let mut latencies = tokio.block_on(LocalSet::new().run_until(async move {
        let mut tasks = JoinSet::new();
        for first in 0..connections {
            tasks.spawn_local(send(address, first, Rc::clone(&requests), until));
        }
        let mut latencies = Vec::new();
        while let Some(task) = tasks.join_next().await {
            latencies.extend(task??);
        }
        anyhow::Ok(latencies)
    }))?;
    let wall = begun.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |share: f64| f64::from(latencies[((latencies.len() - 1) as f64 * share) as usize]) / 1000.0;
    println!("{} {wall:.3} p50 {:.0} ms, p99 {:.0} ms", latencies.len() * events, at(0.5), at(0.99));
    Ok(())
}

/// Microseconds to each answer, all of them 200.
async fn send(
    address: SocketAddr,
    first: usize,
    requests: Rc<Vec<Vec<u8>>>,
    until: Instant,
) -> Result<Vec<u32>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut answer, mut latencies) = ([0; 4096], Vec::new());
    for at in first.. {
        let begun = Instant::now();
        if begun >= until {
            break;
        }
        stream.write_all(&requests[at % requests.len()]).await?;
        let mut read = 0;
        while !answer[..read].ends_with(b"}") {
            let more = stream.read(&mut answer[read..]).await?;
            ensure!(more > 0, "the connection was closed");
            read += more;
        }
        ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
        latencies.push(begun.elapsed().as_micros() as u32);
    }
    Ok(latencies)
}
