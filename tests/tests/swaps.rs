//! Generations are swapped 200 times under load, by the commands that operators use. No event is lost or doubled, none is decided by a mix of two
//! generations (two stages leave their mark in every row, and the generation's number says which marks those must be), no batch is late
//! because of a swap, and each swap is active in every worker within a second.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tamis_tests::{Home, Host, Load, Options, Pipeline, Refused, account, tools};

const SWAPS: usize = 200;
const CONNECTIONS: usize = 4;
/// From the command to the last worker.
const SWAP_TIME_MAX: Duration = Duration::from_secs(1);
/// A batch that takes longer is late.
const LATE_SECONDS: f64 = 0.05;
/// Batches that may be late in a debug build on a machine with other things to do, as a share. `make bench` holds the bar itself.
const LATE_SHARE_MAX: f64 = 0.002;

#[test]
fn two_hundred_swaps_under_load_leave_no_trace() -> Result<()> {
    let options = Options { pipeline: Pipeline::Empty, chunk_age_max: "5s", ..Options::default() };
    Home::new(&options)?.check(swap_under_load)
}

fn swap_under_load(home: &Home) -> Result<()> {
    for mark in ["A", "B"] {
        fs::write(home.path().join(format!("{mark}.toml")), pipeline(mark)?)?;
    }
    let host = home.start()?;
    let admin = format!("http://{}", host.admin());
    let serial = Arc::new(AtomicU64::new(0));
    let load = Load::start(host.ingest(), CONNECTIONS, &serial)?;
    let mut marks = BTreeMap::from([(1, String::new())]);
    let mut times = Vec::new();
    for swap in 0..SWAPS {
        let mark = if swap % 2 == 0 { "A" } else { "B" };
        let file = format!("{mark}.toml");
        // The first of each compiles; from then on, there is always something to go back to.
        let arguments: Vec<&str> = match swap {
            0 | 1 => vec!["publish", &file],
            _ => vec!["rollback"],
        };
        let begun = Instant::now();
        let said =
            tools::run(home.tamis(&["pipeline"])?.args(arguments).args(["--json", "--admin", &admin]))?;
        let generation = serde_json::from_str::<Value>(&said)?["generation"].as_u64().context("a number")?;
        until_active(&host, generation)?;
        if swap > 1 {
            times.push(begun.elapsed());
        }
        marks.insert(generation, mark.to_owned());
    }
    let (late, batches) = late_batches(&host)?;
    let sent = load.stop()?;
    let status = host.terminate()?;
    ensure!(status.code() == Some(0), "the drain ended with {status}");
    times.sort();
    let slowest = *times.last().context("swaps")?;
    eprintln!(
        "{SWAPS} swaps, {} events; to all workers: median {:?}, slowest {slowest:?}; {late} of {batches} batches took more than 50 ms",
        sent.kept.len(),
        times[times.len() / 2]
    );
    ensure!(slowest <= SWAP_TIME_MAX, "a swap took {slowest:?}");
    ensure!(late as f64 <= batches as f64 * LATE_SHARE_MAX, "{late} of {batches} batches were late");
    home.verify()?;
    account(home, &sent, Refused::Absent)?;
    every_row_is_of_one_generation(home, &marks)
}

/// A scrubber and a fingerprinter that both leave their mark.
fn pipeline(mark: &str) -> Result<String> {
    let component = |name: &str| Ok::<_, anyhow::Error>(tools::component(name)?.display().to_string());
    Ok(format!(
        r#"[[stage]]
name = "scrub"
kind = "scrubber"
component = "{scrubber}"
categories = ["error"]
[stage.config]
defaults = false
applications = {{ 'exception.values.*.value' = ["mark"] }}
[stage.config.rules.mark]
type = "pattern"
pattern = "number"
redaction = {{ method = "replace", text = "{mark}" }}
[[stage]]
name = "group"
kind = "fingerprinter"
component = "{grouping}"
[stage.config]
fingerprinting = "error.type:ValueError -> {mark}"
"#,
        scrubber = component("pii-scrubber")?,
        grouping = component("sentry-grouping")?,
    ))
}

fn until_active(host: &Host, generation: u64) -> Result<()> {
    let begun = Instant::now();
    loop {
        let (_, answer) = host.admin_get("/pipeline")?;
        let body = answer.split("\r\n\r\n").nth(1).context("a body")?;
        let shown: Value = serde_json::from_str(body)?;
        let workers = shown["workers"].as_array().context("workers")?;
        if workers.iter().all(|worker| worker.as_u64() == Some(generation)) {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < SWAP_TIME_MAX * 5,
            "generation {generation} is not active everywhere: {workers:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Batches that took too long, and all of them, since the start.
fn late_batches(host: &Host) -> Result<(u64, u64)> {
    let (_, text) = host.admin_get("/metrics")?;
    let (mut all, mut in_time) = (0, 0);
    for line in text.lines().filter(|line| line.starts_with("tamis_worker_batch_seconds_bucket")) {
        let (labels, count) = line.rsplit_once(' ').context("a value")?;
        let count: u64 = count.parse()?;
        if labels.contains("le=\"+Inf\"") {
            all += count;
        } else if labels.contains(&format!("le=\"{LATE_SECONDS}\"")) {
            in_time += count;
        }
    }
    ensure!(all > 0, "there is no histogram in\n{text}");
    Ok((all - in_time, all))
}

fn every_row_is_of_one_generation(home: &Home, marks: &BTreeMap<u64, String>) -> Result<()> {
    let rows = home.query(
        "SELECT generation, regexp_extract(value, '^[^ ]*') AS mark, group_id, count(*)::INT AS n
         FROM read_parquet('$store/events/**/*.parquet', union_by_name=true) GROUP BY 1, 2, 3",
    )?;
    let mut groups = BTreeMap::new();
    let mut seen = Vec::new();
    for row in &rows {
        let generation = row["generation"].as_u64().context("a generation")?;
        let mark =
            marks.get(&generation).with_context(|| format!("generation {generation} was never published"))?;
        // The first one has no stages: what was sent is what is there, and groups are as many as titles.
        if mark.is_empty() {
            ensure!(row["mark"] == "number", "a mark without a stage: {row}");
            continue;
        }
        ensure!(row["mark"] == mark.as_str(), "scrubbed by another generation: {row}");
        let group = groups.entry(mark.clone()).or_insert_with(|| row["group_id"].clone());
        ensure!(row["group_id"] == *group, "grouped by another generation than scrubbed it: {row}");
        seen.push(generation);
    }
    ensure!(seen.len() > SWAPS / 2, "too few generations have rows to say anything: {}", seen.len());
    ensure!(groups.len() == 2 && groups["A"] != groups["B"], "both marks make groups: {groups:?}");
    Ok(())
}
