//! The endpoints.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::Response;
use axum::http::header::{self, HeaderMap};
use axum::http::request::Parts;
use axum::routing::{MethodRouter, get, post};
use tokio::time::Instant;

use crate::answer::{Receipt, Refusal, Refused, as_pixel, preflight, respond};
use crate::encoding::Encoding;
use crate::ingest::Ingest;
use crate::intake::{Job, drain, take};
use crate::sender::Sender;

impl Ingest {
    /// The routes of Sentry's clients. The daemon adds its own beside them.
    pub fn router(&self) -> Router {
        let envelope: MethodRouter<Ingest> = post(envelope).options(options);
        let store: MethodRouter<Ingest> = get(store_get).post(store).options(options);
        Router::new()
            .route("/api/{project}/envelope/", envelope.clone())
            .route("/api/{project}/envelope", envelope)
            .route("/api/{project}/store/", store.clone())
            .route("/api/{project}/store", store.clone())
            .route("/api/store/", store.clone())
            .route("/api/store", store)
            .fallback(no_endpoint)
            .method_not_allowed_fallback(no_method)
            .with_state(self.clone())
    }

    async fn answer(&self, parts: Parts, body: Body, is_store: bool) -> Response<Body> {
        let begun = Instant::now();
        let mut body = body.into_data_stream();
        let result = self.receive(&parts, &mut body, is_store).await;
        self.finish(&parts.headers, &mut body, begun, result).await
    }

    /// Answers what is no request of a client of ours, in the form of all answers.
    async fn refuse(&self, request: Request, status: u16, detail: &str) -> Response<Body> {
        let begun = Instant::now();
        let (parts, body) = request.into_parts();
        let refused = Err(Refusal::new(status, detail));
        self.finish(&parts.headers, &mut body.into_data_stream(), begun, refused).await
    }

    async fn finish(
        &self,
        headers: &HeaderMap,
        body: &mut BodyDataStream,
        begun: Instant,
        mut result: Result<Receipt, Refused>,
    ) -> Response<Body> {
        if let Err(refusal) = &mut result {
            self.inner.refused(refusal);
            tracing::debug!(status = refusal.status, causes = ?refusal.causes, "refused: {}", refusal.detail);
            self.drain(headers, body, refusal.status).await;
        }
        let response = respond(&result, Sender::is_browser(headers));
        self.inner.metrics.answered(response.status().as_u16(), begun.elapsed());
        response
    }

    async fn receive(
        &self,
        parts: &Parts,
        body: &mut BodyDataStream,
        is_store: bool,
    ) -> Result<Receipt, Refused> {
        let (inner, config) = (&self.inner, &self.inner.config);
        let sender = Sender::of(parts, &config.projects, &config.trusted_proxies, (inner.clock)())?;
        if is_store && sender.key.is_none() {
            return Err(sender.missing(&config.projects));
        }
        let encoding = encoding(&parts.headers).ok_or_else(|| {
            let detail = "content-encoding is none of gzip, deflate, br, zstd, identity".to_owned();
            sender.refuse(&config.projects, 415, detail, "invalid_compression", Vec::new())
        })?;
        let lease = inner.memory.lease();
        let job = Job { inner: inner.clone(), sender, encoding, is_store, lease, compressed_bytes: 0 };
        let intake = take(job, body, content_length(&parts.headers)).await?;
        inner.append(intake).await
    }

    async fn drain(&self, headers: &HeaderMap, body: &mut BodyDataStream, status: u16) {
        // A client that waits for permission to send its body has not begun to.
        if headers.contains_key(header::EXPECT) {
            return;
        }
        // Strangers get less patience than clients whose bodies are too large.
        let (bytes_max, time_max) = match status {
            413 => (self.inner.config.limits.compressed_bytes_max, DRAIN_TIME_MAX),
            _ => (DRAIN_STRANGER_BYTES_MAX, DRAIN_STRANGER_TIME_MAX),
        };
        drain(body, bytes_max, time_max).await;
    }
}

const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
const DRAIN_STRANGER_BYTES_MAX: u64 = 64 << 10;
const DRAIN_STRANGER_TIME_MAX: Duration = Duration::from_millis(500);

async fn envelope(State(ingest): State<Ingest>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    ingest.answer(parts, body, false).await
}

async fn store(State(ingest): State<Ingest>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    ingest.answer(parts, body, true).await
}

/// `GET …/store/?sentry_data=…`: the event is in the query, the answer is a picture.
async fn store_get(State(ingest): State<Ingest>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    let data = pairs.filter(|pair| pair.starts_with("sentry_data=")).map(str::to_owned).next();
    as_pixel(ingest.answer(parts, Body::from(data.unwrap_or_default()), true).await)
}

async fn options() -> Response<Body> {
    preflight()
}

async fn no_endpoint(State(ingest): State<Ingest>, request: Request) -> Response<Body> {
    ingest
        .refuse(request, 404, "no such endpoint: there are /api/PROJECT/envelope/ and /api/PROJECT/store/")
        .await
}

async fn no_method(State(ingest): State<Ingest>, request: Request) -> Response<Body> {
    ingest.refuse(request, 405, "method not allowed: envelopes and events are sent with POST").await
}

/// None if it is not known, or more than one on top of each other.
fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(value) = values.next() else { return Some(Encoding::Identity) };
    let known = value.to_str().ok().and_then(Encoding::parse);
    known.filter(|_| values.next().is_none())
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
