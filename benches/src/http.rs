//! Durable ingest over HTTP: the real binary, a load from a second process, an answer only after the fsync.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use host_event::Body;
use tamis_benches::corpus::{Corpus, Mix};

use crate::measure::{Row, median};
use crate::stages;

pub const KEY: &str = "0123456789abcdef0123456789abcdef";
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 3;
const STARTS: usize = 7;
const INGEST_SECONDS: u64 = 10;
const MEMORY_SAMPLES: u64 = 10;
pub const EVENT_BYTES: usize = 2048;
/// `BENCH_LOAD_SECONDS=600` for the ten minutes of the memory bar.
const LOAD_SECONDS_DEFAULT: u64 = 30;

pub fn rows() -> anyhow::Result<Vec<Row>> {
    let seconds =
        std::env::var("BENCH_LOAD_SECONDS").ok().and_then(|v| v.parse().ok()).unwrap_or(LOAD_SECONDS_DEFAULT);
    Ok(vec![durable_ingest()?, memory(seconds)?])
}

fn durable_ingest() -> anyhow::Result<Row> {
    let dir = tempfile::tempdir()?;
    let mut host = Host::start(dir.path(), "")?;
    let loads: Vec<_> =
        (0..ROUNDS).map(|_| host.loaded_for(INGEST_SECONDS)).collect::<anyhow::Result<_>>()?;
    host.stop()?;
    let rate = median(loads.iter().map(|load| load.rate).collect());
    let said = &loads[ROUNDS - 1].said;
    let detail = format!("{CONNECTIONS} connections, {said}, Parquet written beside it");
    Ok(Row::at_least("durable ingest, 2 KB events, events per second on 2 cores", 20_000.0, rate, &detail))
}

/// What the process holds after each tenth of the time, with the four plugins and as much load as it takes.
fn memory(seconds: u64) -> anyhow::Result<Row> {
    let dir = tempfile::tempdir()?;
    let mut host = Host::start(dir.path(), &four_plugins())?;
    let (mut held, mut said) = (Vec::new(), String::new());
    for _ in 0..MEMORY_SAMPLES {
        said = host.loaded_for(seconds.div_ceil(MEMORY_SAMPLES))?.said;
        held.push(host.memory_mib()?);
    }
    host.stop()?;
    let most = held.iter().copied().fold(0.0, f64::max);
    let each: Vec<_> = held.iter().map(|mib| format!("{mib:.0}")).collect();
    let detail = format!("after each tenth: {}; {said}", each.join(", "));
    let what = format!("resident memory, four plugins, full load for {seconds} s, MiB");
    Ok(Row::at_most(what, 300.0, most, &detail))
}

