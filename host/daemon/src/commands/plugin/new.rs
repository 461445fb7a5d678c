//! `tamis plugin new` and `tamis plugin upgrade`.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use host_kit::NewPlugin;

use crate::cli::{New, Upgrade};
use crate::report;

pub fn new(args: &New) -> anyhow::Result<ExitCode> {
    let plugin = NewPlugin {
        name: args.name.clone(),
        kind: args.kind.into(),
        template: args.lang,
        dir: args.dir.clone().unwrap_or_else(|| Path::new(&args.name).to_owned()),
    };
    let made = host_kit::scaffold(&plugin)?;
    if args.json {
        report::print(&(serde_json::to_string_pretty(&made)? + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (dir, kind, lang) = (made.dir.display(), plugin.kind.as_str(), plugin.template.as_str());
    let mut text = format!("{dir}: a {kind} in {lang}, {} files. Next:\n  cd {dir}\n", made.files);
    for command in &made.next {
        writeln!(text, "  {command}")?;
    }
    report::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

pub fn upgrade(args: &Upgrade) -> anyhow::Result<ExitCode> {
    let done = host_kit::upgrade(&args.dir)?;
    report::print(&format!("{}: {} before, {} now\n", done.folder.display(), done.from, done.to))?;
    Ok(ExitCode::SUCCESS)
}
