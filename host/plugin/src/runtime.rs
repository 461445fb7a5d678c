//! The engine that all plugins of a process share: its settings, the clock of its guests, and its cache of compiled code.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use wasmtime::{Config, Engine, OptLevel, WasmBacktraceDetails};

use crate::compile::Compile;
use crate::error::LoadError;
use crate::limits::{EPOCH_TICK, STACK_BYTES_MAX};

/// Monotonic time, given so that tests decide how long a back-off lasts.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

pub struct RuntimeConfig {
    /// Where compiled components are kept. It is created if need be, and must be writable by nobody else.
    pub cache_dir: PathBuf,
    pub compile: Compile,
    pub clock: Clock,
    /// Tells `perf` the names of compiled guest functions, in `/tmp/perf-PID.map`. For benchmarks.
    pub perf_map: bool,
}

/// One per process. Stages keep it alive; its ticker ends with it.
pub struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) config: RuntimeConfig,
    // Held for its Drop.
    _ticker: Ticker,
}

impl Runtime {
    pub fn new(config: RuntimeConfig) -> Result<Arc<Runtime>, LoadError> {
        Runtime::with(config, DebugSections::Ignored)
    }

    /// One that finds the lines of a failing guest's functions in its debug sections. Only for components that are trusted, and
    /// compiled in this process: what reads debug sections takes no precautions against hostile ones.
    pub fn for_authors(config: RuntimeConfig) -> Result<Arc<Runtime>, LoadError> {
        Runtime::with(config, DebugSections::Read)
    }

    /// Where compiled components are kept; only its owner can write there.
    pub fn cache_dir(&self) -> &Path {
        &self.config.cache_dir
    }

    fn with(config: RuntimeConfig, debug: DebugSections) -> Result<Arc<Runtime>, LoadError> {
        let engine = engine(config.perf_map, debug).map_err(|e| LoadError::Engine(chain(&e)))?;
        let ticker = Ticker::start(engine.clone()).map_err(|e| LoadError::Engine(e.to_string()))?;
        Ok(Arc::new(Runtime { engine, config, _ticker: ticker }))
    }
}

/// Whether an engine keeps the debug sections of a component beside its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DebugSections {
    Ignored,
    Read,
}

/// The engine, the same in the process that compiles and in the one that runs; a map for `perf` changes no code.
pub(crate) fn engine(perf_map: bool, debug: DebugSections) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Support for concurrent guests costs on every call, and no released track has an asynchronous function.
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .cranelift_opt_level(OptLevel::Speed)
        // The same NaN on every machine: a plugin is a function of its batch.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        // Not left to wasmtime's variable in the environment.
        .wasm_backtrace_details(match debug {
            DebugSections::Ignored => WasmBacktraceDetails::Disable,
            DebugSections::Read => WasmBacktraceDetails::Enable,
        });
    if perf_map {
        config.profiler(wasmtime::ProfilingStrategy::PerfMap);
    }
    Engine::new(&config)
}

/// All messages of an error, outermost first.
pub(crate) fn chain(error: &wasmtime::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Ticks until the deadline of a call that may take this long. The first tick may come at once, hence one more.
pub(crate) fn ticks(time: Duration) -> u64 {
    let ticks = time.as_nanos().div_ceil(EPOCH_TICK.as_nanos());
    u64::try_from(ticks).unwrap_or(u64::MAX / 4).saturating_add(1)
}

/// The thread that lets time pass for guests.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: Engine) -> std::io::Result<Ticker> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = Builder::new().name("tamis-epoch".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::park_timeout(EPOCH_TICK);
                engine.increment_epoch();
            }
        })?;
        Ok(Ticker { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It does nothing that can panic.
            let _ = thread.join();
        }
    }
}
