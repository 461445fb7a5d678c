//! What the real clients send, made from a seed: the same seed gives the same bytes on every machine.
//!
//! Errors of 2 to 60 KB (median 8) in the shapes of the Python, JavaScript, Java and Go clients, transactions of 20 to 200
//! spans, single spans in the second format, and logs. They come as they do from a busy fleet: requests overlap, each is one trace
//! with a transaction or spans, logs and now and then an error; projects are many; few groups make most of the errors.
//!
//! ```
//! use tamis_benches::corpus::Corpus;
//! let records: Vec<_> = Corpus::new(7).records().take(100).collect();
//! assert_eq!(records, Corpus::new(7).records().take(100).collect::<Vec<_>>());
//! ```

mod errors;
mod json;
mod random;
mod traces;
mod words;

use bytes::Bytes;
use host_event::{Body, Category, EventId, Meta, Millis, ProjectId, Record};

use json::Json;
use random::{Random, Zipf};
use words::{ENVIRONMENTS, ROUTES, USER_AGENTS};

/// Projects of a corpus that is not told otherwise.
pub const PROJECTS_DEFAULT: u64 = 50;
/// Distinct bugs of one project.
pub const GROUPS_PER_PROJECT: usize = 200;
/// The `received_at` of the first record, 2026-11-22 18:40:00 UTC: an hour is left before `hour=` changes twice.
pub const BEGIN: Millis = 1_795_372_800_000;

/// How often each category comes, in parts of their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    pub errors: u32,
    pub transactions: u32,
    pub spans: u32,
    pub logs: u32,
}

impl Default for Mix {
    fn default() -> Mix {
        Mix { errors: 40, transactions: 10, spans: 20, logs: 30 }
    }
}

impl Mix {
    pub const ERRORS: Mix = Mix { errors: 1, transactions: 0, spans: 0, logs: 0 };
    pub const TRANSACTIONS: Mix = Mix { errors: 0, transactions: 1, spans: 0, logs: 0 };
    pub const SPANS: Mix = Mix { errors: 0, transactions: 0, spans: 1, logs: 0 };
    pub const LOGS: Mix = Mix { errors: 0, transactions: 0, spans: 0, logs: 1 };

    fn pick(self, random: &mut Random) -> Category {
        let Mix { errors, transactions, spans, logs } = self;
        let at = random.below(u64::from(errors + transactions + spans + logs)) as u32;
        match at {
            _ if at < errors => Category::Error,
            _ if at < errors + transactions => Category::Transaction,
            _ if at < errors + transactions + spans => Category::Span,
            _ => Category::Log,
        }
    }
}

/// Says what to make.
#[derive(Debug, Clone, Copy)]
pub struct Corpus {
    seed: u64,
    projects: u64,
    mix: Mix,
    step: Millis,
}

impl Corpus {
    pub fn new(seed: u64) -> Corpus {
        Corpus { seed, projects: PROJECTS_DEFAULT, mix: Mix::default(), step: 1 }
    }

    /// Projects are numbered from 1.
    pub fn projects(self, projects: u64) -> Corpus {
        Corpus { projects: projects.max(1), ..self }
    }

    pub fn mix(self, mix: Mix) -> Corpus {
        Corpus { mix, ..self }
    }

    /// Milliseconds between two records; 1 at first.
    pub fn step(self, step: Millis) -> Corpus {
        Corpus { step, ..self }
    }

    /// The records, in the order in which they are received. They do not end: take as many as you need.
    pub fn records(self) -> Records {
        let mut random = Random::new(self.seed);
        let groups = Zipf::new(GROUPS_PER_PROJECT);
        let requests = (0..REQUESTS_AT_ONCE).map(|_| Request::begin(&mut random, self.projects)).collect();
        Records { corpus: self, random, groups, requests, now: BEGIN, json: Json::default() }
    }
}

/// Requests that overlap in time.
const REQUESTS_AT_ONCE: usize = 16;

/// The iterator behind [`Corpus::records`].
#[derive(Debug)]
pub struct Records {
    corpus: Corpus,
    random: Random,
    groups: Zipf,
    requests: Vec<Request>,
    now: Millis,
    json: Json,
}

/// One request that some server of a project answers: what its items have in common.
#[derive(Debug, Clone)]
struct Request {
    project: ProjectId,
    trace_id: u128,
    /// The span of the whole request.
    span_id: u64,
    route: &'static str,
    environment: &'static str,
    release: u64,
    user: u64,
    sample_rate: f64,
    items_left: u64,
}

impl Request {
    fn begin(random: &mut Random, projects: u64) -> Request {
        Request {
            project: 1 + random.below(projects),
            trace_id: random.wide(),
            span_id: random.next(),
            route: random.pick(&ROUTES),
            environment: random.pick(&ENVIRONMENTS),
            release: random.below(12),
            user: random.below(5_000),
            sample_rate: random.pick(&[1.0, 1.0, 0.5, 0.1]),
            items_left: 1 + random.below(12),
        }
    }
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.now += self.corpus.step;
        let slot = self.random.below(REQUESTS_AT_ONCE as u64) as usize;
        if self.requests[slot].items_left == 0 {
            self.requests[slot] = Request::begin(&mut self.random, self.corpus.projects);
        }
        self.requests[slot].items_left -= 1;
        let request = self.requests[slot].clone();
        let category = self.corpus.mix.pick(&mut self.random);
        let event_id = self.random.wide();
        let at = Moment { now: self.now, event_id, request: &request };
        self.json.clear();
        match category {
            Category::Error => {
                let rank = self.groups.draw(&mut self.random);
                errors::write(&mut self.json, &at, rank, self.corpus.seed, &mut self.random);
            }
            Category::Transaction => traces::transaction(&mut self.json, &at, &mut self.random),
            Category::Span => traces::span(&mut self.json, &at, &mut self.random),
            _ => traces::log(&mut self.json, &at, &mut self.random),
        }
        let payload = Bytes::copy_from_slice(self.json.text());
        let meta = self.meta(&request, event_id);
        Some(Record { meta, body: Body::Item { category, payload } })
    }
}

impl Records {
    fn meta(&mut self, request: &Request, event_id: u128) -> Meta {
        self.json.clear();
        self.json.object(|j| {
            j.hex128("trace_id", request.trace_id);
            j.hex128("public_key", u128::from(request.project));
            j.decimal("sample_rate", request.sample_rate);
            j.string("sampled", "true");
            j.string("environment", request.environment);
            j.format("release", format_args!("shop@4.{}.0", request.release));
            j.string("transaction", request.route);
        });
        Meta {
            project_id: request.project,
            received_at: self.now,
            sent_at: Some(self.now - 20),
            event_id: EventId(event_id),
            environment: request.environment.to_owned(),
            client_ip: format!("198.51.100.{}", request.user % 250),
            user_agent: self.random.pick(&USER_AGENTS).to_owned(),
            sdk: errors::platform_of(request.project).sdk.to_owned(),
            trace: Bytes::copy_from_slice(self.json.text()),
        }
    }
}

/// When and where an item comes from.
#[derive(Debug)]
struct Moment<'a> {
    now: Millis,
    event_id: u128,
    request: &'a Request,
}

impl Moment<'_> {
    /// Seconds, with fractions, some milliseconds ago.
    fn ago(&self, milliseconds: u64) -> f64 {
        (self.now - milliseconds as Millis) as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests;
