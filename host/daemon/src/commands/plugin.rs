//! `tamis plugin …`: a file for each command.

mod bench;
mod build;
mod columns;
mod inspect;
mod new;
mod run;
mod subject;
mod test;

use std::process::ExitCode;

use super::EXIT_FOUND_SOMETHING;
use crate::cli::Plugin;

pub(super) use subject::cache;

pub fn plugin(command: &Plugin) -> anyhow::Result<ExitCode> {
    match command {
        Plugin::Bench(args) => bench::bench(args),
        Plugin::Bindings(args) => build::bindings(args),
        Plugin::Build(args) => build::build(args),
        Plugin::Columns(args) => columns::columns(args),
        Plugin::Inspect(args) => inspect::inspect(args),
        Plugin::New(args) => new::new(args),
        Plugin::Run(args) => run::run(args),
        Plugin::Test(args) => test::test(args),
        Plugin::Upgrade(args) => new::upgrade(args),
    }
}
