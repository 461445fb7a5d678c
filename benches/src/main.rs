//! `make bench`: every bar of the design, as a ratio measured in one run, written to `benches/README.md`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark talks to whoever runs it")]

mod flat;
mod http;
mod kafka;
mod languages;
mod measure;
mod pipeline;
mod plugin_call;
mod scrub;
mod stages;
mod upload;
mod verify;

use std::sync::Arc;

use measure::Row;
use tamis_benches::corpus::Corpus;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: u64 = 42;
const CORPUS_BYTES: usize = 200 << 20;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, rest @ ..] = args.as_slice() {
        match mode.as_str() {
            "load" => return http::load(rest),
            "load-many" => return kafka::load(rest),
            "verify-generated" => return verify::generated(rest),
            _ => {}
        }
    }
    if std::env::var_os(KEEP_PAGES).is_none() {
        return Err(again_with_pages_kept().into());
    }
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut rows = Rows { wanted: args, rows: Vec::new() };
    with_records(&mut rows, &tokio)?;
    rows.measure("verify", || verify::rows(&tokio))?;
    rows.measure("upload", || upload::rows(&tokio))?;
    rows.measure("http", http::rows)?;
    rows.measure("ingest", kafka::ingest_rows)?;
    rows.measure("limits", kafka::limit_rows)?;
    write_table(&rows.rows)?;
    Ok(())
}

/// Those that need the corpus.
fn with_records(rows: &mut Rows, tokio: &Runtime) -> anyhow::Result<()> {
    let names = ["plugin", "languages", "scrub", "pipeline", "workers", "flat", "kafka", "work"];
    if !names.iter().any(|name| rows.wants(name)) {
        return Ok(());
    }
    let cache = tempfile::tempdir()?;
    let mut bytes = 0;
    let records: Vec<_> = Corpus::new(SEED)
        .records()
        .take_while(|record| {
            bytes += record.value().len();
            bytes < CORPUS_BYTES
        })
        .collect();
    println!("corpus: {} records, {:.0} MB", records.len(), pipeline::size_of(&records) as f64 / 1e6);
    rows.measure("plugin", || plugin_call::rows(&records, cache.path()))?;
    rows.measure("languages", || languages::rows(&records, cache.path(), tokio))?;
    rows.measure("scrub", || scrub::rows(&records, cache.path()))?;
    if ["pipeline", "workers", "flat", "kafka"].iter().any(|name| rows.wants(name)) {
        let plugins = Arc::new(stages::FourPlugins::load(cache.path())?);
        rows.measure("pipeline", || Ok(vec![pipeline::against_floor(&records, &plugins, tokio)]))?;
        rows.measure("workers", || Ok(vec![pipeline::two_workers(&records, &plugins, tokio)]))?;
        rows.measure("flat", || Ok(flat::rows(&plugins, tokio)))?;
        rows.measure("kafka", || kafka::path_rows(&records, &plugins, tokio))?;
    }
    rows.measure("work", || kafka::work_rows(&records, tokio))
}

/// What was measured of what was asked for.
struct Rows {
    /// Empty: all.
    wanted: Vec<String>,
    rows: Vec<Row>,
}

impl Rows {
    fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted == name)
    }

    fn measure(&mut self, name: &str, rows: impl FnOnce() -> anyhow::Result<Vec<Row>>) -> anyhow::Result<()> {
        if self.wants(name) {
            let more = rows()?;
            for row in &more {
                println!(
                    "{} {}: {} [{}]",
                    if row.holds { "ok  " } else { "MISS" },
                    row.what,
                    row.figure,
                    row.bar
                );
            }
            self.rows.extend(more);
        }
        Ok(())
    }
}

/// What allocators of one process give back to the system, and the other of two sides has to fetch again: 13 % of a worker's
/// samples were the clearing of pages, none of the floor's, since it ran on those that the worker had just had.
pub(crate) const KEEP_PAGES: &str = "MIMALLOC_PURGE_DELAY";

/// Comes back only if it fails. The allocator reads its settings before anything else runs.
fn again_with_pages_kept() -> std::io::Error {
    use std::os::unix::process::CommandExt;
    match std::env::current_exe() {
        Ok(program) => std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(KEEP_PAGES, "-1")
            .envs(kafka::BROKER_SETTINGS)
            .exec(),
        Err(e) => e,
    }
}

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const HEAD: &str = "# Benchmarks\n\nWritten by `make bench`; `tamis-benches NAME...` (plugin, languages, scrub, pipeline, workers, flat, kafka, work, verify, upload, http, ingest, limits) measures some and replaces their rows. \
    Medians of several rounds in turn; ratios within one run, since machines are noisy.\n\n| what | bar | measured | |\n|---|---|---|---|\n";

/// Rows that were not measured this time stay.
fn write_table(rows: &[Row]) -> anyhow::Result<()> {
    let before = std::fs::read_to_string(TABLE).unwrap_or_default();
    let named = |line: &str| line.split('|').nth(1).map(|what| what.trim().to_owned());
    let mut lines: Vec<(String, String)> = before
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .filter_map(|line| Some((named(line)?, line.to_owned())))
        .collect();
    for row in rows {
        let verdict = if row.holds { "holds" } else { "missed" };
        let line = format!("| {} | {} | {} | {verdict} |", row.what, row.bar, row.figure);
        match lines.iter_mut().find(|(what, _)| *what == row.what) {
            Some((_, old)) => *old = line,
            None => lines.push((row.what.clone(), line)),
        }
    }
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    std::fs::write(TABLE, format!("{HEAD}{}\n", lines.join("\n")))?;
    Ok(())
}
