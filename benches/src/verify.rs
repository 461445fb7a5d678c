//! `tamis verify`: how many chunks a second, and what a million of them need of memory.

use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use host_event::{Category, Doc, EventId, Meta, Outcome};
use host_group::{Group, GroupId, headline};
use host_pipeline::{Accepted, ChunkPlace, Closing, End, Settled, Sink};
use host_sink::store::{Create, Entry, ErrorKind, MemoryStore, OpenedStore, Store, StoreError};
use host_sink::{ParquetSink, Silent, SinkConfig, Table, VerifyConfig, verify_with};
use tokio::runtime::Runtime;

use crate::KEEP_PAGES;
use crate::measure::{Row, median, time};

/// 2026-11-22 18:00:00 UTC.
const BEGIN: i64 = 1_795_370_400_000;
const HOUR: i64 = 3_600_000;

const CHUNKS: u64 = 4000;
const PARTITIONS: u32 = 2;
const RECORDS: u64 = 20;
const ROUNDS: usize = 3;
const CHUNKS_PER_SECOND_MIN: f64 = 1000.0;

/// Chunks that are made up, and what the process may have taken at most when all are proven.
const GENERATED: [u64; 2] = [100_000, 1_000_000];
const GENERATED_MB_MAX: f64 = 128.0;

pub fn rows(tokio: &Runtime) -> anyhow::Result<Vec<Row>> {
    Ok(vec![rate(tokio)?, memory()?])
}

/// Real chunks, each with a ledger, events and groups, in a local folder.
fn rate(tokio: &Runtime) -> anyhow::Result<Row> {
    let dir = tempfile::tempdir()?;
    let files = small_chunks(dir.path())?;
    let store: Arc<dyn Store> =
        Arc::new(OpenedStore::open(&dir.path().display().to_string(), tokio.handle().clone())?);
    let cores = std::thread::available_parallelism()?.get();
    let config = VerifyConfig { jobs: 2 * cores, ..VerifyConfig::default() };
    let (mut rates, mut cpu) = (Vec::new(), 0.0);
    for _ in 0..ROUNDS {
        let mut report = None;
        let took = time(|| report = Some(verify_with(&store, &config, &mut Silent)));
        let report = report.context("it was called")??;
        ensure!(report.is_sound() && report.chunks == CHUNKS, "{}", report.render());
        ensure!(report.files == files, "{files} files were written and {} read", report.files);
        rates.push(CHUNKS as f64 / took.wall.as_secs_f64());
        cpu = took.cpu.as_secs_f64() * 1e6 / CHUNKS as f64;
    }
    let rate = median(rates);
    let detail = format!(
        "{CHUNKS} chunks of {RECORDS} records, {files} files, {cores} cores; {cpu:.0} µs of processor time per chunk"
    );
    Ok(Row::at_least("tamis verify, chunks a second, local folder", CHUNKS_PER_SECOND_MIN, rate, &detail))
}

/// Written in memory and copied: what is measured is reading, and an fsync for each file would take minutes.
fn small_chunks(dir: &Path) -> anyhow::Result<u64> {
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let sink = ParquetSink::with_store(Arc::clone(&memory), "memory", SinkConfig::new("bench"), 1)?;
    let mut files = 0;
    for at in 0..CHUNKS / u64::from(PARTITIONS) {
        for partition in 0..PARTITIONS {
            let queued_at = BEGIN + (at as i64 / 60) * HOUR;
            let place = ChunkPlace { partition, epoch: 0, start: at * RECORDS, queued_at };
            let mut chunk = sink.begin(place);
            chunk.turn(1);
            (0..RECORDS).for_each(|n| chunk.push(record(place, n)));
            chunk.close(Closing::at((at + 1) * RECORDS))?.run()?;
        }
        // Nothing of it stays in memory.
        let tables = ["outcomes", "events", "groups"].map(|table| memory.list(table));
        for entry in tables.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            let path = dir.join(&entry.path);
            fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
            fs::write(path, memory.read(&entry.path)?.context("it was listed")?)?;
            memory.delete(&entry.path)?;
            files += 1;
        }
    }
    fs::create_dir_all(dir.join("control"))?;
    Ok(files)
}

