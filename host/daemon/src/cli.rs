//! The command line, as `--help` shows it.

mod pipeline;
mod plugin;
pub mod quarantine;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use pipeline::{At, Json, Pipeline, Publish, Replay, Trial};
pub use plugin::*;
pub use quarantine::Quarantine;

const EXAMPLES: &str = "\
Examples:
  tamis run --config tamis.toml --pipeline pipeline.toml
  tamis validate --config tamis.toml --pipeline pipeline.toml
  tamis verify tamis-data/store
  tamis plugin build plugins/inbound-filters --out target/plugins

Exit codes: 0 fine, 1 found something wrong, 2 wrong usage, 64 wrong configuration.";

const RUN: &str = "\
Example:
  tamis run --config tamis.toml --pipeline pipeline.toml --log-format json

The smallest tamis.toml; everything else has defaults:
  [[project]]
  id = 1
  [[project.key]]
  public_key = \"0123456789abcdef0123456789abcdef\"

A pipeline.toml with one stage; an empty one keeps everything as it is:
  [[stage]]
  name = \"inbound-filters\"
  kind = \"filter\"
  component = \"target/plugins/inbound-filters.wasm\"

Then point the DSN of an SDK to it: http://0123456789abcdef0123456789abcdef@127.0.0.1:9180/1";

/// Sieves the events of Sentry's SDKs through WebAssembly plugins into Parquet.
#[derive(Debug, Parser)]
#[command(name = "tamis", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// How log lines on stderr look
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Which log lines are shown, for example `info` or `host_plugin=debug,warn` [default: info; of plugin commands: warn; of quarantine: error]
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
}

impl Cli {
    pub fn log_filter(&self) -> &str {
        // What an author asked about is printed; how the host got there is not what was asked.
        let default = match self.command {
            Command::Plugin(_) => "warn",
            // What stays is printed, and why.
            Command::Quarantine(_) => "error",
            _ => "info",
        };
        self.log.as_deref().unwrap_or(default)
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take in events, run the pipeline, write Parquet
    #[command(
        long_about = "Takes in events over HTTP, works them off and writes Parquet, all in one process.\n\n\
            When everything is up, one line on stdout says where: `ready ingest=http://… admin=http://…`.\n\
            SIGTERM or Ctrl-C drains: no more requests, the queue is worked off, chunks are closed, at most 10 s.",
        after_help = RUN
    )]
    Run(Run),
    /// Check both files and every component, and show all problems at once
    #[command(
        long_about = "Checks both files, loads every component and hands it its configuration, as `run` would, and shows all \
            problems at once: file, line, what is wrong, what to write instead. Nothing is started or published. Exit \
            code 64 if there is a problem.",
        after_help = "Example:\n  tamis validate --config tamis.toml --pipeline pipeline.toml"
    )]
    Validate(Files),
    /// Prove from the store that nothing was lost and nothing doubled
    #[command(
        long_about = "Reads the store: the chain of chunks of every partition has no gap, overlap or fork; every offset \
            has exactly one outcome; tables have the rows that their ledger says. With --config also asks the queue: every \
            chain goes as far as is committed, so that a last chunk that is gone shows, too. Prints what became of everything \
            that was received, and of what is wrong the offset and the files to look at. Exit code 1 on any breach, and if \
            there is no store. The store may be in use meanwhile.",
        after_help = "Examples:\n  tamis verify tamis-data/store --json\n  \
                      tamis verify --config tamis.toml --since 7d"
    )]
    Verify(Verify),
    /// Explain what `verify` finds, and mend what can be mended
    #[command(
        long_about = "Runs `verify`, says of each breach what it means, whether it can be mended and how, and asks before it does \
            anything. Mended are rounds of release from quarantine that were left unfinished, and table files that \
            are missing behind a ledger, from the queue, as long as it has the offsets. Nothing is ever overwritten or \
            deleted; what is damaged or too much is explained, with what to do by hand. Exit code 1 if a breach is left.",
        after_help = "Examples:\n  tamis repair --config tamis.toml\n  tamis repair tamis-data/store --since 7d\n  \
                      tamis repair --config tamis.toml --yes"
    )]
    Repair(Repair),
    /// Show, change, try and take back what decides about events, while it runs
    #[command(
        subcommand,
        long_about = "The pipeline of a running tamis, or with --store that of a store. Every change is a new, numbered generation in the \
            store, which no two operators can both make; workers turn to it between two batches. A rollback is one as well, \
            so the history tells everything.",
        after_help = pipeline::EXAMPLES
    )]
    Pipeline(Pipeline),
    /// Ask what a pipeline would have done with stored events, and what it would have cost
    #[command(
        long_about = "Runs stored events (their payloads, from Parquet) through a candidate and through what decides now, and compares: \
            the report of a shadow, over the past. Changes nothing. Events that were dropped have no payload and are not \
            asked about; payloads are as the scrubbers of their time left them.",
        after_help = "Example:\n  tamis replay --store tamis-data/store --from 2026-11-20 --to 2026-11-21T12:00:00Z --pipeline candidate.toml"
    )]
    Replay(Replay),
    /// List, show and release what a fail-closed stage could not deal with
    #[command(subcommand, after_help = quarantine::EXAMPLES)]
    Quarantine(Quarantine),
    /// Build and look at plugins
    #[command(subcommand, after_help = plugin::EXAMPLES)]
    Plugin(Plugin),
    /// Compiles one component for `run`, in a process of its own
    #[command(hide = true)]
    CompileComponent,
}

