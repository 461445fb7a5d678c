//! `tamis plugin columns`.

use std::io::Write;
use std::process::ExitCode;

use host_kit::{batch_of, describe_pull, read_events, write_raw};

use super::EXIT_FOUND_SOMETHING;
use crate::cli::Columns;
use crate::report;

pub fn columns(args: &Columns) -> anyhow::Result<ExitCode> {
    let mut batch = batch_of(read_events(&args.file)?);
    if args.raw {
        let mut out = Vec::new();
        for pull in &args.pulls {
            write_raw(&pull.from(&mut batch), &mut out);
        }
        // A mistake is an answer too, with a status of its own.
        std::io::stdout().lock().write_all(&out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut found_something = false;
    for pull in &args.pulls {
        let pulled = pull.from(&mut batch);
        found_something |= pulled.is_err();
        report::print(&format!("{}\n", describe_pull(pull, &pulled)))?;
    }
    Ok(if found_something { ExitCode::from(EXIT_FOUND_SOMETHING) } else { ExitCode::SUCCESS })
}
