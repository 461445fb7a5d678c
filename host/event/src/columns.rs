//! The columns of a batch: what plugins pull, extracted once and shared by the stages of a chain.
//!
//! A batch is one category's events in a row. Stages see its *rows*: all events at first, fewer after a filter.
//! Parsed paths and selectors, and the table of paths, live as long as the worker; the columns live as long as the batch.

mod leaves;
mod members;
mod paths;

use hashbrown::HashMap;
use std::sync::Arc;
use thiserror::Error;

pub use leaves::LeafList;
pub(crate) use leaves::{OwnStep, steps_of};

use crate::limits::SELECTOR_STEPS_MAX;
use crate::path::{MetaField, Segment, Source, follow};
use crate::{Doc, Event, Kind, NodeRef, Path, PathError, SelectorError};
use leaves::Leaves;
use members::Members;

/// Texts of rows, in the shape of an Arrow string array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    pub presence: Vec<u8>,
    pub offsets: Vec<u32>,
    pub data: Vec<u8>,
}

/// Between two rows, and in the place of one that is absent, in [`Texts::joined`].
const ROW_SEPARATOR: u8 = 0x1e;
const ABSENT_ROW: u8 = 0x1f;

impl Texts {
    /// All rows in one text, separated by U+001E, an absent one as U+001F; `None` if a text has one of these.
    pub fn joined(&self) -> Option<String> {
        if memchr::memchr2(ROW_SEPARATOR, ABSENT_ROW, &self.data).is_some() {
            return None;
        }
        let mut joined = Vec::with_capacity(self.data.len() + 2 * self.presence.len());
        for (row, range) in self.offsets.windows(2).enumerate() {
            if row > 0 {
                joined.push(ROW_SEPARATOR);
            }
            match self.presence[row] {
                0 => joined.push(ABSENT_ROW),
                _ => joined.extend_from_slice(&self.data[range[0] as usize..range[1] as usize]),
            }
        }
        Some(String::from_utf8(joined).expect("rows are UTF-8, and what is between them is ASCII"))
    }
}

/// Numbers of rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reals {
    pub presence: Vec<u8>,
    pub values: Vec<f64>,
}

impl Default for Texts {
    fn default() -> Texts {
        Texts { presence: Vec::new(), offsets: vec![0], data: Vec::new() }
    }
}

impl Texts {
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let present = write(&mut self.data);
        self.presence.push(u8::from(present));
        self.offsets.push(self.data.len() as u32);
    }

    pub fn len(&self) -> usize {
        self.presence.len()
    }

    pub fn is_empty(&self) -> bool {
        self.presence.is_empty()
    }

    pub fn get(&self, row: usize) -> Option<&str> {
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        (self.presence[row] == 1).then(|| std::str::from_utf8(&self.data[range]).ok())?
    }

    fn retain(&self, keep: &[bool]) -> Texts {
        let mut kept = Texts::default();
        for row in (0..self.len()).filter(|row| keep[*row]) {
            kept.push(|data| {
                data.extend_from_slice(
                    &self.data[self.offsets[row] as usize..self.offsets[row + 1] as usize],
                );
                self.presence[row] == 1
            });
        }
        kept
    }
}

/// Why a column can not be had. It ends the plugin's call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ColumnError {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Selector(#[from] SelectorError),
    #[error(
        "selector {selector:?} needs more than {SELECTOR_STEPS_MAX} comparisons for this batch (selector_steps_max)"
    )]
    SelectorWork { selector: String },
    #[error("the text of column {path:?} is larger than 4 GiB")]
    TooLarge { path: String },
}

/// The rows behind a path that ends in a star.
#[derive(Debug, Default)]
struct Starred {
    /// How many rows each row of the path before the star has.
    counts: Vec<u32>,
    /// (row of the batch, node of its document).
    nodes: Vec<(u32, u32)>,
}

/// The members of what a star stands for. The first column that wants one looks for it; the second one indexes them all.
#[derive(Debug, Clone)]
enum Asked {
    Once,
    /// `None` where there is nothing to index.
    Again(Option<Arc<Members>>),
}

