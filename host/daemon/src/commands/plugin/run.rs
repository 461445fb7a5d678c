//! `tamis plugin run`.

use std::process::ExitCode;

use host_kit::{DebugInfo, Lines, Workbench, read_events, run_events};

use super::EXIT_FOUND_SOMETHING;
use super::subject::{cache, config, show, subject};
use crate::cli::RunOne;
use crate::report;

pub fn run(args: &RunOne) -> anyhow::Result<ExitCode> {
    let config = config(args.config.as_deref(), &args.plugin)?;
    let subject = subject(&args.plugin, DebugInfo::Kept)?;
    let events = read_events(&args.events)?;
    // Compiling a large interpreter takes seconds.
    show("compiling and running");
    let found = run_events(&subject, &Workbench::new(&cache(), Lines::Found)?, &config, &events);
    show("");
    let found = found?;
    match args.json {
        true => report::print(&(serde_json::to_string_pretty(&found)? + "\n"))?,
        false => report::print(&found.to_string())?,
    }
    Ok(if found.is_fine() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND_SOMETHING) })
}
