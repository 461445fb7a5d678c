//! HTTP bytes to authenticated, bounded, framed items in the queue.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
pub mod auth;
pub mod encoding;
pub mod envelope;
mod item;
mod limits;
mod projects;

pub use address::{BadNetwork, Network};
pub use item::ItemType;
pub use limits::Limits;
pub use projects::{BadProjects, Key, KeySpec, Project, ProjectSpec, Projects, Quota, QuotaSpec};
