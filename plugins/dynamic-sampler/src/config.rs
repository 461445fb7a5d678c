//! The configuration, as operators write it. The README says what each key does.

use std::collections::BTreeMap;

use conditions::{Condition, parse_millis};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::rates::RateKey;

/// The whole: what holds for all projects, and one section for each project that has its own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub(crate) categories: CategoryNames,
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
    #[serde(default)]
    pub(crate) rates: BTreeMap<RateKey, Share>,
    #[serde(default)]
    pub(crate) projects: BTreeMap<ProjectKey, Section>,
}

/// What a project has in the place of everything above.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    #[serde(default)]
    pub rules: Vec<Rule>,
    #[serde(default)]
    pub rates: BTreeMap<RateKey, Share>,
}

/// One of Sentry's rules, in Sentry's own spelling.
#[derive(Debug)]
pub(crate) struct Rule {
    pub id: u32,
    pub kind: RuleKind,
    pub condition: Condition,
    pub value: SamplingValue,
    pub start: Option<i64>,
    pub end: Option<i64>,
    /// The value at the end of the range; the value itself where it does not decay.
    pub decayed: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RuleKind {
    Transaction,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum SamplingValue {
    Factor(f64),
    Rate(f64),
}

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share(pub f64);

/// The id of a project, which JSON can only have as a text where it is a key.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProjectKey(pub u64);

/// The categories that are sampled; the rest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CategoryNames(Vec<String>);

impl Default for CategoryNames {
    fn default() -> CategoryNames {
        CategoryNames(vec!["transaction".into(), "span".into()])
    }
}

impl CategoryNames {
    pub(crate) fn contain(&self, category: &str) -> bool {
        self.0.iter().any(|name| name == category)
    }
}

/// What a rule looks like before it is checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRule {
    id: u32,
    #[serde(rename = "type")]
    kind: RuleKind,
    #[serde(default)]
    condition: Option<Condition>,
    sampling_value: RawValue,
    #[serde(default)]
    time_range: RawRange,
    #[serde(default)]
    decaying_fn: RawDecay,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawValue {
    #[serde(rename = "type")]
    kind: ValueKind,
    value: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ValueKind {
    Factor,
    SampleRate,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRange {
    #[serde(default)]
    start: Option<Time>,
    #[serde(default)]
    end: Option<Time>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawDecay {
    #[serde(default, rename = "type")]
    kind: DecayKind,
    #[serde(default)]
    decayed_value: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum DecayKind {
    #[default]
    Constant,
    Linear,
}

struct Time(i64);

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Rule, D::Error> {
        let raw = RawRule::deserialize(from)?;
        let id = raw.id;
        check(raw).map_err(|what| D::Error::custom(format!("rule {id}: {what}")))
    }
}

fn check(raw: RawRule) -> Result<Rule, String> {
    let value = match raw.sampling_value.kind {
        ValueKind::Factor => SamplingValue::Factor(factor(raw.sampling_value.value, "samplingValue.value")?),
        ValueKind::SampleRate => SamplingValue::Rate(share(raw.sampling_value.value, "samplingValue.value")?),
    };
    let condition = match raw.condition {
        Some(condition) => condition,
        None => Condition::always(),
    };
    if let (RuleKind::Trace, Some(name)) = (raw.kind, condition.beyond_trace()) {
        return Err(format!(
            "a rule of type trace can only look at `trace.` names, not at {name:?}: events of one trace would get different rates"
        ));
    }
    let (start, end) = (raw.time_range.start.map(|t| t.0), raw.time_range.end.map(|t| t.0));
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        return Err("timeRange ends before it starts".into());
    }
    let decayed = match (raw.decaying_fn.kind, raw.decaying_fn.decayed_value) {
        (DecayKind::Constant, None) => None,
        (DecayKind::Constant, Some(_)) => return Err("decayingFn constant has no decayedValue".into()),
        (DecayKind::Linear, None) => return Err("decayingFn linear needs a decayedValue".into()),
        (DecayKind::Linear, Some(_)) if start.is_none() || end.is_none() => {
            return Err("decayingFn linear needs a timeRange with start and end".into());
        }
        (DecayKind::Linear, Some(value)) => Some(factor(value, "decayingFn.decayedValue")?),
    };
    Ok(Rule { id: raw.id, kind: raw.kind, condition, value, start, end, decayed })
}

fn factor(value: f64, name: &str) -> Result<f64, String> {
    match value.is_finite() && value >= 0.0 {
        true => Ok(value),
        false => Err(format!("{name} is {value}; a factor is 0 or more")),
    }
}

fn share(value: f64, name: &str) -> Result<f64, String> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(value),
        false => Err(format!("{name} is {value}; a rate is between 0 and 1")),
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Share, D::Error> {
        share(f64::deserialize(from)?, "this").map(Share).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        let text = String::deserialize(from)?;
        let bad = || D::Error::custom(format!("{text:?} is no time such as 2026-11-22T19:00:00Z"));
        parse_millis(&text).map(Time).ok_or_else(bad)
    }
}

impl<'de> Deserialize<'de> for ProjectKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<ProjectKey, D::Error> {
        let text = String::deserialize(from)?;
        let id =
            text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not the id of a project")))?;
        Ok(ProjectKey(id))
    }
}

impl<'de> Deserialize<'de> for CategoryNames {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<CategoryNames, D::Error> {
        const KNOWN: [&str; 4] = ["error", "transaction", "span", "log_item"];
        let names = Vec::<String>::deserialize(from)?;
        match names.iter().find(|name| !KNOWN.contains(&name.as_str())) {
            None => Ok(CategoryNames(names)),
            Some(name) => {
                Err(D::Error::custom(format!("unknown category {name:?}; there are {}", KNOWN.join(", "))))
            }
        }
    }
}
