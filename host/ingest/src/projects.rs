//! Projects, their keys and their quotas, as the configuration has them.
//!
//! A project costs one entry of a map and its quotas one word each, so that 10,000 of them cost nothing worth counting.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use host_event::{Category, Millis, ProjectId};
use thiserror::Error;

use crate::auth::PublicKey;
use crate::item::plain_key;

/// What the configuration says of a project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectSpec {
    pub id: ProjectId,
    pub disabled: bool,
    pub keys: Vec<KeySpec>,
    /// Where browsers may send from: `*`, `https://example.com`, `example.com` or `*.example.com`. Empty allows all.
    pub origins: Vec<String>,
    pub quotas: Vec<QuotaSpec>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpec {
    pub key: PublicKey,
    /// The environment of whatever comes in under this key; may be empty.
    pub environment: String,
    pub disabled: bool,
}

/// So many items in so many seconds. `window_s: 1` makes it a rate per second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaSpec {
    /// The reason of the outcomes, and what `X-Sentry-Rate-Limits` names.
    pub name: String,
    /// Empty means all categories together.
    pub categories: Vec<Category>,
    pub items_max: u32,
    pub window_s: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadProjects {
    #[error("project {0} is there twice")]
    DuplicateProject(ProjectId),
    #[error("key {0} belongs to the projects {1} and {2}")]
    DuplicateKey(PublicKey, ProjectId, ProjectId),
    #[error("quota {1:?} of project {0} has a window of 0 seconds")]
    Window(ProjectId, String),
}

/// All projects of an instance.
#[derive(Debug, Default)]
pub struct Projects {
    by_id: HashMap<ProjectId, Arc<Project>>,
    by_key: HashMap<PublicKey, Arc<Key>>,
}

#[derive(Debug)]
pub struct Project {
    pub id: ProjectId,
    pub disabled: bool,
    origins: Vec<String>,
    quotas: Vec<Quota>,
}

#[derive(Debug)]
pub struct Key {
    pub project: Arc<Project>,
    pub environment: String,
    pub disabled: bool,
}

impl Projects {
    /// Checks and takes up the configuration. All problems are given at once.
    pub fn new(specs: Vec<ProjectSpec>) -> Result<Projects, Vec<BadProjects>> {
        let (mut projects, mut bad) = (Projects::default(), Vec::new());
        for spec in specs {
            let id = spec.id;
            for quota in spec.quotas.iter().filter(|quota| quota.window_s == 0) {
                bad.push(BadProjects::Window(id, quota.name.clone()));
            }
            let quotas = spec.quotas.into_iter().map(Quota::new).collect();
            let project = Arc::new(Project { id, disabled: spec.disabled, origins: spec.origins, quotas });
            if projects.by_id.insert(id, Arc::clone(&project)).is_some() {
                bad.push(BadProjects::DuplicateProject(id));
            }
            for KeySpec { key, environment, disabled } in spec.keys {
                let entry = Arc::new(Key { project: Arc::clone(&project), environment, disabled });
                if let Some(other) = projects.by_key.insert(key, entry) {
                    bad.push(BadProjects::DuplicateKey(key, other.project.id, id));
                }
            }
        }
        if bad.is_empty() { Ok(projects) } else { Err(bad) }
    }

    pub fn key(&self, key: PublicKey) -> Option<&Arc<Key>> {
        self.by_key.get(&key)
    }

    pub fn has(&self, id: ProjectId) -> bool {
        self.by_id.contains_key(&id)
    }
}

impl Project {
    /// Whether a browser on that origin may send.
    pub fn allows_origin(&self, origin: &str) -> bool {
        let host = origin.split_once("://").map_or(origin, |(_, rest)| rest);
        let host = host.split(':').next().unwrap_or(host);
        let allows = |pattern: &String| match pattern.strip_prefix("*.") {
            _ if pattern == "*" => true,
            Some(parent) => {
                let inside = host.len().checked_sub(parent.len() + 1).and_then(|at| host.get(at..));
                inside.is_some_and(|tail| tail.starts_with('.') && tail[1..].eq_ignore_ascii_case(parent))
            }
            None if pattern.contains("://") => pattern.trim_end_matches('/').eq_ignore_ascii_case(origin),
            None => pattern.eq_ignore_ascii_case(host),
        };
        self.origins.is_empty() || self.origins.iter().any(allows)
    }

    /// Takes one item of `category` out of every quota that counts it, or says which one is used up.
    pub fn admit(&self, category: Category, now: Millis) -> Result<(), &Quota> {
        let counting = || self.quotas.iter().filter(|quota| quota.counts(category));
        // First look, then take: an item that one quota refuses must not cost the others anything.
        if let Some(full) = counting().find(|quota| !quota.has_room(now)) {
            return Err(full);
        }
        counting().find(|quota| !quota.take(now)).map_or(Ok(()), Err)
    }
}

/// A quota and how much of it is used. Windows begin at multiples of their length since 1970, on every node alike.
#[derive(Debug)]
pub struct Quota {
    spec: QuotaSpec,
    /// The number of the window (its low 32 bits) above the number of items taken in it.
    used: AtomicU64,
}

