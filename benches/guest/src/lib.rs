//! A filter that looks at three strings of every event: the yardstick for what a plugin costs.

use tamis_plugin::{Event, Filter, Verdict, export};

pub struct ThreeStrings;

impl Filter for ThreeStrings {
    type Config = serde::de::IgnoredAny;

    fn init(_: Self::Config) -> Result<Self, String> {
        Ok(ThreeStrings)
    }

    fn filter(&mut self, event: &Event<'_>) -> Verdict {
        let is = |path: &str, value: &str| event.text(path) == Some(value);
        match is("release", "0.0.0") || is("environment", "sandbox") || is("transaction", "/never") {
            true => Verdict::drop("bench"),
            false => Verdict::Keep,
        }
    }
}

export!(filter: ThreeStrings, reads = ["release", "environment", "transaction"]);
