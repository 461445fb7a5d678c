//! Plugins as components, well-behaved and not.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod answers;
mod cache;
mod fuzz;
mod mischief;
mod real;
mod support;
mod watch;