fn record(place: ChunkPlace, n: u64) -> Settled {
    let offset = place.start + n;
    let meta = Meta {
        project_id: 1 + n % 3,
        received_at: place.queued_at,
        event_id: EventId(u128::from(offset)),
        ..Meta::default()
    };
    let end = match n % 4 {
        0 => End::Dropped {
            category: Category::Error,
            outcome: Outcome::Filtered,
            reason: "web-crawlers".into(),
            stage: "inbound-filters".into(),
        },
        _ => {
            let json = r#"{"level":"error","timestamp":"2026-11-22T18:30:00Z","message":"disk is full","platform":"python"}"#;
            let doc = Doc::parse(json.to_owned()).expect("it is JSON");
            let fingerprint = format!("hash {n}");
            let group = Group {
                id: GroupId::of(meta.project_id, &fingerprint),
                fingerprints: vec![("app".to_owned(), fingerprint)],
                headline: headline(&doc),
            };
            End::Accepted(Box::new(Accepted {
                category: Category::Error,
                doc,
                client_sample_rate: 1.0,
                server_sample_rate: 1.0,
                group: Some(group),
            }))
        }
    };
    Settled { offset, queued_at: place.queued_at, generation: 1, meta, end }
}

/// In a process of its own each, since what counts is the most that it ever took.
fn memory() -> anyhow::Result<Row> {
    let mut peaks = Vec::new();
    for chunks in GENERATED {
        let out = Command::new(std::env::current_exe()?)
            .args(["verify-generated", &chunks.to_string()])
            .env_remove(KEEP_PAGES)
            .output()?;
        let text = String::from_utf8(out.stdout)?;
        ensure!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
        let mut numbers = text.split_whitespace().map(str::parse::<f64>);
        let (peak, seconds) = (numbers.next().context("peak")??, numbers.next().context("seconds")??);
        peaks.push((peak, seconds));
    }
    let [(few, _), (many, seconds)] = peaks[..] else { anyhow::bail!("two sizes are measured") };
    let each = (many - few) * 1e6 / (GENERATED[1] - GENERATED[0]) as f64;
    let detail = format!(
        "{few:.0} MB at {} chunks, so {each:.0} bytes for each; {:.0} chunks a second",
        GENERATED[0],
        GENERATED[1] as f64 / seconds
    );
    Ok(Row::at_most(
        "tamis verify, MB of memory at 1,000,000 generated chunks",
        GENERATED_MB_MAX,
        many,
        &detail,
    ))
}

/// `tamis-benches verify-generated CHUNKS`: prints the peak in MB and the seconds.
pub fn generated(args: &[String]) -> anyhow::Result<()> {
    let chunks: u64 = args.first().context("how many chunks")?.parse()?;
    let store: Arc<dyn Store> = Arc::new(Generated::new(chunks)?);
    let cores = std::thread::available_parallelism()?.get();
    let config = VerifyConfig { jobs: 2 * cores, ..VerifyConfig::default() };
    let mut report = None;
    let took = time(|| report = Some(verify_with(&store, &config, &mut Silent)));
    let report = report.context("it was called")??;
    ensure!(report.is_sound() && report.chunks == chunks, "{}", report.render());
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    println!("{:.1} {:.1}", kib / 1024.0, took.wall.as_secs_f64());
    Ok(())
}

/// Of partition 10 on, so that all have two digits.
const FIRST_PARTITION: u32 = 10;
const GENERATED_PARTITIONS: u64 = 16;
const CHUNKS_PER_HOUR: u64 = 8;
/// With as many digits as all that follow.
const FIRST_OFFSET: u64 = 1_000_000_000_000_000_000;

/// A store that makes up what it is asked for: chunks of one record each, 16 partitions, 128 chunks an hour. The bytes are those of a real
/// chunk with other numbers in the place of its own, which is quicker than writing one, and verify finds out if it is wrong.
struct Generated {
    per_partition: u64,
    /// Folders of hours, in order.
    tails: Vec<String>,
    /// A chunk for each partition.
    templates: Vec<Bytes>,
}

impl Generated {
    fn new(chunks: u64) -> anyhow::Result<Generated> {
        let per_partition = chunks / GENERATED_PARTITIONS;
        ensure!(per_partition * GENERATED_PARTITIONS == chunks, "a multiple of {GENERATED_PARTITIONS}");
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let sink = ParquetSink::with_store(Arc::clone(&memory), "memory", SinkConfig::new("bench"), 1)?;
        let mut tails = Vec::new();
        for hour in 0..per_partition.div_ceil(CHUNKS_PER_HOUR) {
            tails.push(tail_of(hour_at(hour)));
        }
        let mut templates = Vec::new();
        for partition in 0..GENERATED_PARTITIONS as u32 {
            // A later epoch may begin at any offset.
            let (partition_of, start) = (FIRST_PARTITION + partition, FIRST_OFFSET);
            let place = ChunkPlace { partition: partition_of, epoch: 1, start, queued_at: BEGIN };
            let mut chunk = sink.begin(place);
            chunk.turn(1);
            chunk.push(record(place, 0));
            chunk.close(Closing::at(FIRST_OFFSET + 1))?.run()?;
            let path = path_of(&tails[0], u64::from(partition), 0);
            templates.push(memory.read(&path)?.with_context(|| path)?);
        }
        Ok(Generated { per_partition, tails, templates })
    }

