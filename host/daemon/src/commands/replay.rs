//! `tamis replay`: stored events through a candidate and through what decides now.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use cpu_time::ThreadTime;
use host_event::{Category, Columns, Event, Millis};
use host_pipeline::generation;
use host_pipeline::trial::{self, Report, Side, Trial};
use host_pipeline::{Chain, Decision};
use host_sink::store::StoreShelf;
use host_sink::stored::{PassedBy, StoredEvents, Wanted};
use serde::Serialize;

use super::open_store;
use super::pipeline::{candidate, tokio_runtime};
use crate::cli::Replay;
use crate::generations::Generations;
use crate::{components, report};

/// Events of one batch: as many as a worker gathers by default.
const BATCH_EVENTS: usize = 256;
/// Batches between two lines of progress.
const PROGRESS_BATCHES: u64 = 40;

/// What a replay found, and what it could not ask about.
#[derive(Debug, Serialize)]
struct Replayed {
    base: u64,
    report: Report,
    /// Rows that have no payload.
    without_payload: u64,
    /// Rows whose payload is no JSON object, and files that can not be read.
    unreadable: u64,
}

pub fn replay(args: &Replay) -> anyhow::Result<ExitCode> {
    let wanted = wanted(args)?;
    let (stages, components) = match candidate(&args.pipeline)? {
        Ok(candidate) => candidate,
        Err(problems) => return Ok(report::problems(&problems)),
    };
    let tokio = tokio_runtime()?;
    let store = open_store(&args.store, tokio.handle())?;
    let shelf = Arc::new(StoreShelf(Arc::clone(&store)));
    let generations = Generations::new(shelf, components::runtime_in(super::plugin::cache())?, 0);
    let base = match args.base {
        Some(number) => number,
        None => {
            let newest = generation::newest(generations.shelf())?.context("the store has no pipeline")?;
            generation::deciding(generations.shelf(), &newest)?.generation
        }
    };
    let sides = [generations.chain(base)?, generations.chain_of(&stages, &components)?];
    let mut asked = Asked { sides, columns: Columns::default(), trial: Trial::default() };
    let mut events = StoredEvents::open(store, wanted)?;
    let unreadable_files = asked.ask_all(&mut events, args.limit)?;
    let PassedBy { without_payload, unreadable } = events.passed_by();
    let unreadable = unreadable + unreadable_files;
    let found = Replayed { base, report: asked.trial.report(), without_payload, unreadable };
    match args.json.json {
        true => report::print(&(serde_json::to_string_pretty(&found)? + "\n"))?,
        false => report::print(&render(&found))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn wanted(args: &Replay) -> anyhow::Result<Wanted> {
    let (from, to) = (time("--from", &args.from)?, time("--to", &args.to)?);
    anyhow::ensure!(from < to, "--from {} is not before --to {}", args.from, args.to);
    let categories = vec![Category::Error, Category::Transaction, Category::Span, Category::Log];
    Ok(Wanted { from, to, categories, projects: args.project.clone() })
}

/// A day, or a time with its zone.
fn time(name: &str, text: &str) -> anyhow::Result<Millis> {
    let day = text.parse::<jiff::civil::Date>().ok().filter(|_| !text.contains('T'));
    let at = match day {
        Some(day) => jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0))?,
        None => text.parse::<jiff::Timestamp>().with_context(|| {
            format!("{name} {text:?} is no time such as 2026-11-20 or 2026-11-20T08:00:00Z")
        })?,
    };
    Ok(at.as_millisecond())
}

/// Base and candidate, and what came of asking them.
struct Asked {
    sides: [Chain; 2],
    columns: Columns,
    trial: Trial,
}

impl Asked {
    /// Gives the number of files that can not be read.
    fn ask_all(&mut self, events: &mut StoredEvents, limit: Option<u64>) -> anyhow::Result<u64> {
        let (mut batch, mut unreadable, mut asked, mut batches) = (Vec::new(), 0, 0, 0u64);
        loop {
            let next = events.next();
            let is_end = next.is_none() || limit.is_some_and(|limit| asked >= limit);
            match next {
                Some(Ok(stored)) if !is_end => {
                    asked += 1;
                    batch.push(stored.event);
                }
                Some(Err(e)) => {
                    unreadable += 1;
                    tracing::error!("{e}");
                }
                _ => {}
            }
            if batch.len() >= BATCH_EVENTS || is_end {
                self.ask(std::mem::take(&mut batch));
                batches += 1;
                progress(events.progress(), asked, is_end, batches);
            }
            if is_end {
                return Ok(unreadable);
            }
        }
    }

    /// A chain is asked about events of one category, as a worker does.
    fn ask(&mut self, events: Vec<Event>) {
        for category in [Category::Error, Category::Transaction, Category::Span, Category::Log] {
            let of_category: Vec<Event> = events.iter().filter(|e| e.category == category).cloned().collect();
            if of_category.is_empty() {
                continue;
            }
            let [base, candidate] = &mut self.sides;
            let was = answer(base, &of_category, &mut self.columns);
            let is = answer(candidate, &of_category, &mut self.columns);
            self.trial.add(&of_category, was.side(), is.side());
        }
    }
}

struct Answered {
    events: Vec<Event>,
    decisions: Vec<Decision>,
    cpu_nanos: u64,
}

impl Answered {
    fn side(&self) -> Side<'_> {
        Side { events: &self.events, decisions: &self.decisions, cpu_nanos: self.cpu_nanos }
    }
}

fn answer(chain: &mut Chain, events: &[Event], columns: &mut Columns) -> Answered {
    let begun = ThreadTime::now();
    let (events, decisions) = chain.run(events.to_vec(), columns);
    Answered { events, decisions, cpu_nanos: begun.elapsed().as_nanos() as u64 }
}

/// A line on stderr that is written over, if somebody is looking.
fn progress((done, of): (usize, usize), events: u64, is_end: bool, batches: u64) {
    let mut err = std::io::stderr();
    if err.is_terminal() && (is_end || batches.is_multiple_of(PROGRESS_BATCHES)) {
        let end = if is_end { "\n" } else { "" };
        // There is nowhere left to say that stderr is gone.
        let _ = write!(err, "\rfile {done} of {of}, {events} events{end}");
    }
}

fn render(found: &Replayed) -> String {
    let mut text = format!("Candidate against generation {}\n{}", found.base, trial::render(&found.report));
    if found.without_payload + found.unreadable > 0 {
        text += &format!(
            "\nNot asked about: {} rows without a payload, {} that can not be read\n",
            found.without_payload, found.unreadable
        );
    }
    text
}
