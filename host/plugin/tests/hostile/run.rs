//! Runs one row: loads the guest, asks it about batches, and looks at what that did to everything else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_event::Columns;
use host_pipeline::{Answer, Stage, StageAnswer, StageKind};
use host_plugin::{
    Compile, CompileCommand, Limits, LoadError, Runtime, RuntimeConfig, StageCounts, StageFactory,
};

use crate::rows::{Counted, Ends, Row};
use crate::support::{columns, guest, runtime, spec};

/// Memory of the host, that of the guest included, that one row may add. A new answer of the largest size is 64 MiB.
const HOST_MEMORY_BYTES_MAX: usize = 160 << 20;
/// What the host may need beyond the limits of a stage, in a debug build: for a host call that is running when time is up, for
/// instantiation, for reports.
const SLACK: Duration = Duration::from_millis(400);
/// What a guest takes for a batch if its limits are not those of time.
const UNHURRIED: Duration = Duration::from_secs(2);
const EVENTS: usize = 14;
const BATCHES: usize = 3;
/// Bytes of what is said about one failed event.
const DETAIL_BYTES_MAX: usize = 16 << 10;

pub struct Suite {
    cache: tempfile::TempDir,
    runtime: Arc<Runtime>,
    neighbours: Vec<StageFactory>,
    /// What those answer where no hostile guest was before them.
    undisturbed: Vec<StageAnswer>,
}

/// Events like those of clients: texts with characters of two bytes, a user, frames, a list.
fn batch() -> Columns {
    let event = |row: usize| {
        let message = if row % 7 == 6 { "séventh" } else { "hé did it" };
        format!(
            r#"{{"message":"{message} {row}","user":{{"email":"{row}@example.com","id":"{row}"}},
            "exception":{{"values":[{{"type":"Error","value":"no {row}","stacktrace":{{"frames":[{{"function":"f","lineno":{row}}},
            {{"function":"g","in_app":true}}]}}}}]}},"tags":[["region","eu"],["a","b"]],"extra":{{"list":[1,2,"three",[4]]}}}}"#
        )
    };
    let events: Vec<String> = (0..EVENTS).map(event).collect();
    columns(events.iter().map(String::as_str))
}

impl Suite {
    pub fn new() -> Suite {
        let cache = tempfile::tempdir().unwrap();
        let runtime = runtime(cache.path());
        let files = [
            (StageKind::Filter, "mischief.wat"),
            (StageKind::Sampler, "sampler.wat"),
            (StageKind::Scrubber, "scrubber.wat"),
            (StageKind::Fingerprinter, "fingerprinter.wat"),
        ];
        let load = |(kind, file)| StageFactory::load(spec(kind, guest(kind, file)), &runtime).unwrap();
        let neighbours: Vec<StageFactory> = files.into_iter().map(load).collect();
        let undisturbed = ask_all(&neighbours, &mut batch());
        Suite { cache, runtime, neighbours, undisturbed }
    }

    pub fn run(&self, row: &Row) {
        let own_cache = tempfile::tempdir().unwrap();
        let (runtime, cache) = match (row.child, row.tamper) {
            (Some(cpu), _) => (compiling_in_a_child(own_cache.path(), cpu), own_cache.path()),
            (None, Some(_)) => (runtime(own_cache.path()), own_cache.path()),
            (None, None) => (Arc::clone(&self.runtime), self.cache.path()),
        };
        let loaded = StageFactory::load(row.spec.clone(), &runtime);
        let factory = match (loaded, row.ends) {
            (Err(error), Ends::Refused | Ends::Init(_)) => return self.refused(row, &runtime, &error),
            (
                Ok(factory),
                Ends::Faults(_) | Ends::SeventhFaults(_) | Ends::SomeFaults(_) | Ends::Contained,
            ) => factory,
            (Ok(_), ends) => panic!("it was loaded, not {}", ends.as_str()),
            (Err(error), _) => panic!("it was not loaded: {}", text(&error)),
        };
        let factory = match row.tamper {
            None => factory,
            Some(tamper) => tampered(row, tamper, cache),
        };
        self.ask(row, &factory);
        self.neighbours_are_undisturbed(&mut batch(), &self.undisturbed);
    }

