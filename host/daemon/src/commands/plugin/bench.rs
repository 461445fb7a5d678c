//! `tamis plugin bench`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use host_kit::{BenchPlan, DebugInfo, bench as measure, read_events};

use super::subject::{config, subject};
use crate::cli::Bench;
use crate::report;

pub fn bench(args: &Bench) -> anyhow::Result<ExitCode> {
    let config = config(&args.config)?;
    let subject = subject(&args.plugin, DebugInfo::Dropped)?;
    let events = args.events.as_deref().map(read_events).transpose()?;
    let found = measure(&subject, &BenchPlan { config, events }, &mut show)?;
    show("");
    match args.json {
        true => report::print(&(serde_json::to_string_pretty(&found)? + "\n"))?,
        false => report::print(&found.to_string())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is being measured, on a line that the next one overwrites, if somebody is looking.
fn show(what: &str) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        // There is nowhere left to say that stderr is gone.
        let _ = write!(err, "\r\x1b[K{what}");
        let _ = err.flush();
    }
}
