//! `tamis run`: opens everything in the order of the data's way back, says that it is ready, and drains when it is told to.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context;
use host_ingest::Ingest;
use host_pipeline::{Allowed, Crew, Partitions, Sink, Stop, Tools, WorkerConfig};
use host_sink::store::{StoreShelf, Traffic};
use host_sink::{ParquetSink, SinkConfig};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{self, Control, Health};
use crate::cli::{Role, Run};
use crate::config::{self, Config, HostConfig, Problem};
use crate::generations::{Follower, Generations};
use crate::metrics::{Metrics, Outcomes};
use crate::queue::{self, Opened, source_of};
use crate::{clock, components, ingest, report, sources};

/// From the signal to the end of the process.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Of which requests that are under way get this much, and the workers the rest.
const DRAIN_HTTP_MAX: Duration = Duration::from_secs(2);
/// Writing down what was refused takes an fsync.
const DRAIN_FLUSH_MAX: Duration = Duration::from_millis(500);
/// What closing the last chunk may take after the workers were told to hurry.
const DRAIN_CLOSE_RESERVE: Duration = Duration::from_secs(3);

/// What the end of it all may take longer.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// The file that is taken if none is named and it is there.
const PIPELINE: &str = "pipeline.toml";

pub fn run(args: &Run) -> anyhow::Result<ExitCode> {
    let default = || Some(PathBuf::from(PIPELINE)).filter(|path| path.is_file());
    let pipeline = args.pipeline.clone().or_else(default);
    let config = match config::load(&args.config, pipeline.as_deref()).checked() {
        Ok(config) => config,
        Err(problems) => return Ok(report::problems(&problems)),
    };
    if args.role != Role::All && config.host.kafka.is_none() {
        return Ok(report::problems(&[no_queue_to_share(&args.config)]));
    }
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let allowed = Allowed { reprocess: args.allow_reprocess };
    let parts = match Parts::open(&config, args.role, tokio.handle(), allowed) {
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

fn no_queue_to_share(file: &Path) -> Problem {
    Problem {
        file: file.to_owned(),
        line: 0,
        what: "--role ingest and --role work need a queue that processes share".to_owned(),
        suggestion: Some("add [queue.kafka] with brokers and topic".to_owned()),
    }
}

/// Everything that is open while the process runs.
struct Parts {
    queue: Opened,
    outcomes: Arc<Outcomes>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    /// Of a process that takes events in.
    ingest: Option<Arc<Ingest>>,
    /// Of one that works them off.
    work: Option<Work>,
}

struct Work {
    crew: Crew,
    generations: Arc<Generations>,
    _follower: Follower,
    /// To the store.
    traffic: Option<Arc<Traffic>>,
    stop: Arc<Stop>,
}

impl Parts {
    fn open(
        config: &Config,
        role: Role,
        tokio: &tokio::runtime::Handle,
        allowed: Allowed,
    ) -> anyhow::Result<Parts> {
        let host = &config.host;
        let opened = queue::open(host, role)?;
        let queue = opened.queue();
        let outcomes = Arc::new(Outcomes::default());
        let work =
            role.works().then(|| Work::open(config, &opened, tokio, &outcomes, allowed)).transpose()?;
        let ingest =
            role.ingests().then(|| ingest::open(host, Arc::clone(&queue), Arc::clone(&outcomes) as _));
        let ingest = ingest.transpose()?;
        let mut sources = opened.sources();
        sources.extend(work.iter().flat_map(|work| sources::of_crew(&work.crew, &queue)));
        sources.extend(work.iter().map(|work| sources::of_stages(&work.generations)));
        sources.extend(work.iter().filter_map(|work| work.traffic.clone()).map(sources::of_traffic));
        sources.extend(ingest.iter().map(sources::of_ingest));
        let metrics = Metrics::new(&outcomes, sources);
        let partitions = work.as_ref().map_or_else(Partitions::none, |work| work.crew.partitions());
        let health = Arc::new(Health { queue, partitions, draining: false.into() });
        Ok(Parts { queue: opened, outcomes, health, metrics, ingest, work })
    }

    /// Ends the workers, and then the queue.
    fn finish(self) -> anyhow::Result<()> {
        let (worked, follower) = match self.work {
            Some(work) => (work.crew.join(), Some(work._follower)),
            None => (Ok(()), None),
        };
        // Before anything else that may wait for a store: as long as this is a member of the group, it is given partitions.
        self.queue.close()?;
        drop(follower);
        drop(self.outcomes);
        Ok(worked?)
    }

    fn stop_work(&self) {
        let within = DRAIN_MAX - DRAIN_HTTP_MAX - DRAIN_FLUSH_MAX - DRAIN_CLOSE_RESERVE;
        match &self.work {
            // What is left in it, others work off.
            Some(work) if self.queue.is_shared() => work.stop.leave(within + DRAIN_CLOSE_RESERVE),
            Some(work) => work.stop.request(within, DRAIN_CLOSE_RESERVE),
            None => {}
        }
    }
}

impl Work {
    fn open(
        config: &Config,
        opened: &Opened,
        tokio: &tokio::runtime::Handle,
        outcomes: &Arc<Outcomes>,
        allowed: Allowed,
    ) -> anyhow::Result<Work> {
        let host = &config.host;
        let queue = opened.queue();
        let sink = open_sink(host, source_of(queue.source()), tokio)?;
        opened.claim(&*sink.store(), &source_of(queue.source()))?;
        let traffic = sink.store().traffic();
        let shelf = Arc::new(StoreShelf(sink.store()));
        let generations = Generations::new(shelf, components::runtime(host)?, host.threads);
        generations.begin(config.pipeline.as_ref(), &clock::now_text())?;
        let generations = Arc::new(generations);
        let follower = Follower::start(Arc::clone(&generations), host.look_every)?;
        let stop = Arc::new(Stop::default());
        let tools = Tools {
            queue,
            sink: sink as Arc<dyn Sink>,
            plans: Arc::clone(&generations) as _,
            book: Arc::clone(outcomes) as _,
            config: worker_config(host),
            allowed,
            stop: Arc::clone(&stop),
        };
        let crew = opened.span().in_scope(|| Crew::start(&tools))?;
        Ok(Work { crew, generations, _follower: follower, traffic, stop })
    }
}

fn open_sink(
    host: &HostConfig,
    source: String,
    tokio: &tokio::runtime::Handle,
) -> anyhow::Result<Arc<ParquetSink>> {
    let nonce = u128::from(clock::random()) << 64 | u128::from(clock::random());
    let config = SinkConfig { allow_unsafe: host.store_allow_unsafe, ..SinkConfig::new(source) };
    Ok(Arc::new(ParquetSink::open(&host.store_url, config, nonce, tokio.clone())?))
}

fn worker_config(host: &HostConfig) -> WorkerConfig {
    WorkerConfig {
        threads: host.threads,
        batch_events_max: host.batch_events_max,
        batch_bytes_max: host.batch_bytes_max,
        batch_age_max: host.batch_age_max,
        chunk_rows_max: host.chunk_rows_max,
        chunk_bytes_max: host.chunk_bytes_max,
        chunk_age_max: host.chunk_age_max,
        memory_bytes_max: host.chunk_memory_bytes_max,
        ..WorkerConfig::default()
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
        let admin = bind(host.admin_listen).await?;
        let listen = admin.local_addr()?;
        let mut ready = "ready".to_owned();
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        if let Some(ingest) = &parts.ingest {
            let http = bind(host.listen).await?;
            ready += &format!(" ingest=http://{}", http.local_addr()?);
            tasks.spawn(ingest::serve(http, Arc::clone(ingest), stopped, DRAIN_HTTP_MAX));
        }
        ready += &format!(" admin=http://{listen}\n");
        let control = parts.work.as_ref().map(|work| Control {
            generations: Arc::clone(&work.generations),
            partitions: work.crew.partitions(),
            token: host.admin_token.clone(),
            listen,
        });
        let admin_router =
            admin::router(Arc::clone(&parts.metrics), Arc::clone(&parts.health), control.map(Arc::new));
        admin_tasks.spawn(async {
            if let Err(e) = axum::serve(admin, admin_router).await {
                tracing::error!("admin: {e}");
            }
        });
        let mut out = std::io::stdout();
        out.write_all(ready.as_bytes()).and_then(|()| out.flush())?;
        signals.come().await;
        tracing::info!("draining: no more requests, at most {} s", DRAIN_MAX.as_secs());
        parts.health.draining.store(true, Relaxed);
        end_in_time()?;
        let _ = stopping.send(true);
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_HTTP_MAX + DRAIN_FLUSH_MAX, ended).await.is_err() {
            tracing::warn!("requests that took longer than {} s were cut off", DRAIN_HTTP_MAX.as_secs());
        }
        anyhow::Ok(())
    };
    let served = served.await;
    parts.stop_work();
    served
}

/// A store or a broker that hangs may hold a thread for as long as a request may take. Nothing that is still to be done then is worth
/// waiting for: it is as after a crash, and the exit code says so.
fn end_in_time() -> std::io::Result<()> {
    let end = || {
        std::thread::sleep(DRAIN_MAX + DRAIN_GRACE);
        tracing::warn!("the drain is cut off: something does not answer");
        std::process::exit(1);
    };
    std::thread::Builder::new().name("drain-end".into()).spawn(end).map(drop)
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
