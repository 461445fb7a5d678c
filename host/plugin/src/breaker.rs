//! Leaves a stage alone for a while when it keeps failing, and longer each time.

use std::time::{Duration, Instant};

use crate::limits::{BACK_OFF_PER_TIME_SPENT, Limits};

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failed_in_a_row: u32,
    open: Option<Open>,
}

#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) since: Instant,
    pub(crate) until: Instant,
    pub(crate) back_off: Duration,
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

    pub(crate) fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    pub(crate) fn succeeded(&mut self) -> Change {
        self.failed_in_a_row = 0;
        match self.open.take() {
            Some(_) => Change::Closed,
            None => Change::None,
        }
    }

    /// `spent` is the time that the batch took. A guest that fails by being slow is left alone for longer than one that traps at
    /// once: else its probes would be most of what its worker does.
    pub(crate) fn failed(&mut self, now: Instant, spent: Duration, limits: &Limits) -> Change {
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        let at_least = spent.saturating_mul(BACK_OFF_PER_TIME_SPENT);
        if let Some(open) = &mut self.open {
            open.back_off = open.back_off.saturating_mul(2).max(at_least).min(limits.back_off_max);
            open.until = now + open.back_off;
            return Change::Extended(open.back_off);
        }
        if self.failed_in_a_row < limits.failed_batches_max {
            return Change::None;
        }
        let back_off = limits.back_off_min.max(at_least).min(limits.back_off_max);
        self.open = Some(Open { since: now, until: now + back_off, back_off });
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
        assert_eq!(breaker.failed(now, secs(9), &limits), Change::None);
        assert_eq!(breaker.failed(now, secs(9), &limits), Change::None);
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
            let got = if succeeds { breaker.succeeded() } else { breaker.failed(now, secs(0), &limits) };
            assert_eq!(got, change, "step {step}");
            if back_off > 0 {
                assert!(!breaker.admits(now + secs(back_off) - Duration::from_millis(1)), "step {step}");
            }
            now += secs(back_off);
        }
    }
    #[test]
    fn a_slow_failure_is_left_alone_for_longer() {
        let limits = Limits { failed_batches_max: 1, ..Limits::default() };
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let millis = Duration::from_millis;
        // (how long the batch took, how long the stage is left alone)
        let steps = [(700, 2800), (300, 5600), (3000, 12_000), (30_000, 60_000)];
        for (step, (spent, back_off)) in steps.into_iter().enumerate() {
            let change = breaker.failed(now, millis(spent), &limits);
            let want =
                if step == 0 { Change::Opened(millis(back_off)) } else { Change::Extended(millis(back_off)) };
            assert_eq!(change, want);
        }
        assert_eq!(breaker.open().unwrap().since, now);
    }
}
