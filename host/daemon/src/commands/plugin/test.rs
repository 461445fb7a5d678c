//! `tamis plugin test`.

use std::process::ExitCode;

use host_kit::{DebugInfo, GoldenTests, Lines, Workbench, golden, tests_beside};

use super::EXIT_FOUND_SOMETHING;
use super::subject::{cache, show, subject};
use crate::cli::Test;
use crate::report;

pub fn test(args: &Test) -> anyhow::Result<ExitCode> {
    let subject = subject(&args.plugin, DebugInfo::Kept)?;
    let beside = match args.plugin.is_dir() {
        // `tests` and not `./tests`, when it is the folder one is in.
        true => args.plugin.strip_prefix(".").unwrap_or(&args.plugin).join("tests"),
        false => tests_beside(&args.plugin),
    };
    let tests = GoldenTests {
        folder: args.tests.clone().unwrap_or(beside),
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
