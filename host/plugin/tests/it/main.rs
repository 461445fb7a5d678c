//! Plugins as components, well-behaved and not.

mod answers;
mod cache;
mod mischief;
mod real;
mod support;
