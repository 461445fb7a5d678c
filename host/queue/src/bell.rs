//! Tells whoever waits that there may be something new, whichever partition it is in.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::port::READ_WAIT_MAX;

/// Counts how often it was rung, so that no ring between two waits is missed.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rings.lock() += 1;
        self.rung.notify_all();
    }

    /// Waits until it was rung more often than `seen`, and says how often it was.
    pub(crate) fn wait(&self, seen: u64, at_most: Duration) -> u64 {
        let deadline = Instant::now() + at_most.min(READ_WAIT_MAX);
        let mut rings = self.rings.lock();
        while *rings <= seen && !self.rung.wait_until(&mut rings, deadline).timed_out() {}
        *rings
    }
}
