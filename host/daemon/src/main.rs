//! The `tamis` binary.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]
mod cli;
mod config;
mod metrics;
fn main() {}
