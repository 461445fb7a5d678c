//! What the host keeps beside a guest: the current batch, what the guest may read of it, and what it has used up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use host_event::{Columns, LeafList, Reals, Selector, Texts};
use wasmtime::ResourceLimiter;

use crate::failure::Objection;
use crate::limits::{INSTANCES_MAX, LOG_LINE_BYTES_MAX, LOG_TAIL_BYTES_MAX, Limits};
use crate::metrics::StageMetrics;
use crate::runtime::Clock;
use crate::text::{cut, line};
use crate::watch::{Pull, Seen, Watch};

/// Who is speaking, in logs and errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) stage: String,
    pub(crate) version: String,
    pub(crate) generation: u64,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "plugin {} {} (generation {})", self.stage, self.version, self.generation)
    }
}

/// Paths whose grant is remembered. A plugin that makes up paths pays for them.
const GRANTS_MAX: usize = 4096;

/// What `Columns` keeps until the batch ends, of the lists that a plugin pulls from: for each element its row and node, for each list its
/// length, and for each element up to 64 members.
const INDEX_BYTES: usize = 8;
const COUNT_BYTES: usize = 4;
const MEMBERS_BYTES: usize = 64 * 4;

/// A list that is kept, by the path up to its star.
struct List {
    rows: usize,
    /// A second column was pulled from it.
    has_members: bool,
}

/// The data of a store.
pub(crate) struct Host {
    pub(crate) columns: Columns,
    identity: Arc<Identity>,
    grant: Grant,
    limits: Arc<Limits>,
    calls: u64,
    bytes: u64,
    lists: HashMap<String, List>,
    memory: Growth,
    tables: Growth,
    time_max: TimeMax,
    log_gate: Arc<LogGate>,
    log_tail: String,
    /// Absent in a host that serves.
    pub(crate) watch: Option<Arc<Watch>>,
}

/// How long a call may take, and by which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeMax {
    Init(Duration),
    Call(Duration),
    /// A part of a batch has a part of the time.
    Part(Duration),
}

/// What a guest has of something that only grows.
#[derive(Debug, Default)]
struct Growth {
    total: usize,
    /// Granted last, and taken back if nothing comes of it.
    last: usize,
    /// In the current call.
    refused: bool,
}

struct Grant {
    text: String,
    /// `None` grants everything.
    selector: Option<Selector>,
    known: HashMap<(String, Reading), bool>,
}

/// Counts the lines that a stage writes, all its instances together: a new one after each failure writes no more.
pub(crate) struct LogGate {
    clock: Clock,
    metrics: Arc<StageMetrics>,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    begun: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl TimeMax {
    pub(crate) fn time(self) -> Duration {
        match self {
            TimeMax::Init(time) | TimeMax::Call(time) | TimeMax::Part(time) => time,
        }
    }
}

impl std::fmt::Display for TimeMax {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.time().as_millis();
        match self {
            TimeMax::Init(_) => write!(f, "{millis}ms (init_time_max)"),
            TimeMax::Call(_) => write!(f, "{millis}ms (call_time_max)"),
            TimeMax::Part(_) => write!(f, "{millis}ms (a part of the batch's call_time_max)"),
        }
    }
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

impl Host {
    pub(crate) fn new(
        identity: Arc<Identity>,
        reads: &str,
        selector: &Selector,
        limits: Arc<Limits>,
        log_gate: Arc<LogGate>,
    ) -> Host {
        let selector = (!selector.is_everything()).then(|| selector.clone());
        Host {
            columns: Columns::default(),
            identity,
            grant: Grant { text: reads.to_owned(), selector, known: HashMap::new() },
            time_max: TimeMax::Init(limits.init_time_max),
            limits,
            calls: 0,
            bytes: 0,
            lists: HashMap::new(),
            memory: Growth::default(),
            tables: Growth::default(),
            log_gate,
            log_tail: String::new(),
            watch: None,
        }
    }

    /// Starts the accounts of a call.
    pub(crate) fn begin(&mut self, time_max: TimeMax) {
        (self.calls, self.bytes) = (0, 0);
        self.lists.clear();
        (self.memory.refused, self.tables.refused) = (false, false);
        self.time_max = time_max;
        self.log_tail.clear();
    }

