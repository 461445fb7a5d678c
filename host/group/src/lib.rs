//! From fingerprints to groups. A group's id is a function of project and hash, so every machine gives the same one
//! without asking another. Pure: no I/O, no async.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod headline;
mod rollup;

pub use headline::{Headline, headline};
pub use rollup::{Member, Rollup, Rollups};

use std::fmt;

use host_event::ProjectId;
use md5::{Digest, Md5};

/// 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u128);

impl GroupId {
    /// The group that events of this project with this primary hash belong to.
    pub fn of(project: ProjectId, hash: &str) -> GroupId {
        let mut digest = Md5::new();
        digest.update(project.to_be_bytes());
        digest.update(hash.as_bytes());
        GroupId(u128::from_be_bytes(digest.finalize().into()))
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The group of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub id: GroupId,
    /// All fingerprints, `(variant, hash)`; the first one gave the id.
    pub fingerprints: Vec<(String, String)>,
    pub headline: Headline,
}
