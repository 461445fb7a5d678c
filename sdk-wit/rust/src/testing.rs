//! Runs plugins on your machine, in `cargo test`, against JSON events: on the host's own columns and without WebAssembly.
//!
//! ```
//! # use tamis_plugin::{Event, Filter, Verdict};
//! # struct Mine;
//! # impl Filter for Mine {
//! #     type Config = serde::de::IgnoredAny;
//! #     fn init(_: Self::Config) -> Result<Self, String> { Ok(Mine) }
//! #     fn filter(&mut self, event: &Event<'_>) -> Verdict {
//! #         if event.text("$meta.environment") == Some("dev") { Verdict::drop("dev") } else { Verdict::Keep }
//! #     }
//! # }
//! use tamis_plugin::testing::{Input, filter};
//!
//! let dev = Input { event: r#"{"release":"1.0"}"#, environment: "dev", ..Input::default() };
//! assert_eq!(filter::<Mine>("{}", &[dev]).unwrap(), [Verdict::drop("dev")]);
//! ```
//!
//! # Panics
//! All functions panic where the host would end a call with a trap: events that are no JSON, paths and selectors that can not
//! be parsed, and edits that can not be applied. What the plugin's `init` says comes back as `Err`.

use host_event::{Category, Columns, Doc, Edit, EditOp, EventId, Meta, apply_edits};

use crate::batch::Batch;
use crate::edits::FlatEdits;
use crate::source::Source;
use crate::{Filter, Fingerprinter, Rate, Sampler, Scrubber, Verdict, config};

pub use crate::edits::FlatEdits as Edits;
pub use crate::filter::Verdicts;
pub use crate::fingerprinter::FlatFingerprints as Fingerprints;
pub use crate::sampler::Rates;

/// An event and what the host knows beside it.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// JSON, as the client sent it.
    pub event: &'a str,
    /// `$meta.project_id`.
    pub project_id: u64,
    /// `$meta.client_ip`.
    pub client_ip: &'a str,
    /// `$meta.user_agent`.
    pub user_agent: &'a str,
    /// `$meta.sdk`.
    pub sdk: &'a str,
    /// `$meta.environment`.
    pub environment: &'a str,
    /// `$meta.category`: `error`, `transaction`, `span` or `log_item`.
    pub category: &'a str,
    /// `$meta.received_at`, in milliseconds since 1970-01-01 UTC.
    pub received_at: u64,
    /// The envelope's trace header, JSON, which `$trace.KEY` reads.
    pub trace: Option<&'a str>,
}

impl Default for Input<'_> {
    fn default() -> Self {
        Input {
            event: "{}",
            project_id: 1,
            client_ip: "",
            user_agent: "",
            sdk: "",
            environment: "",
            category: "error",
            received_at: 0,
            trace: None,
        }
    }
}

impl<'a> From<&'a str> for Input<'a> {
    fn from(event: &'a str) -> Self {
        Input { event, ..Input::default() }
    }
}

impl<'a> From<&'a String> for Input<'a> {
    fn from(event: &'a String) -> Self {
        Input::from(event.as_str())
    }
}

/// Runs a filter over a batch of these events.
pub fn filter<'a, T: Filter>(
    config: &str,
    events: &[impl Into<Input<'a>> + Clone],
) -> Result<Vec<Verdict>, String> {
    let mut plugin = T::init(config::parse(config)?)?;
    let (answer, _) = run_filter(&mut plugin, columns(events));
    let verdict = |n: &u32| match *n {
        0 => Verdict::Keep,
        n => Verdict::drop(answer.reasons[n as usize - 1].clone()),
    };
    Ok(answer.verdicts.iter().map(verdict).collect())
}

/// Runs a sampler over a batch of these events.
pub fn sample<'a, T: Sampler>(
    config: &str,
    events: &[impl Into<Input<'a>> + Clone],
) -> Result<Vec<Rate>, String> {
    let mut plugin = T::init(config::parse(config)?)?;
    let (answer, _) = run_sampler(&mut plugin, columns(events));
    let rate = |(rate, by): (&f64, &u32)| Rate {
        rate: *rate,
        rule: by.checked_sub(1).map(|rule| answer.rules[rule as usize].clone().into()),
    };
    Ok(answer.rates.iter().zip(&answer.decided_by).map(rate).collect())
}

/// Runs a scrubber over a batch of these events and gives their JSON with the edits applied, `_meta` included.
pub fn scrub<'a, T: Scrubber>(
    config: &str,
    events: &[impl Into<Input<'a>> + Clone],
) -> Result<Vec<String>, String> {
    let mut plugin = T::init(config::parse(config)?)?;
    let (answer, columns) = run_scrubber(&mut plugin, columns(events));
    let mut edits = vec![Vec::new(); columns.len()];
    for i in 0..answer.leaf.len() {
        let (row, edit) = edit(&answer, i, &columns);
        edits[row].push(edit);
    }
    let text = |(row, edits): (usize, Vec<Edit>)| {
        let doc = apply_edits(&columns.event(row).doc, edits)
            .unwrap_or_else(|error| panic!("the host refuses the edits of event {row}: {error}"));
        String::from_utf8(doc.text().to_vec()).expect("documents are UTF-8")
    };
    Ok(edits.into_iter().enumerate().map(text).collect())
}

