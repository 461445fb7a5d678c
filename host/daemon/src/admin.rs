//! The routes for operators: metrics, health, and the pipeline.

mod pipeline;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use host_pipeline::Partitions;
use host_queue::Queue;

use crate::metrics::Metrics;

pub use pipeline::{ChangeRequest, Control, Failure};

/// What readiness depends on.
pub struct Health {
    pub queue: Arc<dyn Queue>,
    pub partitions: Partitions,
    pub draining: AtomicBool,
}

impl Health {
    /// Every reason not to be sent any more events.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.draining.load(Relaxed) {
            problems.push("draining".to_owned());
        }
        if let Err(e) = self.queue.health() {
            problems.push(e.to_string());
        }
        for (partition, worker) in self.partitions.all() {
            if worker.failed.load(Relaxed) {
                problems.push(format!("partition {partition} stands still: see the log"));
            }
        }
        problems
    }
}

pub fn router(metrics: Arc<Metrics>, health: Arc<Health>, control: Option<Arc<Control>>) -> Router {
    let ready = move || {
        let problems = health.problems();
        async move {
            match problems.is_empty() {
                true => (StatusCode::OK, "ready\n".to_owned()),
                false => (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n"),
            }
        }
    };
    let scrape = move || {
        let text = metrics.render();
        async move {
            let kind = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
            (kind, text).into_response()
        }
    };
    // A process that only takes events in has no pipeline to show.
    let pipeline = control.map_or_else(Router::new, pipeline::router);
    Router::new()
        .route("/metrics", get(scrape))
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .merge(pipeline)
}
