//! Holds the tables of docs/security.md against the suite's and against the limits of the code.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use host_plugin::limits::{
    BACK_OFF_PER_TIME_SPENT, COMPONENT_BYTES_MAX, EDIT_TEXT_BYTES_MAX, EDITS_MAX, EPOCH_TICK,
    FINGERPRINT_BYTES_MAX, FINGERPRINTS_MAX, HANDLES_MAX, INSTANCES_MAX, LOG_LINE_BYTES_MAX,
    LOG_TAIL_BYTES_MAX, NAME_BYTES_MAX, NAMES_MAX, PATH_SEGMENTS_MAX, STACK_BYTES_MAX,
};
use host_plugin::{
    ARTEFACT_BYTES_MAX, COMPILE_CPU_SECONDS_MAX, COMPILE_MEMORY_BYTES_MAX, COMPILE_TIME_MAX, Limits,
};

use crate::rows::Row;

pub fn check(rows: &[Row]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
    let old = std::fs::read_to_string(&path).unwrap();
    let new = with_table(&with_table(&old, "hostile guests", &table(rows)), "limits", &limits());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, new).unwrap();
        return;
    }
    assert!(
        old == new,
        "the tables of docs/security.md are not those of the code: renew them with UPDATE_EXPECT=1"
    );
}

/// The document with a table between the remarks that say where it stands.
fn with_table(text: &str, name: &str, table: &str) -> String {
    let begin =
        format!("<!-- {name}: written by `UPDATE_EXPECT=1 cargo test -p host-plugin --test hostile` -->\n");
    let end = format!("<!-- end of {name} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no {begin} in docs/security.md"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end} in docs/security.md"));
    format!("{before}{begin}{table}{end}{after}")
}

fn table(rows: &[Row]) -> String {
    let mut out = format!(
        "{} guests.\n\n| | a guest that ... | is stopped by | and ends so |\n|---|---|---|---|\n",
        rows.len()
    );
    for of_group in rows.chunk_by(|a, b| a.group == b.group) {
        for (at, row) in of_group.iter().enumerate() {
            let group = if at == 0 { row.group } else { "" };
            let limit = match row.limit.ends_with("_max") || row.limit.ends_with("_recycle") {
                true => format!("`{}`", row.limit),
                false => row.limit.to_owned(),
            };
            writeln!(out, "| {group} | {} | {limit} | {} |", row.name, row.ends.as_str()).unwrap();
        }
    }
    out
}

fn bytes(bytes: impl TryInto<u64>) -> String {
    let bytes: u64 = bytes.try_into().ok().unwrap();
    match bytes {
        b if b >= 1 << 30 && b % (1 << 30) == 0 => format!("{} GiB", b >> 30),
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{} KiB", b >> 10),
        b => format!("{b} bytes"),
    }
}

fn time(time: Duration) -> String {
    format!("{time:?}")
}

