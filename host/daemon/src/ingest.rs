//! From the configuration to an [`Ingest`], how it is served, and its numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context;
use host_event::{Book, Category};
use host_ingest::auth::PublicKey;
use host_ingest::{
    Ingest, IngestConfig, KeySpec, LATENCY_BOUNDS_US, Network, ProjectSpec, Projects, QuotaSpec, STATUSES,
    ServeConfig,
};
use host_queue::Queue;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use crate::clock;
use crate::config::{HostConfig, Project};
use crate::metrics::{Sample, Value};

pub fn open(host: &HostConfig, queue: Arc<dyn Queue>, book: Arc<dyn Book>) -> anyhow::Result<Arc<Ingest>> {
    let projects = Projects::new(host.projects.iter().map(spec_of).collect());
    let projects = projects.map_err(|bad| {
        let all: Vec<_> = bad.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(all.join("; "))
    })?;
    let network =
        |text: &String| text.parse::<Network>().with_context(|| format!("http.trusted_proxies: {text:?}"));
    let config = IngestConfig {
        trusted_proxies: host.trusted_proxies.iter().map(network).collect::<Result<_, _>>()?,
        memory_bytes_max: host.http_memory_bytes_max,
        ..IngestConfig::new(projects)
    };
    Ok(Arc::new(Ingest::new(config, queue, book, Arc::new(clock::now), Arc::new(clock::event_id))))
}

fn spec_of(project: &Project) -> ProjectSpec {
    let key = |key: &crate::config::ProjectKey| KeySpec {
        key: PublicKey::parse(&key.public_key).expect("the configuration was checked: 32 hexadecimal digits"),
        environment: key.environment.clone(),
        disabled: false,
    };
    let quota = |quota: &crate::config::ProjectQuota| QuotaSpec {
        name: quota.name.clone(),
        categories: quota.categories.clone(),
        items_max: quota.items_max,
        window_s: quota.window.as_secs().clamp(1, u64::from(u32::MAX)) as u32,
    };
    ProjectSpec {
        id: project.id,
        disabled: project.disabled,
        keys: project.keys.iter().map(key).collect(),
        origins: project.allowed_origins.clone(),
        quotas: project.quotas.iter().map(quota).collect(),
    }
}

/// Serves until `stopped`, and writes down what was refused.
pub async fn serve(
    listener: TcpListener,
    ingest: Arc<Ingest>,
    mut stopped: watch::Receiver<bool>,
    drain: Duration,
) {
    let stop = async move {
        // An error means that the sender is gone, which is a stop as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let config = ServeConfig { drain_time_max: drain, ..ServeConfig::default() };
    let served = async {
        if let Err(e) = host_ingest::serve(listener, ingest.router(), config, stop).await {
            tracing::error!("ingest: {e}");
        }
    };
    let (done, is_done) = oneshot::channel::<()>();
    let served = async {
        served.await;
        drop(done);
    };
    // Refusals of the last requests are written down when these are answered.
    tokio::join!(served, ingest.keep_flushing(async { drop(is_done.await) }));
}

pub fn samples(ingest: &Ingest) -> Vec<Sample> {
    let metrics = ingest.metrics();
    let load = |counter: &AtomicU64| counter.load(Relaxed) as f64;
    let mut samples = vec![
        Sample::counter("http_wire_bytes", "Bytes of bodies as they came", vec![], load(&metrics.wire_bytes)),
        Sample::counter(
            "http_decoded_bytes",
            "Bytes of bodies after decompression",
            vec![],
            load(&metrics.decoded_bytes),
        ),
        Sample::counter("http_ended_items", "Items that ended at ingest", vec![], load(&metrics.ended)),
        Sample::counter(
            "http_large_bodies",
            "Bodies worked on apart from the others",
            vec![],
            load(&metrics.large_bodies),
        ),
        Sample::counter(
            "http_miscounted_containers",
            "Containers with another number of items than announced",
            vec![],
            load(&metrics.miscounted_containers),
        ),
        Sample::gauge(
            "http_memory_free_bytes",
            "Room for bodies before 503",
            vec![],
            ingest.memory_free_bytes() as f64,
        ),
    ];
    for (status, count) in STATUSES.iter().zip(&metrics.requests).filter(|(_, count)| count.load(Relaxed) > 0)
    {
        let labels = vec![("status", status.to_string())];
        samples.push(Sample::counter("http_requests", "Requests by status", labels, load(count)));
    }
    for (category, count) in
        Category::ALL.iter().zip(&metrics.records).filter(|(_, count)| count.load(Relaxed) > 0)
    {
        let labels = vec![("category", category.to_string())];
        samples.push(Sample::counter("http_records", "Records appended to the queue", labels, load(count)));
    }
    // The last bucket has no bound: it is infinity.
    let bounds = LATENCY_BOUNDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
    let buckets = bounds.zip(&metrics.latency).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
    let value = Value::Histogram { sum: load(&metrics.latency_us_sum) / 1e6, buckets };
    samples.push(Sample { name: "http_seconds", help: "Time from head to answer", labels: vec![], value });
    samples
}
