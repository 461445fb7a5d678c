//! Exceptions: chains in their order, and trees (RFC 0079) by what is different in them.

use tamis_plugin::{Event, Item};

use crate::enhancements::Enhancements;
use crate::frames::{Scope, Stack, Thrown};
use crate::parameterize::normalize;

pub struct Exception<'a> {
    kind: Option<&'a str>,
    value: Option<&'a str>,
    is_synthetic: bool,
    ns_error: Option<(String, String)>,
    pub stack: Stack<'a>,
    id: Option<i64>,
    parent: Option<i64>,
    is_group: bool,
}

impl<'a> Exception<'a> {
    fn read(item: Item<'a>, platform: &'a str, rules: &Enhancements) -> Exception<'a> {
        let number = |path| item.number(path).map(|n: f64| n as i64);
        let domain = item.text("mechanism.meta.ns_error.domain");
        let code = number("mechanism.meta.ns_error.code");
        let (kind, value) = (item.text("type"), item.text("value"));
        let thrown = Thrown { kind, value, mechanism: item.text("mechanism.type") };
        Exception {
            kind,
            value,
            is_synthetic: item.flag("mechanism.synthetic").unwrap_or(false),
            ns_error: domain.zip(code).map(|(domain, code)| (domain.to_owned(), code.to_string())),
            stack: Stack::read(item, platform, rules, &thrown),
            id: number("mechanism.exception_id"),
            parent: number("mechanism.parent_id"),
            is_group: item.flag("mechanism.is_exception_group").unwrap_or(false),
        }
    }

    /// What it adds to the hash of a variant; nothing if it has no part in it.
    pub fn values(&self, scope: Scope) -> Vec<String> {
        self.values_with(scope, self.stack.values(scope))
    }

    /// The same, with what its stack trace adds.
    pub fn values_with(&self, scope: Scope, stack: Vec<String>) -> Vec<String> {
        // Without a stack trace there is nothing that the system's frames could say.
        if scope == Scope::System && self.stack.frames.is_empty() {
            return Vec::new();
        }
        let mut values = Vec::new();
        values.extend(self.kind.filter(|kind| !self.is_synthetic && !kind.is_empty()).map(str::to_owned));
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

/// The exceptions of an event that count, in the order in which they are hashed.
pub fn of<'a>(event: &Event<'a>, platform: &'a str, rules: &Enhancements) -> Vec<Exception<'a>> {
    let all: Vec<_> = event.exceptions().map(|item| Exception::read(item, platform, rules)).collect();
    // The third Python SDK says of every chain what only groups said before. Sentry keeps to what its hashes were.
    let is_exempt = platform == "python" && event.text("sdk.version").is_some_and(|v| v.starts_with('3'));
    let chosen =
        if all.len() < 2 || is_exempt { None } else { Tree::of(&all).and_then(|tree| tree.chosen()) };
    let Some(chosen) = chosen else { return all };
    let mut all: Vec<Option<Exception<'a>>> = all.into_iter().map(Some).collect();
    chosen.into_iter().filter_map(|i| all[i].take()).collect()
}

/// Exceptions by who holds whom.
struct Tree<'t, 'a> {
    all: &'t [Exception<'a>],
    root: usize,
    /// For each exception, those that it holds or was caused by: the last one of the event first.
    children: Vec<Vec<usize>>,
}

impl<'t, 'a> Tree<'t, 'a> {
    /// `None` if not every exception has a number of its own, or none has the number 0.
    fn of(all: &'t [Exception<'a>]) -> Option<Tree<'t, 'a>> {
        let ids: Vec<i64> = all.iter().map(|e| e.id).collect::<Option<_>>()?;
        let mut by_id: Vec<(i64, usize)> = ids.iter().copied().zip(0..).collect();
        by_id.sort_unstable();
        let is_doubled = by_id.windows(2).any(|pair| pair[0].0 == pair[1].0);
        if is_doubled || all.iter().any(|e| e.parent == e.id) {
            return None;
        }
        let find = |id: i64| by_id.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| by_id[at].1);
        let mut children = vec![Vec::new(); all.len()];
        for (i, exception) in all.iter().enumerate().rev() {
            if let Some(parent) = exception.parent.and_then(find) {
                children[parent].push(i);
            }
        }
        Some(Tree { all, root: find(0)?, children })
    }

    /// One of each kind that groups hold, and the outermost group behind them; if it is one only, that one and what caused it.
    fn chosen(&self) -> Option<Vec<usize>> {
        let mut leaves = Vec::new();
        self.collect(self.root, &mut vec![false; self.all.len()], &mut leaves);
        leaves.sort_by_key(|i| std::cmp::Reverse(self.all[*i].kind.unwrap_or("None")));
        let both = |i: usize| [Scope::App, Scope::System].map(|scope| self.all[i].values(scope));
        leaves.dedup_by(|a, b| both(*a) == both(*b));
        match leaves.as_slice() {
            [] => None,
            [only] => Some(self.first_path(*only)),
            _ => {
                leaves.push(self.root);
                Some(leaves)
            }
        }
    }

    /// The exceptions that are no groups, and have only groups above them. A circle ends where it was begun.
    fn collect(&self, at: usize, seen: &mut [bool], leaves: &mut Vec<usize>) {
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            match (std::mem::replace(&mut seen[at], true), self.all[at].is_group) {
                (true, _) => {}
                (false, true) => open.extend(self.children[at].iter().rev()),
                (false, false) => leaves.push(at),
            }
        }
    }

    /// An exception, its first cause, that one's first cause, and so on.
    fn first_path(&self, from: usize) -> Vec<usize> {
        let mut seen = vec![false; self.all.len()];
        let mut path = Vec::new();
        let mut next = Some(from);
        while let Some(at) = next.filter(|at| !std::mem::replace(&mut seen[*at], true)) {
            path.push(at);
            next = self.children[at].first().copied();
        }
        path
    }
}
