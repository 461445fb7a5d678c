//! One partition: what its committer, its readers and those who append share.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use host_event::{Offset, Partition};
use parking_lot::{Condvar, Mutex};
use tokio::sync::Semaphore;

use super::Shared;
use super::committer::{Pending, Request};
use super::format::segment_name;
use super::place::Place;
use super::reader::Cursors;
use super::recover::{Recovered, Segment};
use crate::Error;
use crate::bell::Bell;

/// What waits for the committer of one partition. Who appends more waits until there is room.
const PENDING_BYTES_MAX: usize = 8 << 20;
/// The semaphore counts in units of so many bytes.
const PENDING_UNIT_BYTES: usize = 1 << 10;

pub(crate) struct Part {
    pub(crate) number: Partition,
    pub(crate) dir: PathBuf,
    pub(crate) log: Mutex<Log>,
    /// Told when records became durable.
    pub(crate) readable: Condvar,
    /// Told as well, for all partitions.
    pub(crate) bell: Arc<Bell>,
    pub(crate) cursors: Mutex<Cursors>,
    pub(crate) pending: Mutex<Pending>,
    /// Told when there is something pending.
    pub(crate) wake: Condvar,
    pub(crate) room: Arc<Semaphore>,
    place: Mutex<Place>,
}

/// What is durable, and so can be seen.
pub(crate) struct Log {
    /// Never empty.
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) end: Offset,
    pub(crate) committed: Offset,
    pub(crate) closed: bool,
}

impl Part {
    pub(crate) fn new(number: Partition, recovered: Recovered, end: Offset, bell: Arc<Bell>) -> Part {
        let Recovered { dir, segments, place, .. } = recovered;
        let committed = place.slot().committed;
        Part {
            number,
            dir,
            log: Mutex::new(Log { segments, end, committed, closed: false }),
            readable: Condvar::new(),
            bell,
            cursors: Mutex::default(),
            pending: Mutex::default(),
            wake: Condvar::new(),
            room: Arc::new(Semaphore::new(PENDING_BYTES_MAX / PENDING_UNIT_BYTES)),
            place: Mutex::new(place),
        }
    }

    /// How many permits of `room` so many bytes take. What is larger than all the room takes all of it.
    pub(crate) fn room_for(bytes: usize) -> u32 {
        bytes.div_ceil(PENDING_UNIT_BYTES).clamp(1, PENDING_BYTES_MAX / PENDING_UNIT_BYTES) as u32
    }

    pub(crate) fn push(&self, request: Request) -> Result<(), Error> {
        let mut pending = self.pending.lock();
        if pending.closing {
            return Err(Error::Closed);
        }
        if pending.push(request) {
            self.wake.notify_one();
        }
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.pending.lock().closing = true;
        self.wake.notify_one();
    }

    /// After the committer has ended: whoever waits for records need not wait any longer.
    pub(crate) fn finish(&self, shared: &Shared) -> Result<(), Error> {
        let mut place = self.place.lock();
        let (committed, end) = {
            let mut log = self.log.lock();
            log.closed = true;
            (log.committed, log.end)
        };
        self.readable.notify_all();
        self.bell.ring();
        // So that a later loss of the last group is told from a torn tail.
        shared.check_poison()?;
        if place.slot().end == end {
            return Ok(());
        }
        place.write(&shared.disk, committed, end).map_err(|why| shared.poison(&why))
    }

    /// Lets readers see what is durable now.
    pub(crate) fn publish(&self, bytes: u64, end: Offset) {
        let mut log = self.log.lock();
        log.segments.back_mut().expect("there is always a segment").bytes = bytes;
        log.end = end;
        drop(log);
        self.readable.notify_all();
        self.bell.ring();
    }

    pub(crate) fn begin_segment(&self, base: Offset, bytes: u64) {
        self.log.lock().segments.push_back(Segment { base, bytes });
    }

    pub(crate) fn is_done(&self) -> bool {
        let log = self.log.lock();
        log.committed == log.end
    }

    /// Moves the committed offset: first on disk, then in memory, and only then is anything let go.
    pub(crate) fn commit(&self, shared: &Shared, next: Offset) -> Result<(), Error> {
        let mut place = self.place.lock();
        let end = self.log.lock().end;
        if next > end {
            let what = format!("offset {next} can not be committed, the log ends at {end}");
            return Err(Error::Corrupt { partition: self.number, offset: next, what });
        }
        if next <= place.slot().committed {
            return Ok(());
        }
        place.write(&shared.disk, next, end).map_err(|why| {
            shared.poison(&format!("{}: {why}", self.dir.display()));
            Error::Poisoned(why)
        })?;
        let worth_rolling = {
            let mut log = self.log.lock();
            log.committed = next;
            let last = log.segments.back().expect("there is always a segment");
            next == log.end && last.bytes > shared.segment_bytes_max / 2
        };
        drop(place);
        self.free(shared);
        if worth_rolling {
            self.pending.lock().roll = true;
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Removes the segments that hold nothing but committed records.
    pub(crate) fn free(&self, shared: &Shared) {
        let mut done = Vec::new();
        let first = {
            let mut log = self.log.lock();
            while log.segments.len() > 1 && log.segments[1].base <= log.committed {
                done.extend(log.segments.pop_front());
            }
            log.segments[0].base
        };
        if done.is_empty() {
            return;
        }
        // An open file would keep its bytes.
        self.cursors.lock().forget_before(first);
        for segment in done {
            let path = self.dir.join(segment_name(segment.base));
            match fs::remove_file(&path) {
                Ok(()) => shared.release(segment.bytes),
                // Its bytes stay counted, since they are still there; the next start removes it.
                Err(error) => tracing::error!(file = %path.display(), %error, "segment can not be removed"),
            }
        }
    }
}
