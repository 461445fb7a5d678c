//! What one pipeline does otherwise than another, in words.

use host_event::Selector;
use serde_json::Value;

use super::StageManifest;
use crate::stage::FailurePolicy;

/// Bytes of a value that are shown.
const VALUE_BYTES_MAX: usize = 120;

/// A line for each difference, in the order of the new stages. Empty if there is none. What lets a plugin see or edit more than before
/// begins with `WIDER`.
pub fn diff(old: &[StageManifest], new: &[StageManifest]) -> Vec<String> {
    let mut lines = Vec::new();
    let find = |stages: &'_ [StageManifest], name: &str| stages.iter().position(|s| s.name == name);
    for stage in new {
        match find(old, &stage.name) {
            None => added(stage, &mut lines),
            Some(at) => changed(&old[at], stage, &mut lines),
        }
    }
    for stage in old.iter().filter(|stage| find(new, &stage.name).is_none()) {
        lines.push(format!("- {}: the {} is taken out", stage.name, stage.kind.as_str()));
    }
    let order = |stages: &[StageManifest], others: &[StageManifest]| {
        let names = stages.iter().filter(|s| find(others, &s.name).is_some());
        names.map(|s| s.name.clone()).collect::<Vec<_>>()
    };
    let (was, is) = (order(old, new), order(new, old));
    if was != is {
        lines.push(format!("~ the order of stages: {}, before {}", is.join(", "), was.join(", ")));
    }
    lines
}

/// One line that says what a stage is.
pub fn describe(stage: &StageManifest) -> String {
    let StageManifest { name, kind, component, .. } = stage;
    format!("{name}: {} {}", kind.as_str(), short(component))
}

fn added(stage: &StageManifest, lines: &mut Vec<String>) {
    lines.push(format!("+ {}, on {}", describe(stage), categories(stage)));
    let name = &stage.name;
    lines.push(format!("WIDER {name}: may read {}", places(&stage.read)));
    if stage.kind == crate::StageKind::Scrubber {
        lines.push(format!("WIDER {name}: may edit {}", places(&stage.write)));
    }
}

fn changed(old: &StageManifest, new: &StageManifest, lines: &mut Vec<String>) {
    let name = &new.name;
    if old.kind != new.kind {
        lines.push(format!("~ {name}: a {}, before a {}", new.kind.as_str(), old.kind.as_str()));
    }
    if old.component != new.component {
        lines.push(format!(
            "~ {name}: component {}, before {}",
            short(&new.component),
            short(&old.component)
        ));
    }
    values(&format!("~ {name}: config"), "", &old.config, &new.config, lines);
    grant(name, "read", &old.read, &new.read, lines);
    grant(name, "edit", &old.write, &new.write, lines);
    if old.categories != new.categories {
        lines.push(format!("~ {name}: sees {}, before {}", categories(new), categories(old)));
    }
    if old.on_failure != new.on_failure {
        let policy = |policy| match policy {
            FailurePolicy::FailOpen => "passes (fail-open)",
            FailurePolicy::FailClosed => "is quarantined (fail-closed)",
        };
        let (is, was) = (policy(new.on_failure), policy(old.on_failure));
        lines.push(format!("~ {name}: an event that it fails on {is}, before it {was}"));
    }
    let limits = |stage: &StageManifest| Value::Object(stage.limits.clone());
    values(&format!("~ {name}: limit"), "", &limits(old), &limits(new), lines);
}

/// Says whether a grant got wider, as far as that can be told from two selectors.
fn grant(name: &str, what: &str, old: &str, new: &str, lines: &mut Vec<String>) {
    if old == new {
        return;
    }
    let (was, is) = (places(old), places(new));
    let line = match (covers(old, new), covers(new, old)) {
        (true, true) => return,
        (true, false) => format!("~ {name}: may {what} only {is}, before {was}"),
        (false, true) => format!("WIDER {name}: may {what} {is}, before only {was}"),
        (false, false) => format!("WIDER {name}: may {what} {is}, before {was}: other places"),
    };
    lines.push(line);
}

/// Whether all that `narrow` names is surely named by `wide`: each of its alternatives is one of `wide`, or lies below one.
fn covers(wide: &str, narrow: &str) -> bool {
    let alternatives = |selector: &str| -> Vec<String> {
        selector.split("||").map(|part| part.trim().to_ascii_lowercase()).collect()
    };
    // What is combined in another way is compared as a whole.
    let is_plain = |selector: &str| Selector::parse(selector).is_ok() && !selector.contains(['&', '!', '(']);
    if !is_plain(wide) || !is_plain(narrow) {
        return wide.trim() == "**" || wide.trim() == narrow.trim();
    }
    let wide = alternatives(wide);
    let is_below = |narrow: &str, wide: &String| {
        wide == "**"
            || narrow == wide
            || wide
                .strip_suffix("**")
                .is_some_and(|prefix| prefix.ends_with('.') && narrow.starts_with(prefix))
    };
    alternatives(narrow).iter().all(|narrow| wide.iter().any(|wide| is_below(narrow, wide)))
}

fn places(selector: &str) -> String {
    if selector.trim() == "**" { "everything".to_owned() } else { format!("`{selector}`") }
}

/// Differences between two values, each with its path.
fn values(prefix: &str, path: &str, old: &Value, new: &Value, lines: &mut Vec<String>) {
    if let (Value::Object(old), Value::Object(new)) = (old, new) {
        let gone = old.keys().filter(|key| !new.contains_key(*key));
        for key in new.keys().chain(gone) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
            values(prefix, &path, &of(old), &of(new), lines);
        }
    } else if old != new {
        let show = |value: &Value| match value {
            Value::Null => "nothing".to_owned(),
            value => {
                let text = value.to_string();
                let end = text.floor_char_boundary(VALUE_BYTES_MAX);
                if end < text.len() { format!("{}...", &text[..end]) } else { text }
            }
        };
        let dot = if path.is_empty() { "" } else { " " };
        lines.push(format!("{prefix}{dot}{path} = {}, before {}", show(new), show(old)));
    }
}

fn categories(stage: &StageManifest) -> String {
    let names: Vec<_> = stage.categories.iter().map(|c| c.as_str()).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn short(digest: &str) -> &str {
    &digest[..12.min(digest.len())]
}
