//! The short form: a rate for each pattern, `"*"` for everything else.
//!
//! A table has no order of its own, so the most specific pattern that matches counts: the one that fixes the most
//! characters.

use std::collections::BTreeMap;

use conditions::Glob;
use serde::de::{Deserialize, Deserializer, Error as _};
use tamis_plugin::Event;

use crate::config::Share;
use crate::names::Name;
use crate::rules::Found;

/// A field and a pattern, as the user wrote them: `payments*`, `release:1.*`.
#[derive(Debug, Clone)]
pub(crate) struct RateKey {
    text: &'static str,
    field: Field,
    glob: Glob,
}

/// What a pattern looks at. Where the trace header has it, that is what counts: all events of a trace get the same rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Transaction,
    Release,
    Environment,
    Project,
}

const FIELDS: [(&str, Field); 4] = [
    ("transaction", Field::Transaction),
    ("release", Field::Release),
    ("environment", Field::Environment),
    ("project", Field::Project),
];

/// Rates by pattern, the most specific first.
#[derive(Debug, Default)]
pub(crate) struct Rates(Vec<(RateKey, f64)>);

impl Rates {
    pub(crate) fn new(rates: BTreeMap<RateKey, Share>) -> Rates {
        let mut rates: Vec<_> = rates.into_iter().map(|(key, rate)| (key, rate.0)).collect();
        // Stable: of two that fix the same, the one that is first in the alphabet.
        rates.sort_by_key(|(key, _)| std::cmp::Reverse(key.glob.fixed_chars()));
        Rates(rates)
    }

    pub(crate) fn evaluate(&self, event: &Event<'_>, found: &mut Found) {
        let matching = |(key, _): &&(RateKey, f64)| key.text == "*" || key.glob.matches(key.field.of(event));
        if let Some((key, rate)) = self.0.iter().find(matching) {
            found.settle(Name::Pattern(key.text), *rate);
        }
    }
}

impl Field {
    /// Empty where there is nothing.
    fn of<'a>(self, event: &Event<'a>) -> &'a str {
        let first = |paths: &[&str]| paths.iter().find_map(|path| event.text(path)).unwrap_or_default();
        match self {
            Field::Transaction => {
                first(&["$trace.transaction", "transaction", "attributes.'sentry.segment.name'.value"])
            }
            Field::Release => first(&["$trace.release", "release", "attributes.'sentry.release'.value"]),
            Field::Environment => first(&[
                "$trace.environment",
                "environment",
                "attributes.'sentry.environment'.value",
                "$meta.environment",
            ]),
            Field::Project => first(&["$meta.project_id"]),
        }
    }
}

impl<'de> Deserialize<'de> for RateKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<RateKey, D::Error> {
        let text = String::deserialize(from)?;
        // What stands before a colon and is no field is a part of the name: `http://...`.
        let named = text.split_once(':').and_then(|(name, rest)| {
            let (_, field) = FIELDS.iter().find(|(known, _)| *known == name)?;
            Some((*field, rest))
        });
        let (field, pattern) = named.unwrap_or((Field::Transaction, &text));
        let glob = Glob::parse(pattern, true).map_err(D::Error::custom)?;
        Ok(RateKey { field, glob, text: text.leak() })
    }
}

impl PartialEq for RateKey {
    fn eq(&self, other: &RateKey) -> bool {
        self.text == other.text
    }
}

impl Eq for RateKey {}

impl PartialOrd for RateKey {
    fn partial_cmp(&self, other: &RateKey) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RateKey {
    fn cmp(&self, other: &RateKey) -> std::cmp::Ordering {
        self.text.cmp(other.text)
    }
}
