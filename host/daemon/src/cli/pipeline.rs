//! `tamis pipeline …` and `tamis replay`, as `--help` shows them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub const EXAMPLES: &str = "\
Examples:
  tamis pipeline show
  tamis pipeline diff pipeline.toml
  tamis pipeline publish pipeline.toml --note \"drop the noisy dependency\"
  tamis pipeline shadow candidate.toml --share 0.2 --cpu 0.1
  tamis pipeline canary candidate.toml --share 0.05 --after 10m --max-disagreement 0.01 --max-traps 0
  tamis pipeline report
  tamis pipeline rollback
  tamis pipeline history --store tamis-data/store";

#[derive(Debug, Subcommand)]
pub enum Pipeline {
    /// Show what decides, how its stages fare, and whether a trial is under way
    #[command(after_help = "Example:\n  tamis pipeline show --json")]
    Show {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        json: Json,
    },
    /// Say in words what a file would change; what may be seen or edited beyond today begins with WIDER
    #[command(
        after_help = "Example:\n  tamis pipeline diff pipeline.toml\n\nExit code 1 if something would change."
    )]
    Diff {
        /// The stages, a pipeline.toml
        file: PathBuf,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        json: Json,
    },
    /// Make a file the newest generation, after it was compiled, linked, initialised and passed its golden events
    #[command(after_help = "Example:\n  tamis pipeline publish pipeline.toml --note \"why\"\n\n\
            If somebody else published since you looked, nothing happens and you are told what changed; --expect N says which \
            generation you looked at (default: the newest at this moment). Exit code 64 if the pipeline is wrong.")]
    Publish(Publish),
    /// Ask a candidate beside what decides, and compare: nothing that it says counts
    #[command(
        after_help = "Example:\n  tamis pipeline shadow candidate.toml --share 0.2 --cpu 0.1\n  tamis pipeline report"
    )]
    Shadow {
        #[command(flatten)]
        publish: Publish,
        /// The share of batches that it is asked about, from 0 to 1
        #[arg(long, default_value_t = 0.1)]
        share: f64,
        #[command(flatten)]
        trial: Trial,
    },
    /// Let a candidate decide about a share of traces, whole ones only
    #[command(
        after_help = "Example:\n  tamis pipeline canary candidate.toml --share 0.05 --after 10m --max-disagreement 0.01 --max-traps 0"
    )]
    Canary {
        #[command(flatten)]
        publish: Publish,
        /// The share of traces that it decides about, from 0 to 1
        #[arg(long, default_value_t = 0.05)]
        share: f64,
        #[command(flatten)]
        trial: Trial,
    },
    /// Show what the trial under way has found
    #[command(after_help = "Example:\n  tamis pipeline report --json")]
    Report {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        json: Json,
    },
    /// End the trial with the candidate in charge
    #[command(after_help = "Example:\n  tamis pipeline promote --note \"agreed\"")]
    Promote(Note),
    /// End the trial with its base in charge
    #[command(after_help = "Example:\n  tamis pipeline reject --note \"splits too many groups\"")]
    Reject(Note),
    /// Go back to what decided before, or to generation N
    #[command(after_help = "Example:\n  tamis pipeline rollback\n  tamis pipeline rollback 12")]
    Rollback {
        /// The generation whose stages are to decide again [default: the last one that decided otherwise]
        generation: Option<u64>,
        #[command(flatten)]
        note: Note,
    },
    /// List generations, the newest first: when, why, and what changed
    #[command(after_help = "Example:\n  tamis pipeline history --most 5")]
    History {
        /// How many
        #[arg(long, default_value_t = 20)]
        most: usize,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        json: Json,
    },
}

/// Whom to ask.
#[derive(Debug, Args)]
pub struct At {
    /// The admin address of a running tamis [default: $TAMIS_ADMIN, else http://127.0.0.1:9181]
    #[arg(long, value_name = "URL")]
    pub admin: Option<String>,
    /// Its admin.token [default: $TAMIS_ADMIN_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// The store, instead of a running tamis: a folder or a URL
    #[arg(long, value_name = "URL", conflicts_with = "admin")]
    pub store: Option<String>,
}

#[derive(Debug, Args)]
pub struct Json {
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Publish {
    /// The stages, a pipeline.toml
    pub file: PathBuf,
    /// Why, for the history
    #[arg(long, default_value = "", hide_default_value = true)]
    pub note: String,
    /// The newest generation as you know it
    #[arg(long, value_name = "N")]
    pub expect: Option<u64>,
    #[command(flatten)]
    pub at: At,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Debug, Args)]
pub struct Note {
    /// Why, for the history
    #[arg(long, default_value = "", hide_default_value = true)]
    pub note: String,
    #[command(flatten)]
    pub at: At,
    #[command(flatten)]
    pub json: Json,
}

/// How a trial is made, and when it ends by itself.
#[derive(Debug, Args)]
pub struct Trial {
    /// The share of one processor that the comparison may take, from 0 to 1
    #[arg(long, default_value_t = 0.1)]
    pub cpu: f64,
    /// Reject it when it disagrees about more than this share of events
    #[arg(long, value_name = "SHARE")]
    pub max_disagreement: Option<f64>,
    /// Reject it when its stages fail on more events than this
    #[arg(long, value_name = "EVENTS")]
    pub max_traps: Option<u64>,
    /// Reject it when it costs more than so many times what the base costs
    #[arg(long, value_name = "TIMES")]
    pub max_cost_ratio: Option<f64>,
    /// Promote it when it broke no limit for so long, for example 10m [default: never]
    #[arg(long, value_name = "TIME")]
    pub after: Option<String>,
    /// Judge nothing but failures before so many events were compared
    #[arg(long, value_name = "EVENTS", default_value_t = 1000)]
    pub min_events: u64,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// The store: a folder or a URL
    #[arg(long, value_name = "URL")]
    pub store: String,
    /// Received at or after: 2026-11-20 or 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Received before
    #[arg(long, value_name = "TIME")]
    pub to: String,
    /// The candidate's stages
    #[arg(long, value_name = "FILE")]
    pub pipeline: PathBuf,
    /// The generation to compare with [default: the one that decides now]
    #[arg(long, value_name = "N")]
    pub base: Option<u64>,
    /// Only this project; may be given several times
    #[arg(long, value_name = "ID")]
    pub project: Vec<u64>,
    /// End after so many events
    #[arg(long, value_name = "EVENTS")]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub json: Json,
}