    pub(crate) fn time_max(&self) -> TimeMax {
        self.time_max
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory.total
    }

    pub(crate) fn memory_refused(&self) -> bool {
        self.memory.refused
    }

    pub(crate) fn table_refused(&self) -> bool {
        self.tables.refused
    }

    pub(crate) fn log_tail(&self) -> &str {
        &self.log_tail
    }

    pub(crate) fn len(&mut self) -> Result<u32, Objection> {
        self.count(4)?;
        self.note("len", "", 1, 4);
        Ok(self.columns.len() as u32)
    }

    pub(crate) fn strings(&mut self, path: &str) -> Result<Texts, Objection> {
        self.may_read(path, Reading::Value)?;
        self.index_again(path)?;
        let texts = self.columns.strings(path).map_err(wrong_path)?.clone();
        self.count(kept_for(path) + size_of_texts(&texts))?;
        self.indexed(path, texts.len())?;
        self.note("strings", path, texts.len(), size_of_texts(&texts));
        Ok(texts)
    }

    pub(crate) fn joined(&mut self, path: &str) -> Result<Option<String>, Objection> {
        self.may_read(path, Reading::Value)?;
        self.index_again(path)?;
        let texts = self.columns.strings(path).map_err(wrong_path)?;
        let (rows, joined) = (texts.len(), texts.joined());
        let bytes = joined.as_ref().map_or(1, String::len);
        self.count(kept_for(path) + bytes)?;
        self.indexed(path, rows)?;
        self.note("joined", path, rows, bytes);
        Ok(joined)
    }

    pub(crate) fn numbers(&mut self, path: &str) -> Result<Reals, Objection> {
        self.may_read(path, Reading::Value)?;
        self.index_again(path)?;
        let reals = self.columns.numbers(path).map_err(wrong_path)?.clone();
        self.count(kept_for(path) + 9 * reals.values.len())?;
        self.indexed(path, reals.values.len())?;
        self.note("numbers", path, reals.values.len(), 9 * reals.values.len());
        Ok(reals)
    }

    pub(crate) fn json(&mut self, path: &str) -> Result<Texts, Objection> {
        self.may_read(path, Reading::Subtree)?;
        self.index_again(path)?;
        let texts = self.columns.json(path).map_err(wrong_path)?;
        self.count(kept_for(path) + size_of_texts(&texts))?;
        self.indexed(path, texts.len())?;
        self.note("json", path, texts.len(), size_of_texts(&texts));
        Ok(texts)
    }

    pub(crate) fn counts(&mut self, path: &str) -> Result<Vec<u32>, Objection> {
        self.may_read(path, Reading::Size)?;
        let counts = self.columns.counts(path).map_err(wrong_path)?;
        self.count(kept_for(path) + 4 * counts.len())?;
        let elements = counts.iter().map(|count| *count as usize).sum();
        self.indexed(&format!("{path}.*"), elements)?;
        self.note("counts", path, counts.len(), 4 * counts.len());
        Ok(counts)
    }

    pub(crate) fn leaves(&mut self, selector: &str) -> Result<LeafList, Objection> {
        let list = match self.grant.selector {
            None => self.columns.leaves(selector),
            Some(_) => {
                // It must be a selector by itself: `a) || (**` would climb out of the parentheses.
                Selector::parse(selector).map_err(|e| Objection::Path(e.to_string()))?;
                self.columns.leaves(&format!("({}) && ({selector})", self.grant.text))
            }
        };
        let list = list.map_err(wrong_path)?;
        let bytes = list.data.len() + list.path_data.len() + 17 * list.ids.len() + 8 * list.path_keys.len();
        self.count(kept_for(selector) + bytes)?;
        self.note("leaves", selector, list.ids.len(), bytes);
        Ok(list)
    }

    /// Passes lines on, as long as the stage keeps to its number of them; their end is kept for the report of a failure.
    pub(crate) fn log(&mut self, level: Level, message: &str) {
        let message = cut(message, LOG_LINE_BYTES_MAX);
        keep_tail(&mut self.log_tail, message);
        if let Some(watch) = &self.watch {
            watch.note(Seen::Log { level: level.as_str(), line: message.trim_end().to_owned() });
            return;
        }
        // A line break in a message must not begin a line that looks like the host's.
        for text in message.trim_end().split('\n') {
            if self.log_gate.admits(self.limits.log_lines_per_second_max, &self.identity) {
                self.pass_on(level, &line(text.trim_end()));
            }
        }
    }

