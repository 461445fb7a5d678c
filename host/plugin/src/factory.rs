//! A stage as the pipeline defines it, loaded once and instantiated for each worker.

use std::sync::Arc;
use std::time::Instant;

use host_event::Selector;
use host_pipeline::StageKind;
use wasmtime::Store;

use crate::answers::WriteGrant;
use crate::error::LoadError;
use crate::failure::Failure;
use crate::host::{Host, Identity, LogGate, TimeMax};
use crate::interfaces::Interfaces;
use crate::limits::{HANDLES_MAX, LOG_LINE_BYTES_MAX, Limits, export_of};
use crate::metrics::StageMetrics;
use crate::runtime::{Runtime, chain, ticks};
use crate::stage::PluginStage;
use crate::text;
use crate::v0_1::{Guest, Linked};
use crate::watch::{Failed, Seen, Watch};

/// What a pipeline's definition says about a stage.
#[derive(Debug, Clone)]
pub struct StageSpec {
    pub name: String,
    pub kind: StageKind,
    pub component: Arc<[u8]>,
    /// What people call this version of the component, for messages.
    pub version: String,
    pub generation: u64,
    pub config_json: String,
    /// A selector of what the plugin may see.
    pub reads: String,
    /// A selector of what the plugin may edit.
    pub writes: String,
    pub limits: Limits,
}

/// A loaded stage, good for any number of workers.
pub struct StageFactory {
    pub(crate) shared: Arc<Shared>,
}

/// What the workers' instances of one stage have in common.
pub(crate) struct Shared {
    pub(crate) identity: Arc<Identity>,
    pub(crate) kind: StageKind,
    pub(crate) limits: Arc<Limits>,
    pub(crate) writes: WriteGrant,
    pub(crate) metrics: Arc<StageMetrics>,
    pub(crate) runtime: Arc<Runtime>,
    log_gate: Arc<LogGate>,
    pub(crate) watch: Option<Arc<Watch>>,
    reads: (String, Selector),
    pub(crate) config: String,
    linked: Linked,
}

/// A guest in its store, ready to be asked.
pub(crate) struct Live {
    pub(crate) store: Store<Host>,
    pub(crate) guest: Guest,
}

impl StageFactory {
    /// Checks everything that can be checked without an event: the component, its imports, its kind, the grants, and the
    /// configuration, by letting the plugin read it.
    pub fn load(spec: StageSpec, runtime: &Arc<Runtime>) -> Result<StageFactory, LoadError> {
        StageFactory::load_with(spec, runtime, None)
    }

    /// Notes what its guests do. Lines that they write go there instead of the host's log.
    pub fn load_watched(
        spec: StageSpec,
        runtime: &Arc<Runtime>,
        watch: &Arc<Watch>,
    ) -> Result<StageFactory, LoadError> {
        StageFactory::load_with(spec, runtime, Some(Arc::clone(watch)))
    }

    fn load_with(
        spec: StageSpec,
        runtime: &Arc<Runtime>,
        watch: Option<Arc<Watch>>,
    ) -> Result<StageFactory, LoadError> {
        let StageSpec { name: stage, kind, .. } = &spec;
        let interfaces = Interfaces::read(&spec.component);
        let checked = interfaces.and_then(|interfaces| interfaces.check().map(|found| (found, interfaces)));
        let (found, interfaces) =
            checked.map_err(|source| LoadError::Component { stage: stage.clone(), source })?;
        if !interfaces.exports_kind(*kind) {
            let (stage, found) = (stage.clone(), format!("a {}", found.as_str()));
            return Err(LoadError::WrongKind { stage, kind: *kind, wanted: export_of(*kind), found });
        }
        let reads = grant(stage, "read", &spec.reads)?;
        let writes = grant(stage, "write", &spec.writes)?;
        let component = crate::cache::component(runtime, stage, &spec.component)?;
        let linked = Linked::new(&runtime.engine, &component, *kind)
            .map_err(|e| LoadError::Interface { stage: stage.clone(), what: chain(&e) })?;
        let (metrics, clock) = (Arc::<StageMetrics>::default(), Arc::clone(&runtime.config.clock));
        let shared = Shared {
            identity: Arc::new(Identity {
                stage: spec.name,
                version: spec.version,
                generation: spec.generation,
            }),
            kind: spec.kind,
            limits: Arc::new(spec.limits),
            writes: WriteGrant { text: spec.writes, selector: writes },
            metrics: Arc::clone(&metrics),
            runtime: Arc::clone(runtime),
            log_gate: Arc::new(LogGate::new(clock, metrics)),
            watch,
            reads: (spec.reads, reads),
            config: spec.config_json,
            linked,
        };
        shared.start()?;
        Ok(StageFactory { shared: Arc::new(shared) })
    }

    /// The stage of one worker.
    pub fn instantiate(&self) -> Result<PluginStage, LoadError> {
        let live = self.shared.start()?;
        Ok(PluginStage::new(Arc::clone(&self.shared), live))
    }

    pub fn metrics(&self) -> Arc<StageMetrics> {
        Arc::clone(&self.shared.metrics)
    }
}

impl Shared {
    pub(crate) fn note(&self, failure: &Failure) {
        if let Some(watch) = &self.watch {
            let Failure { reason, cause, frames, .. } = failure.clone();
            watch.note(Seen::Failed(Failed { reason, cause, frames }));
        }
    }

    /// A fresh guest that has read its configuration.
    pub(crate) fn start(&self) -> Result<Live, LoadError> {
        let (reads, selector) = &self.reads;
        let (identity, log_gate) = (Arc::clone(&self.identity), Arc::clone(&self.log_gate));
        let mut host = Host::new(identity, reads, selector, Arc::clone(&self.limits), log_gate);
        host.watch = self.watch.clone();
        let mut store = Store::new(&self.runtime.engine, host);
        store.limiter(|host| host);
        store.set_hostcall_fuel(self.limits.answer_bytes_max);
        store.set_max_component_handles(HANDLES_MAX);
        begin(&mut store, TimeMax::Init(self.limits.init_time_max));
        let begun = Instant::now();
        let started = self.linked.instantiate(&mut store);
        let inited = started
            .and_then(|guest| guest.init(&mut store, &self.config).map(|answer| answer.map(|()| guest)));
        self.metrics.started(begun.elapsed().as_nanos());
        let stage = || self.identity.stage.clone();
        match inited {
            Ok(Ok(guest)) => Ok(Live { store, guest }),
            Ok(Err(message)) => {
                let message = text::lines(text::cut(&message, LOG_LINE_BYTES_MAX));
                Err(LoadError::Config { stage: stage(), message })
            }
            Err(e) => {
                let failure = Failure::of(&e, store.data(), &self.limits);
                self.metrics.failed(failure.reason);
                self.note(&failure);
                let Failure { reason, detail, .. } = failure;
                Err(LoadError::Init {
                    stage: stage(),
                    reason,
                    detail: format!("{}: {detail}", self.identity),
                })
            }
        }
    }
}

/// Starts the clock and the accounts of a call.
pub(crate) fn begin(store: &mut Store<Host>, time_max: TimeMax) {
    store.data_mut().begin(time_max);
    store.set_epoch_deadline(ticks(time_max.time()));
}

fn grant(stage: &str, which: &'static str, text: &str) -> Result<Selector, LoadError> {
    Selector::parse(text).map_err(|e| LoadError::Grant {
        stage: stage.to_owned(),
        which,
        selector: text.to_owned(),
        what: e.to_string(),
    })
}
