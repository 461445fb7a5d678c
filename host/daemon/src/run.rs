//! `tamis run`: opens everything in the order of the data's way back, says that it is ready, and drains when it is told to.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use host_ingest::Ingest;
use host_pipeline::{Sink, Stop, Worker, WorkerConfig, WorkerError, WorkerMetrics};
use host_queue::{Embedded, EmbeddedConfig, Queue};
use host_sink::store::StoreShelf;
use host_sink::{ParquetSink, SinkConfig};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{self, Control, Health};
use crate::cli::Run;
use crate::config::{self, Config, HostConfig};
use crate::generations::{Follower, Generations};
use crate::metrics::{Metrics, Outcomes};
use crate::{clock, components, ingest, report, sources};

/// From the signal to the end of the process.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Of which requests that are under way get this much, and the workers the rest.
const DRAIN_HTTP_MAX: Duration = Duration::from_secs(2);
/// Writing down what was refused takes an fsync.
const DRAIN_FLUSH_MAX: Duration = Duration::from_millis(500);
/// What closing the last chunk may take after the workers were told to hurry.
const DRAIN_CLOSE_RESERVE: Duration = Duration::from_secs(3);

/// The file that is taken if none is named and it is there.
const PIPELINE: &str = "pipeline.toml";

pub fn run(args: &Run) -> anyhow::Result<ExitCode> {
    let default = || Some(PathBuf::from(PIPELINE)).filter(|path| path.is_file());
    let pipeline = args.pipeline.clone().or_else(default);
    let config = match config::load(&args.config, pipeline.as_deref()).checked() {
        Ok(config) => config,
        Err(problems) => return Ok(report::problems(&problems)),
    };
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let parts = match Parts::open(&config, tokio.handle()) {
        Ok(parts) => parts,
        // The first stage that does not load ends the start; what is shown are all of them, with their lines.
        Err(e) if e.downcast_ref().is_some_and(components::is_of_the_pipeline) => {
            let runtime = components::runtime(&config.host)?;
            let (Some(stages), Some(file)) = (&config.pipeline, &pipeline) else { return Err(e) };
            let problems = components::problems(stages, file, &runtime)?;
            return if problems.is_empty() { Err(e) } else { Ok(report::problems(&problems)) };
        }
        Err(e) => return Err(e),
    };
    // Whoever watches sees the drain to its end: the admin's routes go last.
    let mut admin = JoinSet::new();
    let served = tokio.block_on(serve(&config.host, &parts, &mut admin));
    parts.finish()?;
    served?;
    Ok(ExitCode::SUCCESS)
}

/// Everything that is open while the process runs.
struct Parts {
    queue: Arc<Embedded>,
    outcomes: Arc<Outcomes>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    ingest: Arc<Ingest>,
    generations: Arc<Generations>,
    _follower: Follower,
    stop: Arc<Stop>,
    workers: Vec<JoinHandle<Result<(), WorkerError>>>,
}

impl Parts {
    fn open(config: &Config, tokio: &tokio::runtime::Handle) -> anyhow::Result<Parts> {
        let host = &config.host;
        let queue = open_queue(host)?;
        let sink = open_sink(host, queue.source(), tokio)?;
        let shelf = Arc::new(StoreShelf(sink.store()));
        let generations = Generations::new(shelf, components::runtime(host)?, queue.partitions());
        let generation = generations.begin(config.pipeline.as_ref(), &clock::now_text())?;
        let generations = Arc::new(generations);
        let follower = Follower::start(Arc::clone(&generations), host.look_every)?;
        let outcomes = Arc::new(Outcomes::default());
        let stop = Arc::new(Stop::default());
        let ingest = ingest::open(host, Arc::clone(&queue) as Arc<dyn Queue>, Arc::clone(&outcomes) as _)?;
        let worker_metrics: Vec<_> =
            (0..queue.partitions()).map(|_| Arc::new(WorkerMetrics::default())).collect();
        let sources = sources::all(&queue, &worker_metrics, &generations, &ingest);
        let metrics = Metrics::new(&outcomes, sources);
        let health = Arc::new(Health {
            queue: Arc::clone(&queue) as Arc<dyn Queue>,
            workers: worker_metrics.clone(),
            draining: false.into(),
        });
        let mut workers = Vec::new();
        for (partition, metrics) in (0..).zip(worker_metrics) {
            // What it begins with, also before its thread has begun.
            metrics.generation.store(generation, Relaxed);
            let worker = Worker {
                partition,
                queue: Arc::clone(&queue) as Arc<dyn Queue>,
                sink: Arc::clone(&sink) as Arc<dyn Sink>,
                plans: Arc::clone(&generations) as _,
                book: Arc::clone(&outcomes) as _,
                config: worker_config(host),
                stop: Arc::clone(&stop),
                metrics,
            };
            workers.push(start_worker(worker)?);
        }
        Ok(Parts {
            queue,
            outcomes,
            health,
            metrics,
            ingest,
            generations,
            _follower: follower,
            stop,
            workers,
        })
    }