impl Quota {
    fn new(spec: QuotaSpec) -> Quota {
        Quota { spec, used: AtomicU64::new(0) }
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    fn counts(&self, category: Category) -> bool {
        self.spec.categories.is_empty() || self.spec.categories.contains(&category)
    }

    fn window(&self, now: Millis) -> u32 {
        (now.max(0) as u64 / 1000 / u64::from(self.spec.window_s)) as u32
    }

    fn used_in(&self, used: u64, now: Millis) -> u32 {
        if (used >> 32) as u32 == self.window(now) { used as u32 } else { 0 }
    }

    fn has_room(&self, now: Millis) -> bool {
        self.used_in(self.used.load(Ordering::Relaxed), now) < self.spec.items_max
    }

    fn take(&self, now: Millis) -> bool {
        let next = |used: u64| {
            let count = self.used_in(used, now);
            (count < self.spec.items_max).then(|| u64::from(self.window(now)) << 32 | u64::from(count + 1))
        };
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Seconds until the window ends; at least one.
    pub fn retry_after_s(&self, now: Millis) -> u64 {
        let (now_s, window_s) = (now.max(0) as u64 / 1000, u64::from(self.spec.window_s));
        window_s - now_s % window_s
    }

    /// One entry of `X-Sentry-Rate-Limits`: seconds, categories, scope, reason. A name with a colon or comma in it would
    /// be read as two parts or entries, and one that is no ASCII as no header at all.
    pub fn header_entry(&self, now: Millis) -> String {
        let names: Vec<_> = self.spec.categories.iter().map(|c| client_names(*c)).collect();
        let reason = plain_key(&self.spec.name, usize::MAX).replace(':', "_");
        format!("{}:{}:project:{reason}", self.retry_after_s(now), names.join(";"))
    }
}

/// The names under which clients know a category. Some call messages `default`.
fn client_names(category: Category) -> &'static str {
    match category {
        Category::Error => "default;error",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(name: &str, categories: &[Category], items_max: u32, window_s: u32) -> QuotaSpec {
        QuotaSpec { name: name.into(), categories: categories.to_vec(), items_max, window_s }
    }

    fn one(spec: ProjectSpec) -> Arc<Project> {
        let id = spec.id;
        Arc::clone(&Projects::new(vec![spec]).unwrap().by_id[&id])
    }

    #[test]
    fn quotas_fill_and_empty_with_their_windows() {
        let quotas = vec![quota("errors", &[Category::Error], 2, 60), quota("all", &[], 3, 10)];
        let project = one(ProjectSpec { id: 1, quotas, ..ProjectSpec::default() });
        let now = 120_000;
        let admit = |category, now| project.admit(category, now).map_err(|q| q.header_entry(now));
        assert_eq!(admit(Category::Error, now), Ok(()));
        assert_eq!(admit(Category::Error, now), Ok(()));
        assert_eq!(admit(Category::Error, now + 5_500), Err("55:default;error:project:errors".into()));
        // What `errors` refused did not cost `all` anything: one is left.
        assert_eq!(admit(Category::Log, now), Ok(()));
        assert_eq!(admit(Category::Log, now + 9_999), Err("1::project:all".into()));
        assert_eq!(admit(Category::Log, now + 10_000), Ok(()));
        assert_eq!(admit(Category::Error, now + 60_000), Ok(()));
    }

    #[test]
    fn a_quota_of_any_name_is_one_entry_of_the_header() {
        let entry = |name| Quota::new(quota(name, &[], 1, 60)).header_entry(0);
        assert_eq!(entry("per.minute-1"), "60::project:per.minute-1");
        assert_eq!(entry("f\u{fc}r: a, b;c"), "60::project:f_r__a__b_c");
        assert_eq!(entry(""), "60::project:unknown");
    }

    #[test]
    fn a_quota_is_exact_under_contention() {
        let quotas = vec![quota("all", &[], 1000, 60)];
        let project = one(ProjectSpec { id: 1, quotas, ..ProjectSpec::default() });
        let admitted: usize = std::thread::scope(|scope| {
            let count = || (0..600).filter(|_| project.admit(Category::Error, 1).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1000);
    }

    #[test]
    fn origins() {
        for (patterns, origin, want) in [
            (&[][..], "https://any.example", true),
            (&["*"], "https://any.example", true),
            (&["https://a.example"], "https://a.example", true),
            (&["https://a.example"], "http://a.example", false),
            (&["a.example"], "http://A.example:8080", true),
            (&["*.a.example"], "https://b.a.example", true),
            (&["*.a.example"], "https://a.example", false),
            (&["*.a.example"], "https://bada.example", false),
            (&["a.example"], "null", false),
            (&["*.\u{e9}.example"], "https://x", false),
        ] {
            let origins = patterns.iter().map(|p| (*p).to_owned()).collect();
            let project = one(ProjectSpec { id: 1, origins, ..ProjectSpec::default() });
            assert_eq!(project.allows_origin(origin), want, "{patterns:?} {origin}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let key = KeySpec { key: PublicKey(5), environment: String::new(), disabled: false };
        let spec = |id| ProjectSpec { id, keys: vec![key.clone()], ..ProjectSpec::default() };
        let windowless = ProjectSpec { id: 3, quotas: vec![quota("q", &[], 1, 0)], ..ProjectSpec::default() };
        let bad = Projects::new(vec![spec(1), spec(2), windowless.clone(), windowless]).unwrap_err();
        assert_eq!(
            bad,
            [
                BadProjects::DuplicateKey(PublicKey(5), 1, 2),
                BadProjects::Window(3, "q".into()),
                BadProjects::Window(3, "q".into()),
                BadProjects::DuplicateProject(3),
            ]
        );
    }

    #[test]
    fn ten_thousand_projects_are_found() {
        let specs = (0..10_000).map(|id| {
            let key = KeySpec { key: PublicKey(u128::from(id)), environment: "prod".into(), disabled: false };
            ProjectSpec { id, keys: vec![key], ..ProjectSpec::default() }
        });
        let projects = Projects::new(specs.collect()).unwrap();
        assert_eq!(projects.key(PublicKey(9_999)).unwrap().project.id, 9_999);
        assert!(projects.key(PublicKey(10_000)).is_none() && projects.has(0) && !projects.has(10_000));
    }
}
