//! Loads, links, limits and calls WebAssembly components: the stages of the pipeline.
//!
//! [`Runtime`] is the engine of the process; [`StageFactory`] is a stage, loaded and checked; [`PluginStage`] is a stage of
//! one worker. Nothing but the Tamis interfaces is linked: there is no WASI, and a component that imports it is refused.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answers;
mod breaker;
mod cache;
mod compile;
mod error;
mod factory;
mod failure;
mod host;
mod interfaces;
pub mod limits;
mod metrics;
mod runtime;
mod stage;
mod text;
mod v0_1;
mod watch;

pub use compile::{
    ARTEFACT_BYTES_MAX, COMPILE_CPU_SECONDS_MAX, COMPILE_MEMORY_BYTES_MAX, COMPILE_TIME_MAX, Compile,
    CompileCommand, compile_child_main,
};
pub use error::{BadComponent, LoadError};
pub use factory::{StageFactory, StageSpec};
pub use failure::REASONS;
pub use interfaces::{ABOUT_SECTION, Interfaces};
pub use limits::Limits;
pub use metrics::{BreakerState, OpenBreaker, StageCounts, StageMetrics};
pub use runtime::{Clock, Runtime, RuntimeConfig};
pub use stage::PluginStage;
pub use watch::{Failed, Frame, Pull, Seen, Watch};