    /// Ends the workers, and then the queue.
    fn finish(self) -> anyhow::Result<()> {
        let mut failed = None;
        for worker in self.workers {
            match worker.join() {
                Ok(Ok(())) => {}
                Ok(Err(e)) => failed = Some(anyhow::Error::from(e)),
                Err(_) => failed = Some(anyhow::anyhow!("a worker panicked: see the log")),
            }
        }
        self.queue.close()?;
        drop(self.outcomes);
        failed.map_or(Ok(()), Err)
    }
}

fn open_queue(host: &HostConfig) -> anyhow::Result<Arc<Embedded>> {
    let config = EmbeddedConfig {
        partitions: host.partitions,
        disk_bytes_max: host.queue_disk_bytes_max,
        ..EmbeddedConfig::new(Arc::new(clock::now))
    };
    let queue = Embedded::open(&host.queue_dir, config);
    Ok(Arc::new(queue.with_context(|| format!("queue {}", host.queue_dir.display()))?))
}

fn open_sink(
    host: &HostConfig,
    source: &str,
    tokio: &tokio::runtime::Handle,
) -> anyhow::Result<Arc<ParquetSink>> {
    let nonce = u128::from(clock::random()) << 64 | u128::from(clock::random());
    // `-` separates the parts of a file's name.
    let config = SinkConfig::new(source.replace('-', "_"));
    Ok(Arc::new(ParquetSink::open(&host.store_url, config, nonce, tokio.clone())?))
}

fn worker_config(host: &HostConfig) -> WorkerConfig {
    WorkerConfig {
        batch_events_max: host.batch_events_max,
        batch_bytes_max: host.batch_bytes_max,
        batch_age_max: host.batch_age_max,
        chunk_rows_max: host.chunk_rows_max,
        chunk_bytes_max: host.chunk_bytes_max,
        chunk_age_max: host.chunk_age_max,
    }
}

fn start_worker(worker: Worker) -> anyhow::Result<JoinHandle<Result<(), WorkerError>>> {
    let partition = worker.partition;
    let metrics = Arc::clone(&worker.metrics);
    let work = move || {
        // A panic must show in readiness too, not only when the process ends.
        let guard = FailedUnlessDone(metrics);
        let worked = worker.run();
        if let Err(e) = &worked {
            tracing::error!(partition, "{e}; this partition stands still until a restart");
        } else {
            std::mem::forget(guard);
        }
        worked
    };
    Ok(thread::Builder::new().name(format!("worker-{partition}")).spawn(work)?)
}

struct FailedUnlessDone(Arc<WorkerMetrics>);

impl Drop for FailedUnlessDone {
    fn drop(&mut self) {
        self.0.failed.store(true, Relaxed);
    }
}

/// Serves until a signal comes, then stops taking in and tells the workers to finish.
async fn serve(host: &HostConfig, parts: &Parts, admin_tasks: &mut JoinSet<()>) -> anyhow::Result<()> {
    let bind = async |address| {
        let listener = TcpListener::bind(address).await;
        listener.with_context(|| format!("address {address} can not be listened on"))
    };
    let served = async {
        // Before anybody is told that it is ready: a signal that comes at once must drain, too.
        let signals = Signals::listen()?;
        let (http, admin) = (bind(host.listen).await?, bind(host.admin_listen).await?);
        let listen = admin.local_addr()?;
        let ready = format!("ready ingest=http://{} admin=http://{listen}\n", http.local_addr()?);
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let control = Arc::new(Control {
            generations: Arc::clone(&parts.generations),
            workers: parts.health.workers.clone(),
            token: host.admin_token.clone(),
            listen,
        });
        let admin_router = admin::router(Arc::clone(&parts.metrics), Arc::clone(&parts.health), control);
        admin_tasks.spawn(async {
            if let Err(e) = axum::serve(admin, admin_router).await {
                tracing::error!("admin: {e}");
            }
        });
        tasks.spawn(ingest::serve(http, Arc::clone(&parts.ingest), stopped, DRAIN_HTTP_MAX));
        let mut out = std::io::stdout();
        out.write_all(ready.as_bytes()).and_then(|()| out.flush())?;
        signals.come().await;
        tracing::info!("draining: no more requests, at most {} s", DRAIN_MAX.as_secs());
        parts.health.draining.store(true, Relaxed);
        let _ = stopping.send(true);
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_HTTP_MAX + DRAIN_FLUSH_MAX, ended).await.is_err() {
            tracing::warn!("requests that took longer than {} s were cut off", DRAIN_HTTP_MAX.as_secs());
        }
        anyhow::Ok(())
    };
    let served = served.await;
    parts.stop.request(DRAIN_MAX - DRAIN_HTTP_MAX - DRAIN_FLUSH_MAX - DRAIN_CLOSE_RESERVE);
    served
}

/// Those that ask the process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn come(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
