//! What the host keeps beside a guest: the current batch, what the guest may read of it, and what it has used up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use host_event::{Columns, LeafList, Reals, Selector, Texts};
use wasmtime::ResourceLimiter;

use crate::failure::Objection;
use crate::limits::{INSTANCES_MAX, LOG_LINE_BYTES_MAX, LOG_TAIL_BYTES_MAX, Limits};
use crate::runtime::Clock;
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

/// The data of a store.
pub(crate) struct Host {
    pub(crate) columns: Columns,
    identity: Arc<Identity>,
    grant: Grant,
    limits: Arc<Limits>,
    calls: u64,
    bytes: u64,
    memory: usize,
    memory_refused: bool,
    time_max: Duration,
    log_gate: Arc<LogGate>,
    log_tail: String,
    /// Absent in a host that serves.
    pub(crate) watch: Option<Arc<Watch>>,
}

struct Grant {
    text: String,
    /// `None` grants everything.
    selector: Option<Selector>,
    known: HashMap<(String, bool), bool>,
}

/// Counts the lines that a stage writes, all its instances together: a new one after each failure writes no more.
pub(crate) struct LogGate {
    clock: Clock,
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
            time_max: limits.init_time_max,
            limits,
            calls: 0,
            bytes: 0,
            memory: 0,
            memory_refused: false,
            log_gate,
            log_tail: String::new(),
            watch: None,
        }
    }

    /// Starts the accounts of a call.
    pub(crate) fn begin(&mut self, time_max: Duration) {
        (self.calls, self.bytes, self.memory_refused) = (0, 0, false);
        self.time_max = time_max;
        self.log_tail.clear();
    }

    pub(crate) fn time_max(&self) -> Duration {
        self.time_max
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory
    }

    pub(crate) fn memory_refused(&self) -> bool {
        self.memory_refused
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
        self.may_read(path, false)?;
        let texts = self.columns.strings(path).map_err(wrong_path)?.clone();
        self.count(size_of_texts(&texts))?;
        self.note("strings", path, texts.len(), size_of_texts(&texts));
        Ok(texts)
    }

    pub(crate) fn numbers(&mut self, path: &str) -> Result<Reals, Objection> {
        self.may_read(path, false)?;
        let reals = self.columns.numbers(path).map_err(wrong_path)?.clone();
        self.count(9 * reals.values.len())?;
        self.note("numbers", path, reals.values.len(), 9 * reals.values.len());
        Ok(reals)
    }

    pub(crate) fn json(&mut self, path: &str) -> Result<Texts, Objection> {
        self.may_read(path, true)?;
        let texts = self.columns.json(path).map_err(wrong_path)?;
        self.count(size_of_texts(&texts))?;
        self.note("json", path, texts.len(), size_of_texts(&texts));
        Ok(texts)
    }

    pub(crate) fn counts(&mut self, path: &str) -> Result<Vec<u32>, Objection> {
        self.may_read(path, false)?;
        let counts = self.columns.counts(path).map_err(wrong_path)?;
        self.count(4 * counts.len())?;
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
        self.count(bytes)?;
        self.note("leaves", selector, list.ids.len(), bytes);
        Ok(list)
    }

    /// Passes a line on, as long as the stage keeps to its number of lines; its end is kept for the report of a failure.
    pub(crate) fn log(&mut self, level: Level, message: &str) {
        let message = cut(message, LOG_LINE_BYTES_MAX);
        keep_tail(&mut self.log_tail, message);
        if let Some(watch) = &self.watch {
            watch.note(Seen::Log { level: level.as_str(), line: message.trim_end().to_owned() });
            return;
        }
        if !self.log_gate.admits(self.limits.log_lines_per_second_max, &self.identity) {
            return;
        }
        let Identity { stage, generation, .. } = &*self.identity;
        let message = message.trim_end();
        match level {
            Level::Error => tracing::error!(target: "tamis::guest", %stage, generation, "{message}"),
            Level::Warn => tracing::warn!(target: "tamis::guest", %stage, generation, "{message}"),
            Level::Info => tracing::info!(target: "tamis::guest", %stage, generation, "{message}"),
            Level::Debug => tracing::debug!(target: "tamis::guest", %stage, generation, "{message}"),
        }
    }

    fn note(&self, function: &'static str, argument: &str, rows: usize, bytes: usize) {
        if let Some(watch) = &self.watch {
            watch.note(Seen::Pull(Pull { function, argument: argument.to_owned(), rows, bytes }));
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), Objection> {
        self.calls += 1;
        self.bytes += bytes as u64;
        let (calls_max, bytes_max) = (self.limits.host_calls_max, self.limits.host_call_bytes_max);
        if self.calls > calls_max {
            return Err(Objection::HostLimit { limit: "host_calls_max", what: "host calls", max: calls_max });
        }
        if self.bytes > bytes_max {
            let what = "bytes of columns";
            return Err(Objection::HostLimit { limit: "host_call_bytes_max", what, max: bytes_max });
        }
        Ok(())
    }

    fn may_read(&mut self, path: &str, subtree: bool) -> Result<(), Objection> {
        let Some(selector) = &self.grant.selector else { return Ok(()) };
        let key = (path.to_owned(), subtree);
        let granted = match self.grant.known.get(&key) {
            Some(granted) => *granted,
            None => {
                let parsed = self.columns.parsed(path).map_err(wrong_path)?;
                let granted = match subtree {
                    true => selector.grants_subtree(&parsed),
                    false => selector.grants_path(&parsed),
                };
                if self.grant.known.len() >= GRANTS_MAX {
                    self.grant.known.clear();
                }
                self.grant.known.insert(key, granted);
                granted
            }
        };
        let refuse = || {
            let what = format!("reading {}{path:?}", if subtree { "all of " } else { "" });
            Objection::Grant { what, which: "read", granted: self.grant.text.clone() }
        };
        granted.then_some(()).ok_or_else(refuse)
    }
}

fn wrong_path(error: host_event::ColumnError) -> Objection {
    Objection::Path(error.to_string())
}

fn size_of_texts(texts: &Texts) -> usize {
    texts.data.len() + 5 * texts.presence.len() + 4
}

/// The beginning of a text, on a character boundary.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
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
    pub(crate) fn new(clock: Clock) -> LogGate {
        LogGate { clock, window: Mutex::default() }
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
        window.suppressed += u64::from(!admitted);
        admitted
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.limits.memory_bytes_max {
            self.memory_refused = true;
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.limits.table_elements_max)
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
        let gate = LogGate::new(Arc::new(move || *clock.lock().unwrap()));
        let identity = Identity { stage: "s".into(), version: "v".into(), generation: 1 };
        for (millis, admitted) in [(0, 3), (999, 0), (1000, 3), (1500, 0), (5000, 3)] {
            *now.lock().unwrap() = begun + Duration::from_millis(millis);
            let got = (0..5).filter(|_| gate.admits(3, &identity)).count();
            assert_eq!(got, admitted, "after {millis} ms");
        }
    }

    #[test]
    fn the_tail_is_bounded() {
        let mut tail = String::new();
        for line in 0..10_000 {
            keep_tail(&mut tail, &format!("é{line}"));
        }
        assert!(tail.ends_with("é9998\né9999\n") && tail.len() <= 2 * LOG_TAIL_BYTES_MAX);
        assert_eq!(cut("aé", 2), "a");
    }
}
