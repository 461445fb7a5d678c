//! What plugin authors run: build, encode, inspect.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bench;
mod bindings;
mod build;
mod columns;
mod diff;
mod encode;
mod events;
mod golden;
mod inspect;
mod lang;
mod one;
mod project;
mod scaffold;
mod sdk;
mod tools;
mod trial;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use host_pipeline::StageKind;
use host_plugin::BadComponent;
use thiserror::Error;

pub use bench::{BatchCost, BenchError, BenchPlan, BenchReport, PulledColumn, StartCost, bench};
pub use bindings::bindings;
pub use build::{Built, OUT, build, build_module, build_with};
pub use columns::{BadPull, Pull, Pulled, batch_of, describe_pull, write_raw};
pub use diff::{Difference, pretty};
pub use encode::{DebugInfo, WIT, encode, encode_as, encode_with};
pub use events::{EventsError, parse_events, read_events};
pub use golden::{
    BacktraceFrame, Differing, EventName, Failure, FileReport, GoldenReport, GoldenTests, Inconsistency,
    TestsError, golden, tests_of,
};
pub use inspect::{About, Inspection, inspect};
pub use lang::rust::RUST_TARGET;
pub use one::{AnswerOfEvent, RunReport, run_events};
pub use project::{Language, PROJECT_FILE, Project, ProjectError, Said};
pub use scaffold::{NewPlugin, ScaffoldError, Scaffolded, Template, scaffold};
pub use sdk::{Upgraded, upgrade};
pub use trial::{Lines, LogLine, Subject, TrialError, Workbench};

#[derive(Debug, Error)]
pub enum KitError {
    #[error(transparent)]
    Project(#[from] ProjectError),
    #[error("{folder:?} is no copy of an SDK that `tamis plugin new` wrote: there is nothing to renew")]
    NoCopy { folder: PathBuf },
    #[error("{what} is not installed: run `{install}`")]
    Missing { what: &'static str, install: String },
    #[error("it is called a {}, and what was built is a {}", said.as_str(), found.as_str())]
    OtherKind { said: StageKind, found: StageKind },
    #[error("{PROJECT_FILE} has the name {said:?}, and Cargo.toml {package:?}: they must be the same")]
    OtherName { said: String, package: String },
    #[error("there is no crate in {dir:?}")]
    NoCrate { dir: PathBuf, source: io::Error },
    #[error("{manifest:?} is of no package, perhaps of a workspace")]
    NoPackage { manifest: PathBuf },
    #[error("the compiler has no target {RUST_TARGET}: run `rustup target add {RUST_TARGET}`")]
    NoTarget,
    #[error(
        "package {package} makes no WebAssembly: it needs `crate-type = [\"cdylib\", \"rlib\"]` under `[lib]`"
    )]
    NoCdylib { package: String },
    #[error("{what} can not be started")]
    NotFound { what: &'static str, source: io::Error },
    #[error("{what} failed ({status})")]
    Failed { what: &'static str, status: ExitStatus },
    #[error("what cargo said can not be read: {0}")]
    Unreadable(String),
    #[error("{path:?} can not be read or written")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path:?} would take the place of what it is made of: name another folder with --out")]
    SameFile { path: PathBuf },
    #[error("the bindings can not be made: {0}")]
    Bindings(String),
    #[error("this is no core module: {0}")]
    NotAModule(String),
    #[error(
        "the module imports {0}: a plugin has no files, no network and no processes, and nothing but Tamis is there to be imported"
    )]
    ForeignImports(String),
    #[error("the module can not be encoded: {0}")]
    Encode(String),
    #[error("what was encoded is no plugin: {0} (an SDK makes the exports, in Rust `export!(filter: T)`)")]
    NotAPlugin(BadComponent),
}
