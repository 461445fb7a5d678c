//! `tamis repair`: explains what `verify` found, and mends what can be mended when it is told to.

mod rebuild;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use host_sink::repair::{self, ByHand, Lost, Plan, Step};
use host_sink::store::Store;
use host_sink::{BreachKind, Report};
use serde_json::json;
use tokio::runtime::Handle;

use super::pipeline::tokio_runtime;
use super::verify::{Place, look};
use super::{EXIT_FOUND_SOMETHING, counted, open_store};
use crate::cli::Repair;
use crate::report;
use rebuild::Rebuilder;

pub fn repair(args: &Repair) -> anyhow::Result<ExitCode> {
    let tokio = tokio_runtime()?;
    let place = match Place::of(&args.at) {
        Ok(place) => place,
        Err(problems) => return Ok(report::problems(&problems)),
    };
    let store = open_store(&place.url, tokio.handle())?;
    let found = look(&store, &place, &args.reading)?;
    if found.is_sound() && !args.reading.json {
        report::print("sound: nothing to repair\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let plan = repair::plan(&store, &found)?;
    let can_do: Vec<&Step> = plan.steps.iter().filter(|step| refusal(step, &place).is_none()).collect();
    if !args.reading.json {
        report::print(&explain(&found, &plan, &place))?;
    }
    let done = match may_act(args, can_do.len())? {
        true => act(&store, &place, tokio.handle(), &can_do),
        false => Vec::new(),
    };
    if args.reading.json {
        let failed: Vec<_> = done.iter().filter_map(|done| done.as_ref().err()).collect();
        let mended = done.len() - failed.len();
        let text =
            json!({ "breaches": found.breaches_count, "plan": plan, "mended": mended, "failed": failed });
        report::print(&(serde_json::to_string_pretty(&text)? + "\n"))?;
    } else {
        report::print(&outcome(&done))?;
    }
    let is_done = plan.by_hand.is_empty()
        && done.len() == plan.steps.len()
        && done.iter().all(Result::is_ok)
        && found.breaches.len() as u64 == found.breaches_count;
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND_SOMETHING) })
}

