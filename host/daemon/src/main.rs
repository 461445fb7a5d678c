//! The `tamis` binary.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]
mod config;
fn main() {}
