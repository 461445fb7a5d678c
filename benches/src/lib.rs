//! Ratios, measured side by side in one run, and the corpus that they are measured on.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod corpus;