/// A batch, and what has been extracted from it.
#[derive(Debug, Default)]
pub struct Columns {
    events: Vec<Event>,
    /// The events that count, by index.
    rows: Vec<u32>,
    /// The parsed trace headers, by event; empty until one is asked for.
    traces: Vec<Option<Doc>>,
    texts: HashMap<String, Texts>,
    reals: HashMap<String, Reals>,
    starred: HashMap<String, Arc<Starred>>,
    members: HashMap<String, Asked>,
    parsed: HashMap<String, Arc<Path>>,
    leaves: Leaves,
}

/// Distinct paths that one worker keeps parsed. A plugin that makes up paths pays for them.
const PARSED_PATHS_MAX: usize = 4096;

impl Columns {
    /// Takes up the next batch. What was parsed before is kept, what was extracted is not.
    pub fn load(&mut self, events: Vec<Event>) {
        self.rows = (0..events.len() as u32).collect();
        self.events = events;
        self.forget();
    }

    /// Gives all events back, also those that are no rows any more, in their order.
    pub fn unload(&mut self) -> Vec<Event> {
        self.rows.clear();
        self.forget();
        std::mem::take(&mut self.events)
    }

    fn forget(&mut self) {
        self.traces.clear();
        self.texts.clear();
        self.reals.clear();
        self.starred.clear();
        self.members.clear();
        self.leaves.forget();
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn event(&self, row: usize) -> &Event {
        &self.events[self.rows[row] as usize]
    }

    /// The index, among all events of the batch, of each row.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Drops rows. Columns without stars are cut down, the others are extracted anew when they are asked for.
    pub fn retain(&mut self, keep: &[bool]) {
        if keep.iter().all(|k| *k) {
            return;
        }
        let kept = self.rows.iter().zip(keep).filter(|(_, keep)| **keep).map(|(row, _)| *row);
        self.rows = kept.collect();
        self.texts.retain(|path, _| !path.contains('*'));
        for column in self.texts.values_mut() {
            *column = column.retain(keep);
        }
        self.reals.clear();
        self.starred.clear();
        self.members.clear();
        self.leaves.forget();
    }

    /// Narrows the rows down to a few of them, to find the one that a plugin fails on; gives what [`Columns::widen`] takes.
    pub fn narrow(&mut self, rows: std::ops::Range<usize>) -> Vec<u32> {
        let narrowed = self.rows[rows].to_vec();
        let all = std::mem::replace(&mut self.rows, narrowed);
        self.forget();
        all
    }

    pub fn widen(&mut self, rows: Vec<u32>) {
        self.rows = rows;
        self.forget();
    }

    /// Puts a changed document in the place of a row's. Columns extracted before are stale then: say so with
    /// [`Columns::changed`] once all are in.
    pub fn replace(&mut self, row: usize, doc: Doc) {
        self.events[self.rows[row] as usize].doc = doc;
    }

    pub fn changed(&mut self) {
        self.forget();
    }

    pub fn strings(&mut self, path: &str) -> Result<&Texts, ColumnError> {
        if !self.texts.contains_key(path) {
            let column = self.extract_texts(path, |node, out| node.append_text(out))?;
            self.texts.insert(path.to_owned(), column);
        }
        Ok(&self.texts[path])
    }

    /// Whatever is under `path`, as JSON. It is not kept: plugins that need it need it once.
    pub fn json(&mut self, path: &str) -> Result<Texts, ColumnError> {
        self.extract_texts(path, |node, out| {
            out.extend_from_slice(node.raw());
            true
        })
    }

    pub fn numbers(&mut self, path: &str) -> Result<&Reals, ColumnError> {
        if !self.reals.contains_key(path) {
            let column = self.extract_numbers(path)?;
            self.reals.insert(path.to_owned(), column);
        }
        Ok(&self.reals[path])
    }

    /// The sizes of the arrays or objects under `path`.
    pub fn counts(&mut self, path: &str) -> Result<Vec<u32>, ColumnError> {
        let parsed = self.parse(path)?;
        let mut starred = parsed.segments.clone();
        starred.push(Segment::Star);
        let whole = Path { source: parsed.source, segments: starred };
        Ok(self.star_rows(&format!("{path}.*"), &whole).map(|rows| rows.counts.clone()).unwrap_or_default())
    }

    /// A path as it was parsed, for grants.
    pub fn parsed(&mut self, path: &str) -> Result<Arc<Path>, ColumnError> {
        self.parse(path)
    }

    /// Every value that `selector` names. A grant is put in front of it as `(grant) && (selector)`.
    pub fn leaves(&mut self, selector: &str) -> Result<LeafList, ColumnError> {
        self.leaves.collect(selector, &self.events, &self.rows)
    }

    /// The row and the node that a leaf's id speaks of.
    pub fn leaf(&self, id: u32) -> Option<(usize, u32)> {
        self.leaves.find(id)
    }

    fn parse(&mut self, path: &str) -> Result<Arc<Path>, ColumnError> {
        if let Some(parsed) = self.parsed.get(path) {
            return Ok(Arc::clone(parsed));
        }
        let parsed = Arc::new(Path::parse(path)?);
        if self.parsed.len() >= PARSED_PATHS_MAX {
            self.parsed.clear();
        }
        self.parsed.insert(path.to_owned(), Arc::clone(&parsed));
        Ok(parsed)
    }

    fn extract_texts(
        &mut self,
        path: &str,
        write: impl Fn(NodeRef<'_>, &mut Vec<u8>) -> bool,
    ) -> Result<Texts, ColumnError> {
        let parsed = self.parse(path)?;
        let mut column = Texts::default();
        match parsed.source {
            Source::Meta(field) => {
                for row in 0..self.rows.len() {
                    column.push(|out| write_meta(self.event(row), field, out));
                }
            }
            _ => self.each_node(path, &parsed, |node| {
                column.push(|out| node.is_some_and(|n| write(n, out)));
            }),
        }
        match u32::try_from(column.data.len()) {
            Ok(_) => Ok(column),
            Err(_) => Err(ColumnError::TooLarge { path: path.to_owned() }),
        }
    }

    fn extract_numbers(&mut self, path: &str) -> Result<Reals, ColumnError> {
        let parsed = self.parse(path)?;
        let mut column = Reals::default();
        let mut push = |value: Option<f64>| {
            column.presence.push(u8::from(value.is_some()));
            column.values.push(value.unwrap_or_default());
        };
        match parsed.source {
            Source::Meta(MetaField::ReceivedAt) => {
                (0..self.rows.len()).for_each(|row| push(Some(self.event(row).meta.received_at as f64)));
            }
            Source::Meta(MetaField::ProjectId) => {
                (0..self.rows.len()).for_each(|row| push(Some(self.event(row).meta.project_id as f64)));
            }
            Source::Meta(_) => (0..self.rows.len()).for_each(|_| push(None)),
            _ => self.each_node(path, &parsed, |node| push(node.and_then(NodeRef::as_f64))),
        }
        Ok(column)
    }

    /// Visits the value of each row of a path of a document.
    fn each_node(&mut self, text: &str, path: &Path, mut visit: impl FnMut(Option<NodeRef<'_>>)) {
        if path.source == Source::Trace {
            self.parse_traces();
            for row in &self.rows {
                let trace = self.traces[*row as usize].as_ref();
                visit(trace.and_then(|doc| follow(doc.root(), &path.segments)));
            }
            return;
        }
        let Some(starred) = self.star_rows(text, path) else {
            for row in &self.rows {
                visit(follow(self.events[*row as usize].doc.root(), &path.segments));
            }
            return;
        };
        let behind = path.split_at_last_star().map(|(_, rest)| rest).unwrap_or_default();
        let members = match behind {
            [Segment::Key(_), ..] => self.members_of(text, &starred),
            _ => None,
        };
        let doc_of = |row: u32| &self.events[self.rows[row as usize] as usize].doc;
        if let (Some(members), [Segment::Key(key), deeper @ ..]) = (members, behind) {
            let member = members.get(key);
            for (at, (row, _)) in starred.nodes.iter().enumerate() {
                let node = member(at).and_then(|id| doc_of(*row).node(id));
                visit(node.and_then(|n| follow(n, deeper)));
            }
            return;
        }
        for (row, node) in &starred.nodes {
            visit(doc_of(*row).node(*node).and_then(|n| follow(n, behind)));
        }
    }

    fn members_of(&mut self, text: &str, starred: &Starred) -> Option<Arc<Members>> {
        let prefix = upto_last_star(text);
        match self.members.get(prefix) {
            Some(Asked::Again(members)) => return members.clone(),
            None => {
                self.members.insert(prefix.to_owned(), Asked::Once);
                return None;
            }
            Some(Asked::Once) => {}
        }
        let object = |(row, node): &(u32, u32)| {
            let doc = &self.event(*row as usize).doc;
            doc.node(*node).unwrap_or(doc.root())
        };
        let members = Members::of(starred.nodes.iter().map(object)).map(Arc::new);
        self.members.insert(prefix.to_owned(), Asked::Again(members.clone()));
        members
    }

    /// The rows that the last star of a path stands for; `None` for a path without one. Paths that share it share them.
    fn star_rows(&mut self, text: &str, path: &Path) -> Option<Arc<Starred>> {
        let (prefix, _) = path.split_at_last_star()?;
        let stars = upto_last_star(text);
        if let Some(known) = self.starred.get(stars) {
            return Some(Arc::clone(known));
        }
        let mut found = Starred::default();
        for row in 0..self.rows.len() {
            expand(self.event(row).doc.root(), prefix, row as u32, &mut found);
        }
        let found = Arc::new(found);
        self.starred.insert(stars.to_owned(), Arc::clone(&found));
        Some(found)
    }

    fn parse_traces(&mut self) {
        if self.traces.is_empty() {
            let parse = |event: &Event| Doc::parse(event.meta.trace.clone()).ok();
            self.traces = self.events.iter().map(parse).collect();
        }
    }
}

/// Paths that are equal up to there have the same rows.
fn upto_last_star(text: &str) -> &str {
    &text[..text.rfind('*').map_or(text.len(), |at| at + 1)]
}

/// Adds the rows of `prefix`, which ends in a star, below `from`.
fn expand(from: NodeRef<'_>, prefix: &[Segment], row: u32, found: &mut Starred) {
    let star = prefix.iter().position(|s| *s == Segment::Star).unwrap_or_default();
    let (before, rest) = (&prefix[..star], &prefix[star + 1..]);
    let list = follow(from, before);
    let children = list.into_iter().flat_map(|list| {
        let members = list.entries().map(|(_, value)| value);
        list.items().chain(members)
    });
    if !rest.is_empty() {
        children.for_each(|child| expand(child, rest, row, found));
        return;
    }
    let first = found.nodes.len();
    found.nodes.extend(children.map(|child| (row, child.id())));
    found.counts.push((found.nodes.len() - first) as u32);
}

fn write_meta(event: &Event, field: MetaField, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    let meta = &event.meta;
    match field {
        MetaField::ProjectId => out.extend_from_slice(meta.project_id.to_string().as_bytes()),
        MetaField::ReceivedAt => out.extend_from_slice(meta.received_at.to_string().as_bytes()),
        MetaField::Category => out.extend_from_slice(event.category.as_str().as_bytes()),
        MetaField::EventId => out.extend_from_slice(meta.event_id.to_string().as_bytes()),
        MetaField::Environment => out.extend_from_slice(meta.environment.as_bytes()),
        MetaField::ClientIp => out.extend_from_slice(meta.client_ip.as_bytes()),
        MetaField::UserAgent => out.extend_from_slice(meta.user_agent.as_bytes()),
        MetaField::Sdk => out.extend_from_slice(meta.sdk.as_bytes()),
    }
    out.len() > before
}

/// What a kind is called in a list of leaves; `None` for null, which is no leaf.
pub(crate) fn leaf_kind(kind: Kind) -> Option<u8> {
    match kind {
        Kind::String => Some(0),
        Kind::Number => Some(1),
        Kind::True | Kind::False => Some(2),
        Kind::Object => Some(3),
        Kind::Array => Some(4),
        Kind::Null => None,
    }
}

#[cfg(test)]
mod tests;
