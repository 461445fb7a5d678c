//! Write plugins for Tamis in Rust: a struct, one trait, one macro.
//!
//! ```
//! use tamis_plugin::{Event, Filter, Verdict, export};
//!
//! pub struct DropNoisy(Vec<String>);
//!
//! impl Filter for DropNoisy {
//!     type Config = Vec<String>; // any type of serde's
//!     fn init(noisy: Vec<String>) -> Result<Self, String> {
//!         Ok(DropNoisy(noisy))
//!     }
//!     fn filter(&mut self, event: &Event<'_>) -> Verdict {
//!         match event.text("release") {
//!             Some(release) if self.0.iter().any(|noisy| noisy == release) => Verdict::drop("noisy-release"),
//!             _ => Verdict::Keep,
//!         }
//!     }
//! }
//! export!(filter: DropNoisy, reads = ["release"]);
//!
//! # fn main() {
//! // In a test, on your machine, with the host's own code below it and no WebAssembly:
//! let verdicts = tamis_plugin::testing::filter::<DropNoisy>(r#"["1.0"]"#, &[r#"{"release":"1.0"}"#, "{}"]);
//! assert_eq!(verdicts.unwrap(), [Verdict::drop("noisy-release"), Verdict::Keep]);
//! # }
//! ```
//!
//! There are four kinds of plugins, each with its trait: [`Filter`], [`Sampler`], [`Scrubber`] and [`Fingerprinter`].
//! All have a configuration, which is JSON and read into a type of yours, and state, which is your struct: `self` lives as
//! long as the instance does, over many batches.
//!
//! # Reading an event
//! [`Event`] names values by paths: `event.text("user.email")`, `event.number("measurements.lcp.value")`,
//! `event.tag("region")`, `event.text("$meta.project_id")`. Their grammar stands in the WIT (`wit/tamis.wit`). Lists are
//! walked by [`Event::items`], and exceptions and their frames by [`Event::exceptions`] and [`Item::frames`].
//!
//! The host calls a plugin once for a batch of some hundred events. The first time that a path is asked for, its
//! values for *all* events of the batch come over in one piece; from then on a value costs some nanoseconds. So ask for
//! what you need, as late as you like, and do not worry about asking twice.
//!
//! # Building
//! `crate-type = ["cdylib", "rlib"]`, then `tamis plugin build`, or by hand
//! `cargo build --target wasm32-wasip1` and an encoder of components. The bindings exist only on WebAssembly; everywhere else
//! the [`testing`] module takes their place.
#![deny(missing_docs)]
#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod batch;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
mod config;
mod edits;
mod event;
mod export;
mod filter;
mod fingerprinter;
mod intern;
mod leaves;
pub mod log;
mod sampler;
mod scrubber;
mod source;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use edits::Edits;
pub use event::{Event, Exception, Frame, Item, Items, User};
pub use filter::{Filter, Verdict};
pub use fingerprinter::{Fingerprinter, Fingerprints, hash_of};
pub use leaves::{Leaf, LeafKind, Leaves};
pub use sampler::{Rate, Sampler};
pub use scrubber::Scrubber;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What the expansion of [`export!`] needs. Not for other use: it changes without notice.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_family = "wasm")]
    pub use crate::export::guest::*;
    pub use crate::export::{Manifest, SDK};
}
