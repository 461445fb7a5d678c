//! A well-behaved stage in a thread of its own, while the hostile ones do what they do: how long its batches take, beside them and
//! alone.
//!
//! Compared are medians of the time of single batches. A batch takes some tenths of a millisecond, far less than a turn of the
//! scheduler, so that the median batch is not interrupted, however many others want the two cores: what it measures is what hostile
//! guests could take by other means than by wanting a core, by locks, by page tables and caches. The machine's
//! load and frequency change over time; so it is measured alone after every row and not once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use host_event::Columns;
use host_pipeline::{Stage, StageAnswer, StageKind};
use host_plugin::{PluginStage, StageFactory};

use crate::support::{guest, messages, runtime, spec};

pub struct Neighbour {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Whether a hostile guest runs at the moment.
    beside: AtomicBool,
    times: Mutex<Times>,
}

#[derive(Default)]
struct Times {
    alone: Vec<Duration>,
    beside: Vec<Duration>,
}

/// How long it is measured alone after each row.
const PAUSE: Duration = Duration::from_millis(20);
/// Batches without a rest, and the rest after them.
const BURST: usize = 16;
const REST: Duration = Duration::from_millis(2);
/// Batches without which a median says nothing.
const BATCHES_MIN: usize = 500;
/// The median beside hostile guests, against that alone.
const RATIO_MAX: f64 = 1.2;

impl Neighbour {
    pub fn start() -> Neighbour {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().spawn(move || work(&of_thread)).unwrap();
        Neighbour { shared, thread: Some(thread) }
    }

    /// Runs something hostile, and afterwards nothing for a while.
    pub fn beside<T>(&self, hostile: impl FnOnce() -> T) -> T {
        struct Alone<'a>(&'a AtomicBool);
        impl Drop for Alone<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
                std::thread::sleep(PAUSE);
            }
        }
        self.shared.beside.store(true, Ordering::SeqCst);
        let _alone = Alone(&self.shared.beside);
        hostile()
    }

    /// Whether it is as fast beside hostile guests as alone.
    pub fn compare(&self) {
        let times = self.shared.times.lock().unwrap();
        let (alone, beside) = (median(&times.alone), median(&times.beside));
        let ratio = beside.as_secs_f64() / alone.as_secs_f64();
        println!(
            "a neighbour's batch: {alone:?} alone ({} batches), {beside:?} beside hostile guests ({} batches), ratio {ratio:.2}",
            times.alone.len(),
            times.beside.len()
        );
        assert!(ratio <= RATIO_MAX, "a neighbour takes {ratio:.2} times as long beside hostile guests");
    }
}

fn median(times: &[Duration]) -> Duration {
    assert!(times.len() >= BATCHES_MIN, "only {} batches", times.len());
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn work(shared: &Shared) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime(dir.path());
    let load = |(kind, file)| {
        StageFactory::load(spec(kind, guest(kind, file)), &runtime).unwrap().instantiate().unwrap()
    };
    let files = [(StageKind::Filter, "mischief.wat"), (StageKind::Scrubber, "scrubber.wat")];
    let mut stages: Vec<PluginStage> = files.into_iter().map(load).collect();
    let texts: Vec<&str> = ["fine", "drop"].into_iter().cycle().take(1024).collect();
    let mut batch = messages(&texts);
    let want = ask(&mut stages, &mut batch);
    while !shared.stop.load(Ordering::SeqCst) {
        for number in 0..BURST {
            let before = shared.beside.load(Ordering::SeqCst);
            let begun = Instant::now();
            let answers = ask(&mut stages, &mut batch);
            let took = begun.elapsed();
            assert_eq!(answers, want);
            // After a rest everything is slow once.
            if number >= BURST / 4 && before == shared.beside.load(Ordering::SeqCst) {
                let mut times = shared.times.lock().unwrap();
                if before { times.beside.push(took) } else { times.alone.push(took) }
            }
        }
        // It is no load test: leave the core to others for half of the time.
        std::thread::sleep(REST);
    }
}

fn ask(stages: &mut [PluginStage], batch: &mut Columns) -> Vec<StageAnswer> {
    // Narrowing to all rows forgets the columns: they are extracted anew, as of a new batch.
    let all = batch.narrow(0..batch.len());
    batch.widen(all);
    stages.iter_mut().map(|stage| stage.run(batch)).collect()
}