pub fn four_plugins() -> String {
    let plugins = stages::components();
    let stage = |(name, kind, categories): (&str, &str, &str)| {
        let component = plugins.join(format!("{name}.wasm"));
        format!(
            "[[stage]]\nname = \"{name}\"\nkind = \"{kind}\"\ncomponent = \"{}\"\ncategories = [{categories}]\n",
            component.display()
        )
    };
    let all = r#""error", "transaction", "span", "log_item""#;
    [
        ("inbound-filters", "filter", r#""error", "transaction""#),
        ("dynamic-sampler", "sampler", r#""transaction", "span""#),
        ("pii-scrubber", "scrubber", all),
        ("sentry-grouping", "fingerprinter", r#""error""#),
    ]
    .map(stage)
    .concat()
}

/// From the start of the process to its ready line, everything compiled before.
pub fn start_of(pipeline: &str) -> anyhow::Result<Row> {
    let dir = tempfile::tempdir()?;
    // Compiles.
    Host::start(dir.path(), pipeline)?.stop()?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let mut host = Host::start(dir.path(), pipeline)?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        host.stop()?;
    }
    let detail = format!("median of {STARTS}; two workers, so two instances of each");
    Ok(Row::at_most(
        "start with six plugins of all languages, AOT cache warm, ms",
        300.0,
        median(times),
        &detail,
    ))
}

/// From the command to the last worker, under full load, between two pipelines that are compiled.
pub fn swap() -> anyhow::Result<Row> {
    let dir = tempfile::tempdir()?;
    let mut host = Host::start(dir.path(), &four_plugins())?;
    std::fs::write(dir.path().join("empty.toml"), "")?;
    host.pipeline(dir.path(), &["publish", "empty.toml"])?;
    let (mut times, mut late) = (Vec::new(), String::new());
    std::thread::scope(|scope| {
        let load = scope.spawn(|| host.loaded_for(INGEST_SECONDS));
        let until = Instant::now() + Duration::from_secs(INGEST_SECONDS - 1);
        while Instant::now() < until {
            let begun = Instant::now();
            host.pipeline(dir.path(), &["rollback"])?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            std::thread::sleep(Duration::from_millis(100));
        }
        late = host.late_batches()?;
        load.join().expect("a load does not panic").map(drop)
    })?;
    host.stop()?;
    let slowest = times.iter().copied().fold(0.0, f64::max);
    let detail =
        format!("median {:.0} of {} swaps under full load; {late}", median(times.clone()), times.len());
    Ok(Row::at_most("swap, command to all workers of one machine, slowest, ms", 1_000.0, slowest, &detail))
}

/// What a load of so many seconds came to.
struct Loaded {
    rate: f64,
    said: String,
}

struct Host {
    child: Child,
    address: String,
    admin: String,
}

impl Host {
    fn start(dir: &Path, pipeline: &str) -> anyhow::Result<Host> {
        let binary = binary()?;
        let config = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[[project]]\nid = 1\n[[project.key]]\npublic_key = \"{KEY}\"\n"
        );
        std::fs::write(dir.join("tamis.toml"), config)?;
        std::fs::write(dir.join("pipeline.toml"), pipeline)?;
        let mut child = Command::new(&binary)
            .arg("run")
            .current_dir(dir)
            .env_remove(crate::KEEP_PAGES)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
        let address = line.split("ingest=http://").nth(1).and_then(|rest| rest.split(' ').next());
        let address =
            address.with_context(|| format!("{} did not start: {line:?}", binary.display()))?.to_owned();
        let admin = line.trim().split("admin=").nth(1).context("an admin address")?.to_owned();
        Ok(Host { child, address, admin })
    }

    /// `tamis pipeline`, and waits until every worker is there.
    fn pipeline(&self, dir: &Path, args: &[&str]) -> anyhow::Result<()> {
        let tamis = |args: &[&str]| {
            let mut command = Command::new(binary()?);
            command.current_dir(dir).arg("pipeline").args(args).args(["--json", "--admin", &self.admin]);
            let output = command.stderr(Stdio::inherit()).output()?;
            anyhow::ensure!(output.status.success(), "tamis pipeline {args:?}: {}", output.status);
            anyhow::Ok(serde_json::from_slice::<serde_json::Value>(&output.stdout)?)
        };
        let generation = tamis(args)?["generation"].clone();
        loop {
            let shown = tamis(&["show"])?;
            let workers = shown["workers"].as_array().context("workers")?;
            if workers.iter().all(|worker| *worker == generation) {
                return Ok(());
            }
        }
    }

    /// Batches above 50 ms, in words.
    fn late_batches(&self) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.admin.trim_start_matches("http://"))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let count = |le: &str| -> u64 {
            let of =
                text.lines().filter(|l| l.starts_with("tamis_worker_batch_seconds_bucket") && l.contains(le));
            of.filter_map(|l| l.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
        };
        let (all, in_time) = (count("le=\"+Inf\""), count("le=\"0.05\""));
        Ok(format!("{} of {all} batches later than 50 ms", all - in_time))
    }

    /// Loads it from another process.
    fn loaded_for(&self, seconds: u64) -> anyhow::Result<Loaded> {
        let load = Command::new(std::env::current_exe()?)
            .args(["load", &self.address, &seconds.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let text = String::from_utf8(load.wait_with_output()?.stdout)?;
        let (rate, said) = text.split_once(' ').context("the load says its rate")?;
        Ok(Loaded { rate: rate.parse()?, said: said.trim().to_owned() })
    }

    fn memory_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("Linux says VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
        Ok(kib / 1024.0)
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Already gone after `stop`; after an error this ends it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("tamis");
    if !path.is_file() {
        bail!("{} is missing: cargo build --release -p tamis", path.display());
    }
    Ok(path)
}

/// The load, in a process of its own: as many requests as the connections carry, one event each.
pub fn load(args: &[String]) -> anyhow::Result<()> {
    let [address, seconds] = args else { bail!("load ADDRESS SECONDS") };
    let until = Instant::now() + Duration::from_secs(seconds.parse()?);
    let requests = requests();
    let (accepted, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let begun = Instant::now();
    let mut latencies: Vec<u32> = Vec::new();
    std::thread::scope(|scope| {
        let connection = |i: usize| {
            let (requests, accepted, refused) = (&requests, &accepted, &refused);
            scope.spawn(move || send(address, i, requests, until, accepted, refused))
        };
        let connections: Vec<_> = (0..CONNECTIONS).map(connection).collect();
        for connection in connections {
            latencies
                .extend(connection.join().expect("a connection does not panic").expect("the host answers"));
        }
    });
    latencies.sort_unstable();
    let at = |share: f64| f64::from(latencies[((latencies.len() - 1) as f64 * share) as usize]) / 1000.0;
    let rate = accepted.load(Relaxed) as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} p50 {:.1} ms, p99 {:.1} ms, {} refused", at(0.5), at(0.99), refused.load(Relaxed));
    Ok(())
}

/// Envelopes of an event of two kilobytes each, as HTTP requests.
pub fn requests() -> Vec<Vec<u8>> {
    let logs = Corpus::new(3).mix(Mix::LOGS).records().take(200);
    let event = |(i, record): (usize, host_event::Record)| {
        let Body::Item { payload, .. } = record.body else { return Vec::new() };
        let head = format!("{{\"event_id\":\"{:032x}\",\"message\":\"load\",\"extra\":{{\"log\":", i + 1);
        let log = String::from_utf8_lossy(&payload);
        let fill = "x".repeat(EVENT_BYTES.saturating_sub(head.len() + log.len() + 12));
        let event = format!("{head}{log},\"f\":\"{fill}\"}}}}");
        request(&format!("{{}}\n{{\"type\":\"event\",\"length\":{}}}\n{event}\n", event.len()))
    };
    logs.enumerate().map(event).collect()
}

/// Envelopes with a container of so many logs of two kilobytes each, as SDKs send them.
pub fn requests_of_logs(logs_in_each: usize) -> Vec<Vec<u8>> {
    let envelope = |n: usize| {
        let log = |i: usize| {
            let head = format!(
                "{{\"timestamp\":1795372800.5,\"trace_id\":\"{:032x}\",\"level\":\"info\",\"body\":\"load {i} ",
                n * logs_in_each + i + 1
            );
            let fill = "x".repeat(EVENT_BYTES.saturating_sub(head.len() + 2));
            format!("{head}{fill}\"}}")
        };
        let items = (0..logs_in_each).map(log).collect::<Vec<_>>().join(",");
        let container = format!("{{\"items\":[{items}]}}");
        let head = format!(
            "{{\"type\":\"log\",\"item_count\":{logs_in_each},\"content_type\":\"application/vnd.sentry.items.log+json\",\"length\":{}}}",
            container.len()
        );
        request(&format!("{{}}\n{head}\n{container}\n"))
    };
    (0..20).map(envelope).collect()
}

fn request(body: &str) -> Vec<u8> {
    let head = format!(
        "POST /api/1/envelope/ HTTP/1.1\r\nhost: bench\r\nx-sentry-auth: Sentry sentry_version=7, sentry_key={KEY}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + body).into_bytes()
}

fn send(
    address: &str,
    first: usize,
    requests: &[Vec<u8>],
    until: Instant,
    accepted: &AtomicU64,
    refused: &AtomicU64,
) -> std::io::Result<Vec<u32>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answer = [0; 4096];
    let mut latencies = Vec::new();
    for i in first.. {
        let begun = Instant::now();
        if begun >= until {
            break;
        }
        stream.write_all(&requests[i % requests.len()])?;
        // Answers are far smaller than a segment; the head and the body come together.
        let mut read = 0;
        while !answer[..read].ends_with(b"}") && !answer[..read].ends_with(b"\r\n\r\n") {
            let more = stream.read(&mut answer[read..])?;
            if more == 0 {
                return Ok(latencies);
            }
            read += more;
        }
        let counter = if answer.starts_with(b"HTTP/1.1 200") { accepted } else { refused };
        counter.fetch_add(1, Relaxed);
        latencies.push(begun.elapsed().as_micros() as u32);
    }
    Ok(latencies)
}
