//! Measures two things side by side, several times in turn, and compares medians: these machines are noisy.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How long something took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    pub wall: Duration,
    /// Processor time of all threads of this process.
    pub cpu: Duration,
}

pub fn time(work: impl FnOnce()) -> Took {
    let (cpu, wall) = (cpu_now(), Instant::now());
    work();
    Took { wall: wall.elapsed(), cpu: cpu_now() - cpu }
}

fn cpu_now() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Runs both in turn and gives the median of each.
pub fn in_turn(rounds: usize, mut a: impl FnMut() -> f64, mut b: impl FnMut() -> f64) -> (f64, f64) {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        of_a.push(a());
        of_b.push(b());
    }
    (median(of_a), median(of_b))
}

pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A line of the table.
pub struct Row {
    pub what: String,
    pub bar: String,
    pub figure: String,
    pub holds: bool,
}

impl Row {
    pub fn at_least(what: impl Into<String>, bar: f64, figure: f64, detail: &str) -> Row {
        let figure_text = match figure < 100.0 {
            true => format!("{figure:.2} ({detail})"),
            false => format!("{figure:.0} ({detail})"),
        };
        Row { what: what.into(), bar: format!("≥ {bar}"), figure: figure_text, holds: figure >= bar }
    }

    pub fn at_most(what: impl Into<String>, bar: f64, figure: f64, detail: &str) -> Row {
        let figure_text = format!("{figure:.1} ({detail})");
        Row { what: what.into(), bar: format!("≤ {bar}"), figure: figure_text, holds: figure <= bar }
    }
}
