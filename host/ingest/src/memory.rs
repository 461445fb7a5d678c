//! One budget of memory for all bodies that are in flight. Nobody waits for it: waiting requests would hold memory too.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug, Clone)]
pub struct Memory {
    kib: Arc<Semaphore>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("memory for bodies in flight is used up")]
pub struct OutOfMemory;

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Lease {
    memory: Memory,
    permit: Option<OwnedSemaphorePermit>,
}

/// Steps in which leases grow, so that a body does not come back for every chunk.
const STEP_KIB: usize = 16;

impl Memory {
    pub fn new(bytes_max: usize) -> Memory {
        let kib = (bytes_max / 1024).min(Semaphore::MAX_PERMITS);
        Memory { kib: Arc::new(Semaphore::new(kib)) }
    }

    pub fn lease(&self) -> Lease {
        Lease { memory: self.clone(), permit: None }
    }

    pub fn free_bytes(&self) -> usize {
        self.kib.available_permits() * 1024
    }
}

impl Lease {
    /// Makes sure that `bytes` are covered in total.
    pub fn cover(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = bytes.div_ceil(1024);
        if wanted <= held {
            return Ok(());
        }
        let more = u32::try_from(wanted.next_multiple_of(STEP_KIB) - held).map_err(|_| OutOfMemory)?;
        let more = Arc::clone(&self.memory.kib).try_acquire_many_owned(more).map_err(|_| OutOfMemory)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_share_a_budget_and_give_it_back() {
        let memory = Memory::new(100 * 1024);
        let (mut a, mut b) = (memory.lease(), memory.lease());
        assert_eq!(a.cover(0), Ok(()));
        assert_eq!(memory.free_bytes(), 100 * 1024);
        assert_eq!(a.cover(60 * 1024), Ok(()));
        assert_eq!(a.cover(64 * 1024), Ok(()));
        assert_eq!(memory.free_bytes(), 36 * 1024);
        assert_eq!(b.cover(40 * 1024), Err(OutOfMemory));
        drop(a);
        assert_eq!(b.cover(90 * 1024), Ok(()));
        assert_eq!(b.cover(usize::MAX), Err(OutOfMemory));
    }
}