    /// The error says who, and what was too much; saying so takes no longer than the stage's limits.
    fn refused(&self, row: &Row, runtime: &Arc<Runtime>, error: &LoadError) {
        let said = text(error);
        assert!(said.contains(row.error) && said.contains("stage hostile: "), "{said}");
        assert!(said.len() <= DETAIL_BYTES_MAX, "{} bytes of {}", said.len(), &said[..200]);
        if let Ends::Init(reason) = row.ends {
            let who = format!("init failed ({reason}): plugin hostile 1.2.3 (generation 7): ");
            assert!(said.contains(&who), "{said}");
            assert!(!is_limit(row.limit) || said.contains(row.limit), "no {} in {said}", row.limit);
            // Compiled by now.
            let begun = cpu_time();
            StageFactory::load(row.spec.clone(), runtime).map(|_| ()).unwrap_err();
            let took = cpu_time() - begun;
            assert!(took <= row.spec.limits.init_time_max + SLACK, "it took {took:?}");
        }
        self.neighbours_are_undisturbed(&mut batch(), &self.undisturbed);
    }

    fn ask(&self, row: &Row, factory: &StageFactory) {
        let fresh = || row.event.map_or_else(batch, |event| columns([event().as_str()]));
        let undisturbed = ask_all(&self.neighbours, &mut fresh());
        let mut stage = factory.instantiate().unwrap();
        let memory = memory_from_here();
        let mut faults = 0;
        for _ in 0..BATCHES {
            let mut batch = fresh();
            let rows = batch.len();
            let begun = cpu_time();
            let answer = stage.run(&mut batch);
            let took = cpu_time() - begun;
            assert!(took <= time_max(&row.spec.limits), "it took {took:?}");
            assert_eq!(batch.len(), rows);
            faults += check_answer(row, &answer, rows);
            self.neighbours_are_undisturbed(&mut batch, &undisturbed);
        }
        let grown = memory.grown();
        assert!(grown <= HOST_MEMORY_BYTES_MAX, "the host grew by {} MiB", grown >> 20);
        check_counts(row, &factory.metrics().read(), faults);
    }

    /// Not by a byte, on the batch that the hostile guest saw and on the next one.
    fn neighbours_are_undisturbed(&self, same: &mut Columns, undisturbed: &[StageAnswer]) {
        assert_eq!(ask_all(&self.neighbours, same), undisturbed);
        assert_eq!(ask_all(&self.neighbours, &mut batch()), self.undisturbed);
    }
}

fn ask_all(stages: &[StageFactory], batch: &mut Columns) -> Vec<StageAnswer> {
    stages.iter().map(|factory| factory.instantiate().unwrap().run(batch)).collect()
}

/// The faults are those of the row, each says all that there is to say, and there is an answer for every event.
fn check_answer(row: &Row, answer: &StageAnswer, rows: usize) -> usize {
    let is_seventh = |at: usize| at % 7 == 6;
    let reason = match row.ends {
        Ends::Faults(reason) | Ends::SeventhFaults(reason) | Ends::SomeFaults(reason) => reason,
        Ends::Refused | Ends::Init(_) | Ends::Contained => "",
    };
    let want: Vec<usize> = match row.ends {
        Ends::Faults(_) => (0..rows).collect(),
        Ends::SeventhFaults(_) => (0..rows).filter(|at| is_seventh(*at)).collect(),
        Ends::SomeFaults(_) => answer.faults.iter().map(|fault| fault.row).collect(),
        Ends::Refused | Ends::Init(_) | Ends::Contained => Vec::new(),
    };
    let found: Vec<usize> = answer.faults.iter().map(|fault| fault.row).collect();
    assert_eq!(found, want, "{:#?}", answer.faults.first());
    for fault in &answer.faults {
        assert_eq!(fault.reason, reason, "{}", fault.detail);
        let event = format!("plugin hostile 1.2.3 (generation 7): event {:032x}: {reason}: ", fault.row);
        assert!(fault.detail.starts_with(&event), "{}", fault.detail);
        assert!(
            !is_limit(row.limit) || fault.detail.contains(row.limit),
            "no {} in {}",
            row.limit,
            fault.detail
        );
        assert!(fault.detail.len() <= DETAIL_BYTES_MAX, "{} bytes", fault.detail.len());
        assert!(
            !fault.detail.contains(|c: char| c.is_control() && c != '\n' && c != '\t'),
            "{:?}",
            fault.detail
        );
    }
    // Of events that were not asked about alone less is said.
    let said = |fault: &host_pipeline::Fault| fault.detail.contains(row.error);
    assert!(
        answer.faults.is_empty() || answer.faults.iter().any(said),
        "no {:?} in {:#?}",
        row.error,
        answer.faults
    );
    let bytes: usize = answer.faults.iter().map(|fault| fault.detail.len()).sum();
    assert!(bytes <= 2 * row.spec.limits.isolated_faults_max * DETAIL_BYTES_MAX, "{bytes} bytes");
    let answered = match &answer.answer {
        Answer::Filter(filter) => {
            assert!(filter.verdicts.iter().all(|verdict| *verdict as usize <= filter.reasons.len()));
            filter.verdicts.len()
        }
        Answer::Sample(rates) => rates.rates.len(),
        Answer::Scrub(edits) => edits.len(),
        Answer::Fingerprint(fingerprints) => fingerprints.len(),
    };
    assert_eq!(answered, rows);
    answer.faults.len()
}

