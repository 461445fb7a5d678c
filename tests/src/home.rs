//! A folder with both configuration files, the queue, the store and the log: what survives a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::host::Host;
use crate::tools;

pub const PROJECT_ID: u64 = 42;
pub const PUBLIC_KEY: &str = "0123456789abcdef0123456789abcdef";

/// Which stages run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipeline {
    /// None: what was sent must come out as it was.
    Empty,
    /// `sentry-grouping` alone, which changes nothing.
    Grouping,
    /// All four first-party plugins.
    Full,
}

/// What a test wants to be different.
#[derive(Debug, Clone)]
pub struct Options {
    pub pipeline: Pipeline,
    pub partitions: u32,
    /// How old a chunk gets, as `tamis.toml` has it.
    pub chunk_age_max: &'static str,
    pub queue_disk_bytes_max: &'static str,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            pipeline: Pipeline::Empty,
            partitions: 2,
            chunk_age_max: "500ms",
            queue_disk_bytes_max: "1GiB",
        }
    }
}

#[derive(Debug)]
pub struct Home {
    dir: TempDir,
}

impl Home {
    pub fn new(options: &Options) -> Result<Home> {
        let dir = tempfile::Builder::new().prefix("tamis-test-").tempdir()?;
        // Compiled components may be shared between the tests: they are found by their digest.
        let cache = tools::target()?.join("test-cache");
        fs::write(dir.path().join("tamis.toml"), host_config(options, &cache))?;
        fs::write(dir.path().join("pipeline.toml"), pipeline_config(options.pipeline)?)?;
        Ok(Home { dir })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    pub fn start(&self) -> Result<Host> {
        Host::start(self, &[])
    }

    /// A command of the binary under test, with this folder as its own.
    pub fn tamis(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(tools::tamis()?);
        command.current_dir(self.path()).args(arguments);
        Ok(command)
    }

    /// The report of `tamis verify --json`; an error if it finds a breach.
    pub fn verify(&self) -> Result<Value> {
        let store = self.store();
        let printed = tools::run(&mut self.tamis(&["verify", &store.display().to_string(), "--json"])?)?;
        serde_json::from_str(&printed).with_context(|| format!("the report of verify: {printed}"))
    }

    /// Asks DuckDB; `$store` stands for the folder of the tables.
    pub fn query(&self, sql: &str) -> Result<Vec<Value>> {
        tools::query(&self.store(), sql)
    }

    /// The first value of the first row.
    pub fn number(&self, sql: &str) -> Result<i64> {
        let rows = self.query(sql)?;
        let first = rows.first().and_then(Value::as_object).and_then(|row| row.values().next());
        first.and_then(Value::as_i64).with_context(|| format!("{sql} gave {rows:?} and no number"))
    }

    /// Whether the store has any file of a table. A table without rows has no folder, which DuckDB takes for a mistake.
    pub fn has_table(&self, table: &str) -> bool {
        self.store().join(table).is_dir()
    }

    /// The end of the log of all processes that ran here.
    pub fn log_tail(&self) -> String {
        tools::tail(&self.path().join("tamis.log"))
    }

    /// Runs `check`; if it fails, keeps the folder for whoever looks into it, and says where it is.
    pub fn check(self, check: impl FnOnce(&Home) -> Result<()>) -> Result<()> {
        let Err(error) = check(&self) else { return Ok(()) };
        let tail = self.log_tail();
        bail!("{error:?}\nkept in {}\nend of the log:\n{tail}", self.dir.keep().display())
    }
}

fn host_config(options: &Options, cache: &Path) -> String {
    format!(
        r#"[http]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[queue]
dir = "queue"
partitions = {partitions}
disk_bytes_max = "{disk}"
[store]
url = "store"
[cache]
dir = "{cache}"
[chunk]
age_max = "{age}"
[[project]]
id = {PROJECT_ID}
name = "tests"
[[project.key]]
public_key = "{PUBLIC_KEY}"
environment = "production"
"#,
        partitions = options.partitions,
        disk = options.queue_disk_bytes_max,
        cache = cache.display(),
        age = options.chunk_age_max,
    )
}

pub(crate) fn pipeline_config(pipeline: Pipeline) -> Result<String> {
    let stage = |name: &str, kind: &str, categories: &str, config: &str| -> Result<String> {
        let component = tools::component(name)?;
        Ok(format!(
            "[[stage]]\nname = \"{name}\"\nkind = \"{kind}\"\ncomponent = \"{}\"\ncategories = [{categories}]\n[stage.config]\n{config}\n",
            component.display()
        ))
    };
    let grouping = || stage("sentry-grouping", "fingerprinter", "\"error\"", "");
    Ok(match pipeline {
        Pipeline::Empty => String::new(),
        Pipeline::Grouping => grouping()?,
        Pipeline::Full => [
            stage("inbound-filters", "filter", "\"error\", \"transaction\"", "web_crawlers = true")?,
            stage("dynamic-sampler", "sampler", "\"transaction\", \"span\"", SAMPLER_CONFIG)?,
            stage("pii-scrubber", "scrubber", "\"error\", \"transaction\", \"span\", \"log_item\"", "")?,
            grouping()?,
        ]
        .concat(),
    })
}

/// A tenth of the traces.
const SAMPLER_CONFIG: &str = "rates = { '*' = 0.1 }";