#[derive(Debug, Args)]
pub struct Files {
    /// Addresses, queue, store, projects: what belongs to this machine
    #[arg(long, default_value = "tamis.toml", value_name = "FILE")]
    pub config: PathBuf,
    /// The stages: what belongs to the stream
    #[arg(long, default_value = "pipeline.toml", value_name = "FILE")]
    pub pipeline: PathBuf,
}

#[derive(Debug, Args)]
pub struct Run {
    /// Addresses, queue, store, projects: what belongs to this machine
    #[arg(long, default_value = "tamis.toml", value_name = "FILE")]
    pub config: PathBuf,
    /// The stages. Published as a generation if it is news; the store's newest one runs if it is not [default: pipeline.toml if there is one]
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// What this process does: both, or with Kafka only one of them
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub role: Role,
    /// With Kafka: begin a new epoch of the chain where it can not go on (a topic made anew, records lost), and where somebody set the group's
    /// offset. Events that are processed anew have a row per epoch
    #[arg(long)]
    pub allow_reprocess: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Takes events in and works them off
    All,
    /// Takes events in over HTTP and appends them to Kafka
    Ingest,
    /// Works Kafka's partitions off, as many as its group gives it
    Work,
}

impl Role {
    pub fn ingests(self) -> bool {
        self != Role::Work
    }

    pub fn works(self) -> bool {
        self != Role::Ingest
    }
}

/// Which store.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct StoreAt {
    /// The store: a folder, or an address such as s3://BUCKET/PREFIX?region=eu-central-1
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// The tamis.toml that names the store
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How the store is read.
#[derive(Debug, Args)]
pub struct Reading {
    /// Only what was queued since: a time such as 2026-11-22T19:00:00Z, a day, or an age such as 12h, 7d. Folders of hours before
    /// are not read, but for the chunks that come before the first ones
    #[arg(long, value_name = "TIME", value_parser = quarantine::since)]
    pub since: Option<quarantine::Since>,
    /// Chunks looked at in parallel [default: 2 for each core, 16 where the store is not on this machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    pub at: StoreAt,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(Debug, Args)]
pub struct Repair {
    #[command(flatten)]
    pub at: StoreAt,
    #[command(flatten)]
    pub reading: Reading,
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
}
