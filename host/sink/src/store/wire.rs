//! The wire to a store: counts what goes over it, and waits when the store says so.
//!
//! object_store tries again by its own clock and drops the header `Retry-After`. Here it is read, and holds back every request of this
//! process until its time has come: one that was throttled speaks for all.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use thiserror::Error;

/// A store that wants to be left alone for longer is asked again all the same.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// What went over the wire to one store, for metrics.
#[derive(Debug, Default)]
pub struct Traffic {
    /// With every try.
    requests: AtomicU64,
    /// Answered with 429 or 503.
    throttled: AtomicU64,
    /// Without an answer, or answered with another 5xx.
    failed: AtomicU64,
    quiet_until: Mutex<Option<Instant>>,
}

impl Traffic {
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub fn throttled(&self) -> u64 {
        self.throttled.load(Relaxed)
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    fn quiet(&self) -> Option<Duration> {
        let until = (*self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner))?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn keep_quiet(&self, time: Duration) {
        let until = Instant::now() + time.min(RETRY_AFTER_MAX);
        let mut quiet_until = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        *quiet_until = Some(quiet_until.map_or(until, |before| before.max(until)));
    }
}

/// Goes through object_store's errors as a cause, so that the caller gets to know `after`.
#[derive(Debug, Error)]
#[error("{what}")]
pub(super) struct Throttle {
    pub(super) after: Option<Duration>,
    what: String,
}

/// Makes clients whose traffic is counted.
#[derive(Debug)]
pub(super) struct Connector(pub(super) Arc<Traffic>);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Wire { inner, traffic: Arc::clone(&self.0) }))
    }
}

#[derive(Debug)]
struct Wire {
    inner: HttpClient,
    traffic: Arc<Traffic>,
}

// Written out, as the attribute of async_trait would do it.
impl HttpService for Wire {
    fn call<'s, 'f>(&'s self, request: HttpRequest) -> BoxFuture<'f, Result<HttpResponse, HttpError>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(self.send(request))
    }
}

impl Wire {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        while let Some(left) = self.traffic.quiet() {
            tokio::time::sleep(left).await;
        }
        self.traffic.requests.fetch_add(1, Relaxed);
        let answer = self.inner.execute(request).await;
        let Ok(answer) = answer else {
            self.traffic.failed.fetch_add(1, Relaxed);
            return answer;
        };
        let status = answer.status();
        if !matches!(status.as_u16(), 429 | 503) {
            self.traffic.failed.fetch_add(u64::from(status.is_server_error()), Relaxed);
            return Ok(answer);
        }
        self.traffic.throttled.fetch_add(1, Relaxed);
        let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
        // A date is the other form, which no store sends.
        let after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        if let Some(after) = after {
            self.traffic.keep_quiet(after);
        }
        let body = answer.into_body().bytes().await.unwrap_or_default();
        let what = format!("status code: {status}: {}", String::from_utf8_lossy(&body));
        let throttle = Throttle { after, what };
        // The kind says that nothing was done, so that it is tried again, as object_store does with the status itself.
        Err(HttpError::new(HttpErrorKind::Connect, throttle))
    }
}
