//! Exceptions: chains in their order, and groups (RFC 0079) by what is different in them.

use tamis_plugin::{Event, Item};

use crate::frames::{Enhancements, Frame, of_stack};
use crate::parameterize::normalize;

pub struct Exception<'a> {
    kind: Option<&'a str>,
    value: Option<&'a str>,
    is_synthetic: bool,
    ns_error: Option<(String, String)>,
    pub frames: Vec<Frame<'a>>,
    id: Option<i64>,
    parent: Option<i64>,
    is_group: bool,
}

/// What part of a stack trace counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    App,
    System,
}

impl<'a> Exception<'a> {
    fn read(item: Item<'a>, platform: &'a str, rules: &Enhancements) -> Exception<'a> {
        let number = |path| item.number(path).map(|n: f64| n as i64);
        let domain = item.text("mechanism.meta.ns_error.domain");
        let code = number("mechanism.meta.ns_error.code");
        Exception {
            kind: item.text("type"),
            value: item.text("value"),
            is_synthetic: item.flag("mechanism.synthetic").unwrap_or(false),
            ns_error: domain.zip(code).map(|(domain, code)| (domain.to_owned(), code.to_string())),
            frames: of_stack(item, platform, rules),
            id: number("mechanism.exception_id"),
            parent: number("mechanism.parent_id"),
            is_group: item.flag("mechanism.is_exception_group").unwrap_or(false),
        }
    }

    /// What it adds to the hash of a variant; nothing if it has no part in it.
    pub fn values(&self, scope: Scope) -> Vec<String> {
        let stack = stack_values(&self.frames, scope);
        if scope == Scope::System && stack.is_empty() {
            return Vec::new();
        }
        let mut values = Vec::new();
        values.extend(self.kind.filter(|_| !self.is_synthetic).map(str::to_owned));
        if let Some((domain, code)) = &self.ns_error {
            values.extend([domain.clone(), code.clone()]);
        } else if stack.is_empty()
            && let Some(value) = self.value.filter(|v| !v.is_empty())
        {
            let mut text = String::with_capacity(value.len());
            normalize(value, &mut text);
            values.push(text);
        }
        values.extend(stack);
        values
    }
}

pub fn stack_values(frames: &[Frame<'_>], scope: Scope) -> Vec<String> {
    let counts = |frame: &&Frame<'_>| scope == Scope::System || frame.in_app;
    frames.iter().filter(counts).flat_map(Frame::values).collect()
}

/// The exceptions of an event that count, in the order in which they are hashed.
pub fn of<'a>(event: &Event<'a>, platform: &'a str, rules: &Enhancements) -> Vec<Exception<'a>> {
    let all: Vec<_> = event.exceptions().map(|item| Exception::read(item, platform, rules)).collect();
    if !all.iter().any(|e| e.is_group) {
        return all;
    }
    let Some(root) = all.iter().position(|e| e.id.is_some() && e.parent.is_none()) else { return all };
    let chosen = different(&all, root);
    let mut all: Vec<Option<Exception<'a>>> = all.into_iter().map(Some).collect();
    chosen.into_iter().filter_map(|i| all[i].take()).collect()
}

/// The exceptions below groups that differ, and behind them the outermost group, unless there is only one.
fn different(all: &[Exception<'_>], root: usize) -> Vec<usize> {
    let mut leaves = Vec::new();
    let mut seen = vec![false; all.len()];
    collect(all, root, &mut seen, &mut leaves);
    let mut distinct: Vec<usize> = Vec::new();
    for leaf in leaves {
        let same = |other: &usize| {
            [Scope::App, Scope::System]
                .iter()
                .all(|scope| all[*other].values(*scope) == all[leaf].values(*scope))
        };
        if !distinct.iter().any(same) {
            distinct.push(leaf);
        }
    }
    if distinct.len() != 1 {
        distinct.push(root);
    }
    distinct
}

/// The exceptions that are no groups, and have only groups above them, by ascending id. A circle ends where it was begun.
fn collect(all: &[Exception<'_>], at: usize, seen: &mut [bool], leaves: &mut Vec<usize>) {
    if std::mem::replace(&mut seen[at], true) {
        return;
    }
    if !all[at].is_group {
        return leaves.push(at);
    }
    let mut children: Vec<usize> =
        (0..all.len()).filter(|i| all[*i].parent.is_some() && all[*i].parent == all[at].id).collect();
    children.sort_by_key(|i| all[*i].id);
    children.into_iter().for_each(|child| collect(all, child, seen, leaves));
}