    fn pass_on(&self, level: Level, line: &str) {
        let Identity { stage, generation, .. } = &*self.identity;
        match level {
            Level::Error => tracing::error!(target: "tamis::guest", %stage, generation, "{line}"),
            Level::Warn => tracing::warn!(target: "tamis::guest", %stage, generation, "{line}"),
            Level::Info => tracing::info!(target: "tamis::guest", %stage, generation, "{line}"),
            Level::Debug => tracing::debug!(target: "tamis::guest", %stage, generation, "{line}"),
        }
    }

    fn note(&self, function: &'static str, argument: &str, rows: usize, bytes: usize) {
        if let Some(watch) = &self.watch {
            watch.note(Seen::Pull(Pull { function, argument: argument.to_owned(), rows, bytes }));
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), Objection> {
        self.calls += 1;
        let max = self.limits.host_calls_max;
        if self.calls > max {
            return Err(Objection::HostLimit { limit: "host_calls_max", what: "host calls", max });
        }
        self.charge(bytes)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Objection> {
        self.bytes += bytes as u64;
        let max = self.limits.host_call_bytes_max;
        if self.bytes > max {
            let what = "bytes of columns";
            return Err(Objection::HostLimit { limit: "host_call_bytes_max", what, max });
        }
        Ok(())
    }

    /// The host has listed what is behind the last star of this path, so that the next column of the same list is quick. Charged is once
    /// for each list, by the text of its path: one list has more spellings than there is memory.
    fn indexed(&mut self, path: &str, rows: usize) -> Result<(), Objection> {
        let Some(star) = path.rfind('*') else { return Ok(()) };
        if self.lists.contains_key(&path[..=star]) {
            return Ok(());
        }
        self.lists.insert(path[..=star].to_owned(), List { rows, has_members: false });
        // How many rows the path had at the star before is not known here; there are no more than nodes.
        let before = if path[..star].contains('*') { self.nodes() } else { 0 };
        self.charge(INDEX_BYTES * rows + COUNT_BYTES * before)
    }

    /// For the second column of a list the host looks up all members of its objects, before this one is there.
    fn index_again(&mut self, path: &str) -> Result<(), Objection> {
        let Some(star) = path.rfind('*') else { return Ok(()) };
        let Some(list) = self.lists.get_mut(&path[..=star]) else { return Ok(()) };
        let is_first = !std::mem::replace(&mut list.has_members, true);
        let bytes = if is_first { MEMBERS_BYTES * list.rows } else { 0 };
        self.charge(bytes)
    }

    fn nodes(&self) -> usize {
        (0..self.columns.len()).map(|row| self.columns.event(row).doc.node_count() as usize).sum()
    }

    fn may_read(&mut self, path: &str, reading: Reading) -> Result<(), Objection> {
        let Some(selector) = &self.grant.selector else { return Ok(()) };
        let key = (path.to_owned(), reading);
        let granted = match self.grant.known.get(&key) {
            Some(granted) => *granted,
            None => {
                let parsed = self.columns.parsed(path).map_err(wrong_path)?;
                let granted = match reading {
                    Reading::Value => selector.grants_path(&parsed),
                    Reading::Subtree => selector.grants_subtree(&parsed),
                    Reading::Size => selector.grants_size(&parsed),
                };
                if self.grant.known.len() >= GRANTS_MAX {
                    self.grant.known.clear();
                }
                self.grant.known.insert(key, granted);
                granted
            }
        };
        let refuse = || {
            let what = match reading {
                Reading::Value => format!("reading {path:?}"),
                Reading::Subtree => format!("reading all of {path:?}"),
                Reading::Size => format!("counting {path:?}"),
            };
            Objection::Grant { what, which: "read", granted: self.grant.text.clone() }
        };
        granted.then_some(()).ok_or_else(refuse)
    }
}

/// What of a path a guest asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reading {
    Value,
    Subtree,
    Size,
}

/// About what a path or selector itself takes: its text in some maps, and what it was parsed to.
fn kept_for(text: &str) -> usize {
    256 + 8 * text.len()
}

fn wrong_path(error: host_event::ColumnError) -> Objection {
    if let host_event::ColumnError::SelectorWork { .. } = error {
        let max = host_event::limits::SELECTOR_STEPS_MAX;
        return Objection::HostLimit { limit: "selector_steps_max", what: "comparisons for a selector", max };
    }
    Objection::Path(error.to_string())
}

fn size_of_texts(texts: &Texts) -> usize {
    texts.data.len() + 5 * texts.presence.len() + 4
}

fn keep_tail(tail: &mut String, message: &str) {
    tail.push_str(message);
    if !message.ends_with('\n') {
        tail.push('\n');
    }
    if tail.len() > 2 * LOG_TAIL_BYTES_MAX {
        let from = tail.ceil_char_boundary(tail.len() - LOG_TAIL_BYTES_MAX);
        tail.drain(..from);
    }
}

impl LogGate {
    pub(crate) fn new(clock: Clock, metrics: Arc<StageMetrics>) -> LogGate {
        LogGate { clock, metrics, window: Mutex::default() }
    }

