//! Release from quarantine: what goes out and how, and that it does so once, whoever else is at it and whatever breaks.
#![allow(clippy::unwrap_used)]

mod crashes;
mod proofs;
mod stages;
mod world;
