//! Who sends a request, and whether they may.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::request::Parts;
use host_event::{Category, Meta, Millis, Outcome, OutcomeCount, ProjectId};

use crate::address::client_ip;
use crate::answer::{Refusal, Refused};
use crate::auth::{AuthError, Credentials, Places, PublicKey, credentials, parse_dsn};
use crate::envelope::Header;
use crate::sort::add;
use crate::{Key, Network, Projects};

/// A request as far as its head tells.
#[derive(Debug)]
pub struct Sender {
    /// The project that the path names; `None` for `/api/store/`, where the key says it.
    pub url_project: Option<ProjectId>,
    /// The key, if it was given outside of the envelope; checked.
    pub key: Option<(PublicKey, Arc<Key>)>,
    origin: Option<String>,
    /// What all records will share, as far as it is known.
    meta: Meta,
}

const X_SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const USER_AGENT_CHARS_MAX: usize = 512;

impl Sender {
    pub fn of(
        parts: &Parts,
        projects: &Projects,
        trusted: &[Network],
        now: Millis,
    ) -> Result<Sender, Refused> {
        let url_project = match path_project(parts.uri.path()) {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                refusal(
                    projects,
                    None,
                    400,
                    "project_id",
                    "the project id in the url is not a number".to_owned(),
                )
            })?),
        };
        let headers = &parts.headers;
        let bytes = |name: &HeaderName| headers.get_all(name).iter().map(|v| v.as_bytes()).collect();
        let query = parts.uri.query();
        let places = Places {
            x_sentry_auth: bytes(&X_SENTRY_AUTH),
            authorization: bytes(&header::AUTHORIZATION),
            query,
        };
        let origin = text(headers, &header::ORIGIN);
        let found = credentials(&places).map_err(|e| unauthorized(projects, url_project, e))?;
        let mut meta = Meta { received_at: now, client_ip: ip(parts, trusted), ..Meta::default() };
        meta.user_agent = text(headers, &header::USER_AGENT).unwrap_or_default();
        let mut sender = Sender { url_project, key: None, origin, meta };
        if let Some(Credentials { key, client }) = found {
            sender.meta.sdk = client;
            sender.key = Some((key, sender.check(projects, key)?));
        }
        Ok(sender)
    }

    /// The answer to a request that must bring its credentials outside of the body, and does not.
    pub fn missing(&self, projects: &Projects) -> Refused {
        unauthorized(projects, self.url_project, AuthError::Missing)
    }

    /// Who sends after all, once the envelope's header is there. Without credentials the `dsn` is them; with
    /// credentials it must agree with them.
    pub fn settle(&self, projects: &Projects, header: &Header) -> Result<(Arc<Key>, Meta), Refused> {
        let wrong = |e| unauthorized(projects, self.url_project, e);
        let dsn = header.dsn.as_deref().map(parse_dsn).transpose().map_err(wrong)?;
        let key = match (&self.key, dsn) {
            (Some((key, _)), Some((dsn_key, _))) if *key != dsn_key => {
                return Err(wrong(AuthError::Disagree));
            }
            (_, Some((_, project))) if self.url_project.is_some_and(|p| p != project) => {
                return Err(wrong(AuthError::Disagree));
            }
            (Some((_, key)), _) => Arc::clone(key),
            (None, Some((dsn_key, _))) => self.check(projects, dsn_key)?,
            (None, None) => return Err(wrong(AuthError::Missing)),
        };
        let mut meta = self.meta.clone();
        meta.project_id = key.project.id;
        meta.environment.clone_from(&key.environment);
        meta.sent_at = header.sent_at;
        meta.trace = header.trace.clone();
        if meta.sdk.is_empty() {
            meta.sdk.clone_from(&header.sdk);
        }
        Ok((key, meta))
    }

    fn check(&self, projects: &Projects, key: PublicKey) -> Result<Arc<Key>, Refused> {
        let refuse_in = |of, status, reason, detail| Err(refusal(projects, of, status, reason, detail));
        let Some(found) = projects.key(key) else {
            return refuse_in(self.url_project, 401, "auth_client", format!("key {key} is not known"));
        };
        let project = &found.project;
        // Where the path names no project, the key does.
        let of = self.url_project.or(Some(project.id));
        let refuse = |status, reason, detail| refuse_in(of, status, reason, detail);
        if let Some(url) = self.url_project.filter(|url| *url != project.id) {
            return refuse(403, "multi_project_id", format!("key {key} does not belong to project {url}"));
        }
        if found.disabled {
            return refuse(403, "project_state", format!("key {key} is disabled"));
        }
        if project.disabled {
            return refuse(403, "project_state", format!("project {} is disabled", project.id));
        }
        match &self.origin {
            Some(origin) if !project.allows_origin(origin) => {
                refuse(403, "cors", format!("origin {origin} may not send to project {}", project.id))
            }
            _ => Ok(Arc::clone(found)),
        }
    }

    /// Refuses a request of this sender after its head. Each of its items has an outcome; where none are known, one item
    /// of an unknown category has.
    pub fn refuse(
        &self,
        projects: &Projects,
        status: u16,
        detail: String,
        reason: &'static str,
        items: Vec<(Category, u64)>,
    ) -> Refused {
        let of_key = self.key.as_ref().map(|(_, key)| key.project.id);
        let mut refused = refusal(projects, of_key.or(self.url_project), status, reason, detail);
        if !items.is_empty() {
            refused.ended.clear();
        }
        for (category, quantity) in items {
            let count = OutcomeCount { category, outcome: Outcome::Invalid, reason: reason.into(), quantity };
            add(&mut refused.ended, count);
        }
        refused
    }

    pub fn is_browser(headers: &HeaderMap) -> bool {
        headers.contains_key(header::ORIGIN)
    }
}

/// `/api/{project}/...`; nothing for `/api/store/`.
fn path_project(path: &str) -> Option<&str> {
    let mut segments = path.trim_start_matches("/api/").trim_end_matches('/').split('/');
    let first = segments.next();
    segments.next().and(first)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    match value.to_str() {
        Ok(plain) if plain.len() <= USER_AGENT_CHARS_MAX => Some(plain.to_owned()),
        _ => Some(String::from_utf8_lossy(value.as_bytes()).chars().take(USER_AGENT_CHARS_MAX).collect()),
    }
}

fn ip(parts: &Parts, trusted: &[Network]) -> String {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let lines = |name| parts.headers.get_all(name).iter().map(|v| v.as_bytes());
    let client = client_ip(peer, trusted, lines(X_FORWARDED_FOR), lines(header::FORWARDED));
    client.map(|ip| ip.to_string()).unwrap_or_default()
}

fn unauthorized(projects: &Projects, url_project: Option<ProjectId>, e: AuthError) -> Refused {
    refusal(projects, url_project, e.status(), e.reason(), e.to_string())
}

/// A request that never got as far as its items is one item of an unknown category.
fn refusal(
    projects: &Projects,
    project: Option<ProjectId>,
    status: u16,
    reason: &'static str,
    detail: String,
) -> Refused {
    let mut refusal = Refusal::new(status, detail);
    refusal.project = project.filter(|id| projects.has(*id));
    let reason = reason.into();
    refusal.ended =
        vec![OutcomeCount { category: Category::Unknown, outcome: Outcome::Invalid, reason, quantity: 1 }];
    refusal
}
