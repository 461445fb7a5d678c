//! `tamis plugin test`.

use std::process::ExitCode;

use host_kit::{DebugInfo, GoldenTests, Lines, Workbench, golden, tests_of};

use super::EXIT_FOUND_SOMETHING;
use super::subject::{cache, show, subject};
use crate::cli::Test;
use crate::report;

pub fn test(args: &Test) -> anyhow::Result<ExitCode> {
    let subject = subject(&args.plugin, DebugInfo::Kept)?;
    let tests = GoldenTests {
        folder: args.tests.clone().unwrap_or_else(|| tests_of(&args.plugin)),
        config: None,
        filter: args.filter.clone(),
        update: args.update,
    };
    // Compiling a large interpreter takes seconds.
    show("compiling and running");
    let found = golden(&subject, &Workbench::new(&cache(), Lines::Found)?, &tests);
    show("");
    let found = found?;
    match args.json {
        true => report::print(&(serde_json::to_string_pretty(&found)? + "\n"))?,
        false => report::print(&found.to_string())?,
    }
    Ok(if found.is_fine() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND_SOMETHING) })
}
