//! The `tamis` binary: reads the command line, starts logging, and turns the end of a command into an exit code.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admin;
mod cli;
mod clock;
mod commands;
mod components;
mod config;
mod control;
mod generations;
mod ingest;
mod metrics;
mod oauth;
mod oci;
mod queue;
mod report;
mod run;
mod sources;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, LogFormat};

/// Batches allocate and free megabytes all the time; the system's allocator gives them back to the kernel and faults them in again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(e) = start_logging(&cli) {
        eprintln!("error: --log {}: {e}", cli.log_filter());
        return ExitCode::from(2);
    }
    let ended = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Validate(files) => commands::validate(files),
        Command::Pipeline(command) => commands::pipeline(command),
        Command::Replay(args) => commands::replay(args),
        Command::Verify(args) => commands::verify(args),
        Command::Repair(args) => commands::repair(args),
        Command::Quarantine(command) => commands::quarantine(command),
        Command::Plugin(command) => commands::plugin(command),
        Command::CompileComponent => return host_plugin::compile_child_main(),
    };
    ended.unwrap_or_else(|e| {
        // The chain of causes is printed here and nowhere else.
        eprintln!("error: {e:#}");
        ExitCode::FAILURE
    })
}

fn start_logging(cli: &Cli) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::try_new(cli.log_filter())?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match cli.log_format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
