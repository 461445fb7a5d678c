//! What `tamis quarantine` prints for people.
//!
//! Texts of clients and plugins are printed without what a terminal would obey.

use std::fmt::Write;

use host_event::{Doc, Millis};
use host_sink::quarantine::Held;
use host_sink::release::{Stayed, Summary};

use super::{Count, Totals};
use crate::cli::quarantine::Release;

/// Items that stayed and are shown one by one.
const STAYED_SHOWN_MAX: usize = 20;

pub(super) fn time(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| at.to_string())
}

/// Without characters that move the cursor or worse. Lines stay lines.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Rows in columns, the first one their names.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(|cell| clean(cell).replace('\n', " ")).into()
}

pub(super) fn list(totals: &Totals, items: &[Held], all: bool) -> String {
    let sum = |count: fn(&Count) -> u64| totals.values().map(count).sum::<u64>();
    let (held, released) = (sum(|c| c.held), sum(|c| c.released));
    let mut out = format!("{held} in quarantine, {released} released\n");
    if totals.is_empty() {
        return out;
    }
    let mut rows = vec![row(["stage", "reason", "held", "released"])];
    rows.extend(totals.iter().map(|((stage, reason), count)| {
        row([stage, reason, &count.held.to_string(), &count.released.to_string()])
    }));
    let _ = write!(out, "\n{}", table(&rows));
    if items.is_empty() {
        return out;
    }
    let released_by = if all { "released by" } else { "" };
    let head = ["received", "project", "event id", "category", "stage", "reason", "generation", "partition"];
    let mut rows = vec![row(head)];
    rows[0].extend(row(["offset", released_by]));
    rows.extend(items.iter().map(|held| {
        let by = held.released.map_or_else(String::new, |r| format!("generation {}", r.generation));
        let meta = &held.meta;
        let mut cells = row([
            &time(meta.received_at),
            &meta.project_id.to_string(),
            &meta.event_id.to_string(),
            held.category.as_str(),
            &held.stage,
            &held.reason,
            &held.generation.to_string(),
            &held.partition.to_string(),
        ]);
        cells.extend(row([&held.offset.to_string(), &by]));
        cells
    }));
    let _ = write!(out, "\n{}", table(&rows));
    let listed_of = if all { held + released } else { held };
    let left_out = listed_of - items.len() as u64;
    if left_out > 0 {
        let _ = writeln!(out, "and {left_out} older ones: --limit 0 lists all");
    }
    out
}

pub(super) fn item(held: &Held) -> String {
    let meta = &held.meta;
    let rate = held.server_sample_rate.map_or_else(|| "not kept".to_owned(), |rate| rate.to_string());
    let state = match held.released {
        Some(r) => format!("released by generation {} in round {}", r.generation, r.round),
        None => "in quarantine".to_owned(),
    };
    let mut out = String::new();
    for (name, value) in [
        ("event", &meta.event_id.to_string()),
        ("state", &state),
        ("project", &meta.project_id.to_string()),
        ("category", &held.category.to_string()),
        ("stage", &held.stage),
        ("reason", &held.reason),
        ("generation", &held.generation.to_string()),
        ("partition", &held.partition.to_string()),
        ("offset", &held.offset.to_string()),
        ("received", &time(meta.received_at)),
        ("sent", &meta.sent_at.map_or_else(String::new, time)),
        ("environment", &meta.environment),
        ("sdk", &meta.sdk),
        ("client ip", &meta.client_ip),
        ("user agent", &meta.user_agent),
        ("trace", &String::from_utf8_lossy(&meta.trace).into_owned()),
        ("rate so far", &rate),
    ] {
        let _ = writeln!(out, "{}", format!("{name:12} {}", clean(value).replace('\n', " ")).trim_end());
    }
    let _ = writeln!(out, "\n{}\n", clean(&held.detail).trim_end());
    let mut payload = String::new();
    match Doc::parse(held.payload.clone()) {
        Ok(doc) => host_kit::pretty(doc.root(), 0, &mut payload),
        Err(_) => payload = String::from_utf8_lossy(&held.payload).into_owned(),
    }
    let _ = writeln!(out, "{}", clean(&payload));
    out
}

pub(super) fn summary(args: &Release, summary: &Summary) -> String {
    let mut out = String::new();
    if args.dry_run {
        let _ = writeln!(out, "nothing was written; this is what would be:");
    }
    let mut rows = vec![row(["", "", "", "quantity"])];
    for ((outcome, reason), quantity) in &summary.released {
        rows.push(row(["released", outcome, reason, &quantity.to_string()]));
    }
    for ((stage, reason), quantity) in &summary.stayed {
        rows.push(row(["stayed", stage, reason, &quantity.to_string()]));
    }
    match rows.len() {
        1 => {
            let _ = writeln!(out, "nothing that was asked for is in quarantine");
        }
        _ => out.push_str(&table(&rows[1..])),
    }
    if summary.released_before > 0 {
        let _ = writeln!(out, "released before: {}", summary.released_before);
    }
    if summary.finished > 0 {
        let _ = writeln!(out, "rounds of an earlier release that were finished: {}", summary.finished);
    }
    for Stayed { project_id, event_id, stage, reason, detail } in
        summary.stayed_items.iter().take(STAYED_SHOWN_MAX)
    {
        let detail = clean(detail.lines().next().unwrap_or_default());
        let _ = writeln!(out, "project {project_id} event {event_id} stays: {stage}: {reason}: {detail}");
    }
    let stayed: u64 = summary.stayed.values().sum();
    if stayed > STAYED_SHOWN_MAX as u64 {
        let _ = writeln!(out, "and {} more stay", stayed - STAYED_SHOWN_MAX as u64);
    }
    for problem in &summary.problems {
        let _ = writeln!(out, "problem: {}", clean(problem));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_told_anything() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{9b}1m\r"), "a\u{fffd}[31mb\nc\u{fffd}1m\u{fffd}");
    }
}
