//! What `tamis pipeline` prints for people.

use std::fmt::Write;

use host_pipeline::generation::{Action, Because, Manifest, Rollout, Terms, describe};
use host_pipeline::trial;

use crate::control::{Shown, StageShown, Summary};

pub(super) fn shown(shown: &Shown) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_shown(shown, &mut text);
    text
}

fn write_shown(shown: &Shown, text: &mut String) -> std::fmt::Result {
    let Shown { manifest, newest, workers, stages, refused, report } = shown;
    writeln!(text, "generation {}, {}", manifest.generation, rollout(&manifest.rollout))?;
    writeln!(text, "published  {}{}", manifest.published_at, because(&manifest.because))?;
    if !workers.is_empty() {
        let workers: Vec<_> = workers.iter().enumerate().map(|(p, g)| format!("{p}: {g}")).collect();
        writeln!(text, "workers    {}", workers.join(", "))?;
    }
    if *newest != manifest.generation {
        writeln!(text, "newest     {newest}, which is not active here")?;
    }
    if let Some(refused) = refused {
        writeln!(text, "refused    generation {}: {}", refused.generation, refused.why)?;
    }
    if stages.is_empty() {
        manifest.stages.iter().try_for_each(|stage| writeln!(text, "stage      {}", describe(stage)))?;
    }
    stages.iter().try_for_each(|stage| write_stage(stage, text))?;
    match report {
        Some(report) => writeln!(text, "\nTrial so far\n{}", trial::render(report)),
        None => Ok(()),
    }
}

fn write_stage(stage: &StageShown, text: &mut String) -> std::fmt::Result {
    let StageShown { generation, name, kind, events, ns_per_event, memory_bytes, restarts, .. } = stage;
    write!(
        text,
        "stage      {name} ({}, of {generation}): {events} events, {ns_per_event:.0} ns each, {} KiB",
        kind.as_str(),
        memory_bytes.div_ceil(1024)
    )?;
    if *restarts > 0 {
        write!(text, ", {restarts} restarts")?;
    }
    for (reason, events) in &stage.faults {
        write!(text, ", failed on {events}: {reason}")?;
    }
    writeln!(text)?;
    for breaker in &stage.open_breakers {
        writeln!(
            text,
            "           LEFT ALONE for {:.0} s, tried again in {:.0} s (circuit breaker {}): {}",
            breaker.open_for_seconds, breaker.tried_again_in_seconds, stage.breaker, breaker.detail
        )?;
    }
    Ok(())
}

pub(super) fn rollout(rollout: &Rollout) -> String {
    let terms = |what: &str, of: &str, terms: &Terms| {
        format!("{what} on {} % of {of}, beside generation {}", terms.share * 100.0, terms.base)
    };
    match rollout {
        Rollout::Full => "which decides about everything".to_owned(),
        Rollout::Shadow(of) => terms("a shadow", "batches", of),
        Rollout::Canary(of) => terms("a canary", "traces", of),
    }
}

fn because(because: &Because) -> String {
    let Because { action, of, note, .. } = because;
    let of = of.map(|of| format!(" {of}")).unwrap_or_default();
    let what = match action {
        Action::Publish => String::new(),
        Action::Rollback => format!(", back to{of}"),
        Action::Promote => format!(", promotes{of}"),
        Action::Reject => format!(", rejects{of}"),
    };
    if note.is_empty() { what } else { format!("{what}: {note}") }
}

pub(super) fn published(manifest: &Manifest) -> String {
    let Manifest { generation, rollout: how, because: why, .. } = manifest;
    format!("generation {generation}, {}{}\n", rollout(how), because(why))
}

pub(super) fn changes(changes: &[String], base: u64) -> String {
    match changes.is_empty() {
        true => format!("the same as generation {base}\n"),
        false => format!("against generation {base}:\n{}", lines(changes)),
    }
}

pub(super) fn lines(changes: &[String]) -> String {
    changes.iter().map(|change| format!("  {change}\n")).collect()
}

pub(super) fn history(history: &[Summary]) -> String {
    let line = |summary: &Summary| {
        let Summary { generation, published_at, rollout: how, because: why, changes } = summary;
        let how = if *how == Rollout::Full { String::new() } else { format!(", {}", rollout(how)) };
        let evidence = why.evidence.as_ref().map_or_else(String::new, |report| {
            let agreement = report.agreement * 100.0;
            format!(
                "  evidence: {} events, {agreement:.2} % agreement, {} failures\n",
                report.events,
                report.traps()
            )
        });
        format!("{generation}  {published_at}{how}{}\n{evidence}{}", because(why), lines(changes))
    };
    history.iter().map(line).collect()
}
