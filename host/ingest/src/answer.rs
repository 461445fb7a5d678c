//! Answers, in the forms that Sentry's clients read.

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use host_event::{EventId, OutcomeCount, ProjectId};

/// A 200.
#[derive(Debug, Default)]
pub struct Receipt {
    pub event_id: Option<EventId>,
    /// Quotas that refused some of the items.
    pub limited: Limited,
}

/// What quotas said during one request.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Limited {
    /// Entries of `X-Sentry-Rate-Limits`, each once.
    pub entries: Vec<String>,
    pub retry_after_s: u64,
}

impl Limited {
    pub fn add(&mut self, entry: String, retry_after_s: u64) {
        self.retry_after_s = self.retry_after_s.max(retry_after_s);
        if !self.entries.contains(&entry) {
            self.entries.push(entry);
        }
    }
}

/// Anything else than a 200.
#[derive(Debug, Default)]
pub struct Refusal {
    pub status: u16,
    pub detail: String,
    pub causes: Vec<String>,
    pub retry_after_s: Option<u64>,
    pub limited: Limited,
    /// What became of the items, and whose they were. `None` is nobody that is known here.
    pub ended: Vec<OutcomeCount>,
    pub project: Option<ProjectId>,
}

/// Boxed, since the good way should not carry its size around.
pub type Refused = Box<Refusal>;

impl Refusal {
    pub fn new(status: u16, detail: impl Into<String>) -> Refused {
        Box::new(Refusal { status, detail: detail.into(), ..Refusal::default() })
    }
}

const X_SENTRY_RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");
const X_SENTRY_ERROR: HeaderName = HeaderName::from_static("x-sentry-error");

/// The answer to a request; `browser` if it named an origin.
pub fn respond(result: &Result<Receipt, Refused>, browser: bool) -> Response<Body> {
    let (mut response, limited) = match result {
        Ok(receipt) => (json(StatusCode::OK, receipt_json(receipt.event_id)), &receipt.limited),
        Err(refusal) => (refused(refusal), &refusal.limited),
    };
    let headers = response.headers_mut();
    if !limited.entries.is_empty()
        && let Ok(value) = HeaderValue::from_str(&limited.entries.join(", "))
    {
        headers.insert(X_SENTRY_RATE_LIMITS, value);
    }
    if browser {
        allow_origin(&mut response);
    }
    response
}

fn receipt_json(event_id: Option<EventId>) -> String {
    event_id.map_or_else(|| "{}".to_owned(), |id| format!("{{\"id\":\"{id}\"}}"))
}

fn refused(refusal: &Refusal) -> Response<Body> {
    #[derive(serde::Serialize)]
    struct Error<'a> {
        detail: &'a str,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        causes: &'a [String],
    }
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = Error { detail: &refusal.detail, causes: &refusal.causes };
    let mut response = json(status, serde_json::to_string(&error).expect("strings are always JSON"));
    let headers = response.headers_mut();
    let retry_after_s =
        refusal.retry_after_s.or((refusal.status == 429).then_some(refusal.limited.retry_after_s));
    if let Some(seconds) = retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Ok(value) = HeaderValue::from_str(&refusal.detail) {
        headers.insert(X_SENTRY_ERROR, value);
    }
    response
}

fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn allow_origin(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = "x-sentry-error, x-sentry-rate-limits, retry-after";
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
}

/// The answer to a browser's question before it sends. Anyone may ask; who may send is decided when they do.
pub fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    allow_origin(&mut response);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, OPTIONS"));
    let allowed = "x-sentry-auth, x-requested-with, x-forwarded-for, origin, referer, accept, content-type, \
                   authentication, authorization, content-encoding, transfer-encoding";
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    response
}

/// A transparent picture of one pixel, for clients that send by an `<img>`.
const PIXEL: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x21\xf9\x04\x01\x00\x00\x00\x00\
    \x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01\x44\x00\x3b";

/// Puts the picture in the place of the JSON of a 200.
pub fn as_pixel(mut response: Response<Body>) -> Response<Body> {
    if response.status() == StatusCode::OK {
        *response.body_mut() = Body::from(PIXEL);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    }
    response
}