/// Every field, so that a new limit does not compile until it stands here.
fn limits() -> String {
    let Limits {
        memory_bytes_max,
        memory_bytes_recycle,
        table_elements_max,
        call_time_max,
        init_time_max,
        answer_bytes_max,
        host_calls_max,
        host_call_bytes_max,
        log_lines_per_second_max,
        isolated_faults_max,
        isolation_time_max,
        failed_batches_max,
        back_off_min,
        back_off_max,
    } = Limits::default();
    let of_stages = [
        (
            "memory_bytes_max",
            bytes(memory_bytes_max),
            "linear memory of an instance, all its memories together",
            "`memory`",
        ),
        (
            "memory_bytes_recycle",
            bytes(memory_bytes_recycle),
            "memory at which an instance is replaced after its answer",
            "none: `tamis_stage_restarts_total`",
        ),
        (
            "table_elements_max",
            table_elements_max.to_string(),
            "elements of all its tables together",
            "`table`",
        ),
        ("call_time_max", time(call_time_max), "a call, that is a batch", "`deadline`"),
        (
            "init_time_max",
            time(init_time_max),
            "making an instance, and its `init`",
            "the stage does not start; later `start`",
        ),
        (
            "answer_bytes_max",
            bytes(answer_bytes_max),
            "what an answer, or the arguments of a call of the host, copy into the host",
            "`answer-too-large`",
        ),
        (
            "host_calls_max",
            host_calls_max.to_string(),
            "calls of the host's functions in a call",
            "`host-limit`",
        ),
        (
            "host_call_bytes_max",
            bytes(host_call_bytes_max),
            "what those hand over or keep in a call",
            "`host-limit`",
        ),
        (
            "log_lines_per_second_max",
            log_lines_per_second_max.to_string(),
            "lines that reach the host's log",
            "none: a line says how many are missing",
        ),
        (
            "isolated_faults_max",
            isolated_faults_max.to_string(),
            "events of a batch that are found one by one; then the rest fails with them",
            "that of the last",
        ),
        ("isolation_time_max", time(isolation_time_max), "time for finding them", "that of the last"),
        (
            "failed_batches_max",
            failed_batches_max.to_string(),
            "failed batches in a row, after which the stage is left alone",
            "`breaker-open`",
        ),
        ("back_off_min", time(back_off_min), "for how long, at first", "`breaker-open`"),
        ("back_off_max", time(back_off_max), "for how long at most", "`breaker-open`"),
    ];
    let of_all = [
        ("stack_bytes_max", bytes(STACK_BYTES_MAX), "native stack of a call", "`stack`"),
        (
            "instances_max",
            INSTANCES_MAX.to_string(),
            "core instances, and as many memories and tables",
            "the stage does not start: `instances`",
        ),
        (
            "handles_max",
            HANDLES_MAX.to_string(),
            "handles of its own resources that an instance holds",
            "`handles`",
        ),
        ("path_bytes_max", bytes(host_event::limits::PATH_BYTES_MAX), "a path or a selector", "`path`"),
        (
            "selector_steps_max",
            host_event::limits::SELECTOR_STEPS_MAX.to_string(),
            "comparisons of the parts of a selector with events, for one call of `leaves`",
            "`host-limit`",
        ),
        ("path_segments_max", PATH_SEGMENTS_MAX.to_string(), "segments of a path", "`path`"),
        (
            "name_bytes_max",
            bytes(NAME_BYTES_MAX),
            "a reason, the name of a rule, or a kind",
            "`wrong-answer`",
        ),
        ("names_max", NAMES_MAX.to_string(), "reasons, rules or kinds of an answer", "`wrong-answer`"),
        ("fingerprint_bytes_max", bytes(FINGERPRINT_BYTES_MAX), "a fingerprint", "`wrong-answer`"),
        ("fingerprints_max", FINGERPRINTS_MAX.to_string(), "fingerprints of an event", "`wrong-answer`"),
        (
            "edits_max",
            EDITS_MAX.to_string(),
            "edits of a batch, also when it is asked about in parts",
            "`wrong-answer`",
        ),
        (
            "edit_text_bytes_max",
            bytes(EDIT_TEXT_BYTES_MAX),
            "new text and names of rules in them",
            "`wrong-answer`",
        ),
        (
            "edit_growth_bytes_max",
            bytes(host_event::limits::EDIT_GROWTH_BYTES_MAX),
            "what edits add to an event",
            "`wrong-answer`",
        ),
        (
            "log_line_bytes_max",
            bytes(LOG_LINE_BYTES_MAX),
            "a message to the log; what is longer is cut",
            "none",
        ),
        ("log_tail_bytes_max", bytes(LOG_TAIL_BYTES_MAX), "what it wrote last, in an error", "none"),
        (
            "back_off_per_time_spent",
            BACK_OFF_PER_TIME_SPENT.to_string(),
            "times that a stage is left alone for what its failure took",
            "`breaker-open`",
        ),
        ("epoch_tick", time(EPOCH_TICK), "how exact limits on time are", "none"),
        ("component_bytes_max", bytes(COMPONENT_BYTES_MAX), "a component", "it is refused"),
        (
            "compile_memory_bytes_max",
            bytes(COMPILE_MEMORY_BYTES_MAX),
            "memory of the compiler",
            "it is refused",
        ),
        (
            "compile_cpu_seconds_max",
            format!("{COMPILE_CPU_SECONDS_MAX}s"),
            "processor time of the compiler",
            "it is refused",
        ),
        ("compile_time_max", time(COMPILE_TIME_MAX), "time of the compiler", "it is refused"),
        ("artefact_bytes_max", bytes(ARTEFACT_BYTES_MAX), "what comes out of it", "it is refused"),
    ];
    let mut out = "| limit | default | of what | reason |\n|---|---|---|---|\n".to_owned();
    for (name, default, of_what, reason) in of_stages {
        writeln!(out, "| `{name}` | {default} | {of_what} | {reason} |").unwrap();
    }
    out.push_str("\n| for all stages | is | of what | reason |\n|---|---|---|---|\n");
    for (name, value, of_what, reason) in of_all {
        writeln!(out, "| `{name}` | {value} | {of_what} | {reason} |").unwrap();
    }
    out
}
