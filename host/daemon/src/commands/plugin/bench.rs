//! `tamis plugin bench`.

use std::process::ExitCode;

use host_kit::{BenchPlan, DebugInfo, bench as measure, read_events};

use super::subject::{config, show, subject};
use crate::cli::Bench;
use crate::report;

pub fn bench(args: &Bench) -> anyhow::Result<ExitCode> {
    let config = config(args.config.as_deref(), &args.plugin)?;
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
