//! Plugins as components, well-behaved and not.

mod answers;
mod support;