    fn admits(&self, lines_max: u32, identity: &Identity) -> bool {
        let now = (self.clock)();
        // Whatever panicked while it held this, numbers are numbers.
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.begun.is_none_or(|begun| now.duration_since(begun) >= Duration::from_secs(1)) {
            if window.suppressed > 0 {
                let Identity { stage, generation, .. } = identity;
                tracing::warn!(target: "tamis::guest", %stage, generation, suppressed = window.suppressed,
                    "log lines suppressed (log_lines_per_second_max)");
            }
            *window = Window { begun: Some(now), lines: 0, suppressed: 0 };
        }
        window.lines = window.lines.saturating_add(1);
        let admitted = window.lines <= lines_max;
        if !admitted {
            window.suppressed += 1;
            self.metrics.log_line_suppressed();
        }
        admitted
    }
}

impl Growth {
    fn by(&mut self, more: usize, max: usize) -> bool {
        self.last = 0;
        let total = self.total.saturating_add(more);
        if total > max {
            self.refused = true;
            return false;
        }
        (self.total, self.last) = (total, more);
        true
    }

    /// A guest may ask for more than its own declaration allows, and be told no for that reason.
    fn take_back(&mut self) {
        self.total -= std::mem::take(&mut self.last);
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.memory.by(desired.saturating_sub(current), self.limits.memory_bytes_max))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.take_back();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.tables.by(desired.saturating_sub(current), self.limits.table_elements_max))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.tables.take_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        INSTANCES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_second() {
        let begun = Instant::now();
        let now = Arc::new(Mutex::new(begun));
        let clock = Arc::clone(&now);
        let gate = LogGate::new(Arc::new(move || *clock.lock().unwrap()), Arc::default());
        let identity = Identity { stage: "s".into(), version: "v".into(), generation: 1 };
        for (millis, admitted) in [(0, 3), (999, 0), (1000, 3), (1500, 0), (5000, 3)] {
            *now.lock().unwrap() = begun + Duration::from_millis(millis);
            let got = (0..5).filter(|_| gate.admits(3, &identity)).count();
            assert_eq!(got, admitted, "after {millis} ms");
        }
        assert_eq!(gate.metrics.read().log_lines_suppressed, 25 - 9);
    }

    #[test]
    fn what_did_not_grow_is_not_counted() {
        let mut growth = Growth::default();
        assert!(growth.by(60, 100));
        growth.take_back();
        assert!(growth.by(100, 100) && !growth.by(1, 100));
        // Refused: there is nothing to take back.
        growth.take_back();
        assert_eq!((growth.total, growth.refused), (100, true));
    }

    #[test]
    fn the_tail_is_bounded() {
        let mut tail = String::new();
        for line in 0..10_000 {
            keep_tail(&mut tail, &format!("é{line}"));
        }
        assert!(tail.ends_with("é9998\né9999\n") && tail.len() <= 2 * LOG_TAIL_BYTES_MAX);
    }
}