/// Runs a fingerprinter over a batch of these events and gives `(kind, fingerprint)` pairs for each.
pub fn fingerprint<'a, T: Fingerprinter>(
    config: &str,
    events: &[impl Into<Input<'a>> + Clone],
) -> Result<Vec<Vec<(String, String)>>, String> {
    let mut plugin = T::init(config::parse(config)?)?;
    let (answer, _) = run_fingerprinter(&mut plugin, columns(events));
    let mut all = (0..answer.kind.len()).map(|i| {
        let text = &answer.data[answer.offsets[i] as usize..answer.offsets[i + 1] as usize];
        let kind = answer.kinds[answer.kind[i] as usize].clone();
        (kind, String::from_utf8_lossy(text).into_owned())
    });
    Ok(answer.counts.iter().map(|count| all.by_ref().take(*count as usize).collect()).collect())
}

/// A batch as the host would make it of these events, for the functions below.
pub fn columns<'a>(events: &[impl Into<Input<'a>> + Clone]) -> Columns {
    let mut columns = Columns::default();
    columns.load(events.iter().cloned().enumerate().map(|(i, input)| event(i, &input.into())).collect());
    columns
}

/// One call of a filter as the host makes it, for benchmarks: the native counterpart of the component.
pub fn run_filter<T: Filter>(plugin: &mut T, columns: Columns) -> (Verdicts, Columns) {
    with_batch(columns, |batch| crate::filter::run(plugin, batch))
}

/// One call of a sampler.
pub fn run_sampler<T: Sampler>(plugin: &mut T, columns: Columns) -> (Rates, Columns) {
    with_batch(columns, |batch| crate::sampler::run(plugin, batch))
}

/// One call of a scrubber.
pub fn run_scrubber<T: Scrubber>(plugin: &mut T, columns: Columns) -> (Edits, Columns) {
    with_batch(columns, |batch| crate::scrubber::run(plugin, batch))
}

/// One call of a fingerprinter.
pub fn run_fingerprinter<T: Fingerprinter>(plugin: &mut T, columns: Columns) -> (Fingerprints, Columns) {
    with_batch(columns, |batch| crate::fingerprinter::run(plugin, batch))
}

/// Makes a plugin from its JSON configuration, as the host does.
pub fn init<T, C: serde::de::DeserializeOwned>(
    json: &str,
    make: fn(C) -> Result<T, String>,
) -> Result<T, String> {
    make(config::parse(json)?)
}

fn with_batch<A>(columns: Columns, run: impl FnOnce(&Batch) -> A) -> (A, Columns) {
    let batch = Batch::new(Source::new(columns));
    let answer = run(&batch);
    (answer, batch.source.into_columns())
}

fn event(index: usize, input: &Input<'_>) -> host_event::Event {
    let doc = Doc::parse(input.event.to_owned())
        .unwrap_or_else(|error| panic!("event {index} is not JSON: {error}\n{}", input.event));
    let id = doc.root().get("event_id").and_then(|id| EventId::parse(&id.as_str()?));
    let meta = Meta {
        project_id: input.project_id,
        received_at: input.received_at as _,
        sent_at: None,
        event_id: id.unwrap_or(EventId(index as u128 + 1)),
        environment: input.environment.to_owned(),
        client_ip: input.client_ip.to_owned(),
        user_agent: input.user_agent.to_owned(),
        sdk: input.sdk.to_owned(),
        trace: input.trace.unwrap_or_default().to_owned().into(),
    };
    host_event::Event {
        offset: index as _,
        queued_at: input.received_at as _,
        category: Category::from_name(input.category),
        meta,
        doc,
    }
}

fn edit(answer: &FlatEdits, i: usize, columns: &Columns) -> (usize, Edit) {
    let text = answer.strings[answer.text[i] as usize].clone();
    let op = match answer.op[i] {
        0 => EditOp::Remove,
        1 => EditOp::Replace(text),
        2 => EditOp::Mask(text.chars().next().unwrap_or('*')),
        _ => EditOp::Hash(text),
    };
    let (start, end) = (answer.start[i], answer.end[i]);
    let range = (end != u32::MAX || start != 0).then_some((start, end));
    let rule = answer.strings[answer.rule[i] as usize].clone();
    let (row, node) = columns.leaf(answer.leaf[i]).expect("leaves come from these columns");
    (row, Edit { node, range, op, rule })
}

#[cfg(test)]
mod tests;
