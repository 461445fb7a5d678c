//! `tamis plugin inspect`.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Context;

use super::EXIT_FOUND_SOMETHING;
use crate::cli::Inspect;
use crate::report;

pub fn inspect(args: &Inspect) -> anyhow::Result<ExitCode> {
    let name = || args.file.display().to_string();
    let bytes = std::fs::read(&args.file).with_context(name)?;
    let found = host_kit::inspect(&bytes).with_context(name)?;
    let text = if args.json { serde_json::to_string_pretty(&found)? + "\n" } else { describe(&found)? };
    report::print(&text)?;
    Ok(if found.problem.is_some() { ExitCode::from(EXIT_FOUND_SOMETHING) } else { ExitCode::SUCCESS })
}

fn describe(found: &host_kit::Inspection) -> anyhow::Result<String> {
    let mut text = String::new();
    let list = |items: &[String]| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    match &found.about {
        Some(about) => {
            writeln!(text, "name     {} {}", about.name, about.version)?;
            writeln!(text, "sdk      {}", about.sdk)?;
            writeln!(text, "reads    {}", list(&about.reads))?;
            writeln!(text, "writes   {}", list(&about.writes))?;
        }
        None => writeln!(text, "reads    it does not say: made without an SDK")?,
    }
    writeln!(text, "kind     {}", found.kind.map_or("none: it is no plugin", |kind| kind.as_str()))?;
    writeln!(text, "size     {} KiB", found.size_bytes.div_ceil(1024))?;
    writeln!(text, "imports  {}", list(&found.imports))?;
    writeln!(text, "exports  {}", list(&found.exports))?;
    if let Some(problem) = &found.problem {
        writeln!(text, "problem  {problem}")?;
    }
    Ok(text)
}
