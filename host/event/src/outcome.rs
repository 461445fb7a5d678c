//! What became of an item: exactly one of these, for everything that was received.

use std::borrow::Cow;
use std::fmt;

use crate::Category;

/// The end of an item. DESIGN promises that each has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It is a row of a table.
    Accepted,
    /// A filter dropped it, for a reason of the filter's.
    Filtered,
    /// The draw by its trace id came out above the rate of the sampler.
    SampledOut,
    RateLimited,
    /// It could not be read, or broke a limit.
    Invalid,
    /// The client dropped it by itself and reported that.
    ClientDiscard,
    /// A fail-closed stage could not deal with it: it waits in `quarantine/`.
    Quarantined,
    /// A mistake in Tamis itself. Always zero, or it is a bug.
    Internal,
}

impl Outcome {
    pub const ALL: [Outcome; 8] = [
        Outcome::Accepted,
        Outcome::Filtered,
        Outcome::SampledOut,
        Outcome::RateLimited,
        Outcome::Invalid,
        Outcome::ClientDiscard,
        Outcome::Quarantined,
        Outcome::Internal,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Filtered => "filtered",
            Outcome::SampledOut => "sampled_out",
            Outcome::RateLimited => "rate_limited",
            Outcome::Invalid => "invalid",
            Outcome::ClientDiscard => "client_discard",
            Outcome::Quarantined => "quarantined",
            Outcome::Internal => "internal",
        }
    }

    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|o| o.as_str() == name)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why: a short key such as `web-crawlers`, `too_large:event` or `invalid_json`, Sentry's own where it has one.
pub type Reason = Cow<'static, str>;

/// So and so many items of a category that ended outside the pipeline: refused over HTTP, or reported by a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeCount {
    pub category: Category,
    pub outcome: Outcome,
    pub reason: Reason,
    pub quantity: u64,
}