    fn entries(&self, hour: usize) -> impl Iterator<Item = Entry> + '_ {
        let first = hour as u64 * CHUNKS_PER_HOUR;
        let last = (first + CHUNKS_PER_HOUR).min(self.per_partition);
        (0..GENERATED_PARTITIONS).flat_map(move |partition| {
            (first..last).map(move |at| Entry {
                path: path_of(&self.tails[hour], partition, at),
                size: self.templates[partition as usize].len() as u64,
            })
        })
    }

    fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let name = path.rsplit('/').next()?.strip_suffix(".parquet")?;
        let (rest, start) = name.rsplit_once("-o")?;
        let partition: u32 = rest.rsplit_once("-p")?.1.parse().ok()?;
        let start: u64 = start.parse().ok()?;
        let queued_at = hour_at((start - FIRST_OFFSET) / CHUNKS_PER_HOUR);
        let mut bytes = self.templates.get((partition - FIRST_PARTITION) as usize)?.to_vec();
        let texts = |n: u64| n.to_string().into_bytes();
        // The end first: it is the start of the next chunk.
        for (old, new) in [
            (texts(FIRST_OFFSET + 1), texts(start + 1)),
            (texts(FIRST_OFFSET), texts(start)),
            (texts(BEGIN as u64), texts(queued_at as u64)),
            (FIRST_OFFSET.to_le_bytes().to_vec(), start.to_le_bytes().to_vec()),
        ] {
            replace(&mut bytes, &old, &new);
        }
        Some(bytes)
    }
}

fn hour_at(hour: u64) -> i64 {
    BEGIN + hour as i64 * HOUR
}

/// The folder of an hour, as Howard Hinnant counts days.
fn tail_of(at: i64) -> String {
    let (days, hour) = (at.div_euclid(24 * HOUR), at.rem_euclid(24 * HOUR) / HOUR);
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("dt={year:04}-{month:02}-{day:02}/hour={hour:02}")
}

fn path_of(tail: &str, partition: u64, at: u64) -> String {
    let (partition, start) = (u64::from(FIRST_PARTITION) + partition, FIRST_OFFSET + at);
    format!("{}/{tail}/bench-e00001-p{partition:05}-o{start:020}.parquet", Table::Outcomes)
}

/// All of them, by others that are as long.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len(), "nothing else may move");
    let mut at = 0;
    while let Some(found) = find(&bytes[at..], old) {
        at += found;
        bytes[at..at + new.len()].copy_from_slice(new);
        at += new.len();
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

impl Store for Generated {
    fn create(&self, path: &str, _: Bytes) -> Result<Create, StoreError> {
        Err(StoreError { path: path.to_owned(), what: "it is only read".into(), kind: ErrorKind::Permanent })
    }

    fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.bytes(path).map(Bytes::from))
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let missing =
            || StoreError { path: path.to_owned(), what: "there is none".into(), kind: ErrorKind::Permanent };
        Ok(Bytes::from(self.bytes(path).ok_or_else(missing)?).slice(range.start as usize..range.end as usize))
    }

    fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.bytes(path).map(|bytes| bytes.len() as u64))
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let tail = folder.strip_prefix("outcomes/").unwrap_or_default();
        let hour = self.tails.binary_search_by(|other| other.as_str().cmp(tail));
        Ok(hour.map(|hour| self.entries(hour).collect()).unwrap_or_default())
    }

    fn each(
        &self,
        folder: &str,
        after: Option<&str>,
        see: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let in_folder = format!("{folder}/");
        // Behind all files of a folder is its name with a `~`.
        let is_before = |tail: &String| {
            let last = format!("{}/{tail}/~", Table::Outcomes);
            last < in_folder || after.is_some_and(|after| last.as_str() < after)
        };
        let first = self.tails.partition_point(is_before);
        for hour in first..self.tails.len() {
            for entry in
                self.entries(hour).filter(|entry| after.is_none_or(|after| entry.path.as_str() > after))
            {
                if !entry.path.starts_with(&in_folder) || see(entry).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.create(path, Bytes::new()).map(|_| ())
    }
}