/// Asks, if there is something to ask about and somebody to ask.
fn may_act(args: &Repair, steps: usize) -> anyhow::Result<bool> {
    if steps == 0 || args.yes {
        return Ok(steps > 0);
    }
    let input = std::io::stdin();
    if args.reading.json || !input.is_terminal() {
        eprintln!("nothing was done: there is nobody to ask; --yes does it without asking");
        return Ok(false);
    }
    let mut err = std::io::stderr();
    write!(err, "do {}? [y/N] ", counted(steps, "repair"))?;
    err.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn act(
    store: &Arc<dyn Store>,
    place: &Place,
    tokio: &Handle,
    steps: &[&Step],
) -> Vec<Result<String, String>> {
    let mut rebuilder = None;
    let mut act = |step: &&Step| match step {
        Step::FinishRound { ledger, missing } => {
            let done = repair::finish_round(store, ledger).map_err(|e| format!("{ledger}: {e}"));
            done.map(|()| put(ledger, missing))
        }
        Step::Rebuild(lost) => {
            let host = place.host.as_ref().ok_or("it needs --config")?;
            // Opened once, and only when it is needed. Where it does not open for one it does not for the others.
            let rebuilder = rebuilder.get_or_insert_with(|| {
                Rebuilder::open(host, tokio, &lost.source).map_err(|e| format!("{e:#}"))
            });
            let rebuilt = match rebuilder {
                Ok(rebuilder) => rebuilder.rebuild(lost).map_err(|e| format!("{e:#}")),
                Err(what) => Err(what.clone()),
            };
            rebuilt
                .map(|()| put(&lost.ledger, &lost.missing))
                .map_err(|what| format!("{}: {what}", lost.ledger))
        }
    };
    let done = steps.iter().map(&mut act).collect();
    if let Some(Ok(rebuilder)) = rebuilder {
        rebuilder.close();
    }
    done
}

fn put(ledger: &str, missing: &[String]) -> String {
    format!("{ledger}: {} put in place", counted(missing.len(), "file"))
}

fn outcome(done: &[Result<String, String>]) -> String {
    let mut out = String::new();
    for done in done {
        let _ = match done {
            Ok(what) => writeln!(out, "done: {what}"),
            Err(what) => writeln!(out, "failed: {what}"),
        };
    }
    if done.is_empty() {
        out.push_str("nothing was changed\n");
    }
    out
}

/// Why a step can not be done from here; `None` if it can.
fn refusal(step: &Step, place: &Place) -> Option<String> {
    match step {
        Step::FinishRound { .. } => None,
        Step::Rebuild(Lost { is_last: true, .. }) => Some(
            "it is the youngest chunk of its partition: `tamis run` finishes it by itself, now or at its next start".into(),
        ),
        Step::Rebuild(_) if place.host.is_none() => {
            Some("only the queue has the records: name the tamis.toml that has it, with --config".into())
        }
        Step::Rebuild(_) if place.host.as_ref().is_some_and(|host| host.kafka.is_some()) => None,
        Step::Rebuild(Lost { start, end, .. }) => Some(format!(
            "the queue of one machine forgets what is committed, and offsets {start}..{end} are: they are in none but a copy of \
             the store"
        )),
    }
}

/// Everything that was found, what it means, and what would be done.
fn explain(found: &Report, plan: &Plan, place: &Place) -> String {
    let mut out = String::new();
    let breaches = found.breaches_count;
    let _ = writeln!(out, "{breaches} {}\n", if breaches == 1 { "breach" } else { "breaches" });
    for step in &plan.steps {
        explain_step(step, place, &mut out);
    }
    let mut by_kind: BTreeMap<BreachKind, Vec<&ByHand>> = BTreeMap::new();
    plan.by_hand.iter().for_each(|by_hand| by_kind.entry(by_hand.breach.kind).or_default().push(by_hand));
    for (kind, all) in by_kind {
        let _ = writeln!(out, "by hand: {kind:?}: {}", meaning(kind));
        for ByHand { breach, note } in all {
            let _ = writeln!(out, "  {}: {}", breach.file, breach.what);
            if let Some(note) = note {
                let _ = writeln!(out, "    {note}");
            }
        }
        out.push('\n');
    }
    let left_off = found.breaches_count - found.breaches.len() as u64;
    if left_off > 0 {
        let _ = writeln!(out, "and {left_off} more, which show when these are gone\n");
    }
    for hint in &found.hints {
        let _ = writeln!(out, "hint: {hint}\n");
    }
    out
}

fn explain_step(step: &Step, place: &Place, out: &mut String) {
    let (head, missing) = match step {
        Step::FinishRound { ledger, missing } => (
            format!(
                "{ledger} is a round of release that was left unfinished: its files wait below control/release"
            ),
            missing,
        ),
        Step::Rebuild(Lost { ledger, start, end, missing, .. }) => {
            (format!("{ledger} fixes offsets {start}..{end}, and lacks table files"), missing)
        }
    };
    let _ = writeln!(out, "{head}");
    for file in missing {
        let _ = writeln!(out, "  missing: {file}");
    }
    let _ = match refusal(step, place) {
        Some(why) => writeln!(out, "  can not be mended from here: {why}\n"),
        None => {
            let from = match step {
                Step::FinishRound { .. } => "put in its place",
                Step::Rebuild(_) => "built anew from the queue, if it still has these offsets",
            };
            writeln!(out, "  repair: each file is {from}; nothing is overwritten\n")
        }
    };
}

/// What a breach of a kind means, and what a person can do.
fn meaning(kind: BreachKind) -> &'static str {
    match kind {
        BreachKind::UnreadableLedger => {
            "nobody can say what became of these offsets. If it is no file of Tamis, move it out of the folder; else bring it back \
             from a copy or an earlier version of the object"
        }
        BreachKind::Misplaced => {
            "a file was copied or moved. If it is a copy, move it out of the tables; if not, move it back to where it belongs"
        }
        BreachKind::Gap => {
            "a ledger is gone that was there, since the one behind it was written after it, or the queue was committed behind it. Bring it back from a copy or an earlier \
             version of the object; its table files may still be there, and show as orphans"
        }
        BreachKind::Overlap | BreachKind::Fork => {
            "two chunks have the same offsets, so their rows count twice where they are the same events. Which one is to go is for you to \
             decide: move its ledger and its table files out, all of the same name"
        }
        BreachKind::MissingTable => "rows are gone that a ledger speaks of",
        BreachKind::Unfinished => "a round of release lacks files that nobody has staged",
        BreachKind::Orphan => {
            "rows that nobody vouches for. Tables are read with them, so move them out as soon as it is certain that they are doubles; \
             nothing is deleted here"
        }
        BreachKind::Unreadable
        | BreachKind::RowCount
        | BreachKind::OutOfRange
        | BreachKind::Duplicate
        | BreachKind::NoOutcome
        | BreachKind::Conservation => {
            "the file is damaged, or another than the one that was written. An object is never overwritten: bring it back from a copy \
             or an earlier version; or, if it is a table file, move it out of the folder and run `tamis repair` again, \
             which builds it anew as long as the queue has its offsets"
        }
    }
}
