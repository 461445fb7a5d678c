//! `tamis quarantine …`, as `--help` shows it.

use clap::{Args, Subcommand};
use host_event::{EventId, Millis};

use super::Json;

pub const EXAMPLES: &str = "\
Examples:
  tamis quarantine list tamis-data/store --since 2h
  tamis quarantine show tamis.toml 4c79f60c11214eb38604f4ae0781bfb2
  tamis quarantine release tamis-data/store --through 13 --dry-run
  tamis quarantine release tamis-data/store --through 13

STORE is a folder, a URL such as file:///var/lib/tamis/store, or the tamis.toml that names one.";

#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// List what a fail-closed stage could not deal with: totals first, then the newest items
    #[command(
        after_help = "Example:\n  tamis quarantine list tamis-data/store --stage pii-scrubber --since 2026-11-22 --limit 20"
    )]
    List(List),
    /// Show everything that is known of an item, with its payload as the stage saw it: unscrubbed
    #[command(
        after_help = "Example:\n  tamis quarantine show tamis-data/store 4c79f60c11214eb38604f4ae0781bfb2\n\n\
                      Exit code 1 if there is none of that id."
    )]
    Show(Show),
    /// Run items through the stages of another generation, and write those that pass as ordinary rows
    #[command(
        long_about = "Runs items through the stages of a generation, usually one with a mended plugin, and writes those that pass as \
            ordinary rows, each of them once: it may be interrupted, repeated, and done by several operators at the same time. \
            Scrubbers that had done their work before the failing stage are left out if they are the same; all others must \
            succeed, whatever their policy is. What fails again stays.",
        after_help = "Examples:\n  tamis quarantine release tamis-data/store --through 13 --dry-run\n  \
                      tamis quarantine release tamis.toml --through 13 --stage pii-scrubber\n\n\
                      Exit code 1 if something that was asked for stays in quarantine."
    )]
    Release(Release),
}

#[derive(Debug, Args)]
pub struct Where {
    /// The store: a folder, a URL, or the tamis.toml that names it
    #[arg(value_name = "STORE")]
    pub store: String,
}

#[derive(Debug, Args)]
pub struct Which {
    /// Only what this stage failed on (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub stage: Vec<String>,
    /// Only for this reason, such as trap or deadline (may be repeated)
    #[arg(long, value_name = "REASON")]
    pub reason: Vec<String>,
    /// Only of this project (may be repeated)
    #[arg(long, value_name = "ID")]
    pub project: Vec<u64>,
    /// Only what was received since: a time such as 2026-11-22T19:00:00Z, a day, or an age such as 90m, 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Since>,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    pub at: Where,
    #[command(flatten)]
    pub which: Which,
    /// So many items; 0 for all
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// List the items that were released, too
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    pub at: Where,
    /// The event's id, 32 hexadecimal digits
    #[arg(value_name = "EVENT_ID", value_parser = event_id)]
    pub event: EventId,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Debug, Args)]
pub struct Release {
    #[command(flatten)]
    pub at: Where,
    /// The generation whose stages the items go through
    #[arg(long, value_name = "GENERATION")]
    pub through: u64,
    #[command(flatten)]
    pub which: Which,
    /// Only this event (may be repeated)
    #[arg(long, value_name = "EVENT_ID", value_parser = event_id)]
    pub event: Vec<EventId>,
    /// Say what would happen, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub json: Json,
}

/// A time, or how long ago that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    At(Millis),
    Ago(Millis),
}

impl Since {
    pub fn from(self, now: Millis) -> Millis {
        match self {
            Since::At(at) => at,
            Since::Ago(age) => now.saturating_sub(age),
        }
    }
}

pub fn since(text: &str) -> Result<Since, String> {
    if let Some(age) = age(text) {
        return Ok(Since::Ago(age));
    }
    let day = || text.parse::<jiff::civil::Date>().ok().filter(|_| !text.contains('T'));
    let of_day = || jiff::tz::Offset::UTC.to_timestamp(day()?.at(0, 0, 0, 0)).ok();
    let at = text.parse::<jiff::Timestamp>().ok().or_else(of_day);
    let at = at.ok_or("write a time such as 2026-11-22T19:00:00Z, a day, or an age such as 90m, 12h, 7d")?;
    Ok(Since::At(at.as_millisecond()))
}

fn age(text: &str) -> Option<Millis> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u32>().ok().map(|number| Millis::from(number) * unit)
}

fn event_id(text: &str) -> Result<EventId, String> {
    EventId::parse(text).ok_or_else(|| "an event's id has 32 hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ages() {
        assert_eq!(since("90m"), Ok(Since::Ago(5_400_000)));
        assert_eq!(since("7d"), Ok(Since::Ago(604_800_000)));
        assert_eq!(since("2026-11-22"), Ok(Since::At(1_795_305_600_000)));
        assert_eq!(since("2026-11-22T19:00:00Z"), Ok(Since::At(1_795_374_000_000)));
        assert_eq!(since("2026-11-22T20:00:00+01:00"), Ok(Since::At(1_795_374_000_000)));
        for wrong in ["", "m", "yesterday", "-5h", "1.5h", "5w", "ü"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Since::Ago(5).from(7), 2);
    }
}
