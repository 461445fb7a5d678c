//! Leaves a stage alone for a while when it keeps failing, and longer each time.

use std::time::{Duration, Instant};

use crate::limits::Limits;

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failed_in_a_row: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    back_off: Duration,
}

/// What a verdict over a batch changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Opened(Duration),
    /// The probe failed as well.
    Extended(Duration),
    Closed,
}

impl Breaker {
    /// Whether a batch may be tried; after the back-off one may, as a probe.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        self.open.as_ref().is_none_or(|open| now >= open.until)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(crate) fn succeeded(&mut self) -> Change {
        self.failed_in_a_row = 0;
        match self.open.take() {
            Some(_) => Change::Closed,
            None => Change::None,
        }
    }

    pub(crate) fn failed(&mut self, now: Instant, limits: &Limits) -> Change {
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        if let Some(open) = &mut self.open {
            open.back_off = open.back_off.saturating_mul(2).min(limits.back_off_max);
            open.until = now + open.back_off;
            return Change::Extended(open.back_off);
        }
        if self.failed_in_a_row < limits.failed_batches_max {
            return Change::None;
        }
        let back_off = limits.back_off_min;
        self.open = Some(Open { until: now + back_off, back_off });
        Change::Opened(back_off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_probes_doubles_and_closes() {
        let limits = Limits {
            failed_batches_max: 3,
            back_off_min: Duration::from_secs(1),
            back_off_max: Duration::from_secs(3),
            ..Limits::default()
        };
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let secs = Duration::from_secs;
        assert_eq!(breaker.failed(now, &limits), Change::None);
        assert_eq!(breaker.failed(now, &limits), Change::None);
        assert_eq!(breaker.succeeded(), Change::None);
        // (what a batch does, what changes, how long the stage is left alone)
        let steps = [
            (false, Change::None, 0),
            (false, Change::None, 0),
            (false, Change::Opened(secs(1)), 1),
            (false, Change::Extended(secs(2)), 2),
            (false, Change::Extended(secs(3)), 3),
            (false, Change::Extended(secs(3)), 3),
            (true, Change::Closed, 0),
            (false, Change::None, 0),
        ];
        for (step, (succeeds, change, back_off)) in steps.into_iter().enumerate() {
            assert!(breaker.admits(now), "step {step}");
            let got = if succeeds { breaker.succeeded() } else { breaker.failed(now, &limits) };
            assert_eq!(got, change, "step {step}");
            if back_off > 0 {
                assert!(!breaker.admits(now + secs(back_off) - Duration::from_millis(1)), "step {step}");
            }
            now += secs(back_off);
        }
    }
}