/// Every limit that was hit is counted, by its reason.
fn check_counts(row: &Row, counts: &StageCounts, faults: usize) {
    let of = |all: &[(&str, u64)], reason: &str| {
        all.iter().filter(|(r, _)| *r == reason).map(|(_, n)| n).sum::<u64>()
    };
    let all: u64 = counts.faults.iter().map(|(_, n)| n).sum();
    assert_eq!(all, faults as u64, "{:?}", counts.faults);
    if let Ends::Faults(reason) | Ends::SeventhFaults(reason) | Ends::SomeFaults(reason) = row.ends {
        assert_eq!(of(&counts.faults, reason), faults as u64);
        assert!(faults > 0 && of(&counts.failures, reason) > 0, "{:?}", counts.failures);
    }
    match row.counted {
        None => {}
        Some(Counted::Restarts) => assert!(counts.restarts > 0),
        Some(Counted::LogLines) => assert!(counts.log_lines_suppressed > 0),
    }
    assert!(counts.starts > 0 && counts.start_nanos > 0);
}

/// The names of limits; else the column says in words what stops a guest.
fn is_limit(name: &str) -> bool {
    name.ends_with("_max")
}

/// A batch is asked about as a whole and then in parts, until the time for that is over; each time a guest may have to be started, and
/// what runs when time is over is let run to its own end. A tick of the clock comes late twice.
fn time_max(limits: &Limits) -> Duration {
    let once = limits.init_time_max + limits.call_time_max;
    (once + limits.isolation_time_max + once + SLACK).min(UNHURRIED)
}

fn compiling_in_a_child(cache: &Path, cpu: &str) -> Arc<Runtime> {
    let program = std::env::current_exe().unwrap();
    let compile = Compile::Child(CompileCommand { program, args: vec!["compile".into(), cpu.into()] });
    let clock = Arc::new(Instant::now);
    Runtime::new(RuntimeConfig { cache_dir: cache.into(), compile, clock, perf_map: false }).unwrap()
}

/// Loads again after somebody was at the cache. What they left is not there any more afterwards.
fn tampered(row: &Row, tamper: fn(&Path), cache: &Path) -> StageFactory {
    let state = || {
        let mut files: Vec<PathBuf> = std::fs::read_dir(cache).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    tamper(cache);
    let left = state();
    let factory = StageFactory::load(row.spec.clone(), &runtime(cache)).unwrap();
    assert!(state() != left, "it took what it found");
    factory
}

fn text(error: &LoadError) -> String {
    match error {
        LoadError::Component { source, .. } => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

/// Of this thread. The machine may be busy with something else: a limit on time is a limit on what a stage takes.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat");
    let stat = stat.unwrap_or_else(|e| {
        panic!("/proc/thread-self/schedstat, of a kernel with CONFIG_SCHED_INFO, is needed: {e}")
    });
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

struct Memory(usize);

/// Resets the high-water mark of this process's memory.
fn memory_from_here() -> Memory {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    Memory(status("VmRSS:"))
}

impl Memory {
    fn grown(&self) -> usize {
        status("VmHWM:").saturating_sub(self.0)
    }
}

fn status(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}
