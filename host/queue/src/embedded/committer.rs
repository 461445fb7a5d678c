//! The one thread that writes a partition: it gathers appends into a group, writes it, fsyncs, and answers them all.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use host_event::{Millis, Offset};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Shared;
use super::disk::is_no_space;
use super::format::{GROUP_HEADER_BYTES, GroupHeader, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::part::Part;
use super::recover::{Tail, create_segment};
use crate::Error;

/// A group takes no further append once it is this large. It bounds memory, and the time to the next fsync.
pub(crate) const GROUP_BYTES_MAX: usize = 4 << 20;

/// One call of `append`, on its way to the disk.
pub(crate) struct Request {
    /// The records, framed.
    pub(crate) frames: Vec<u8>,
    pub(crate) records: u32,
    pub(crate) done: oneshot::Sender<Result<(), Error>>,
    /// Given back when this is dropped: it bounds what waits.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// What waits for the committer.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) requests: Vec<Request>,
    bytes: usize,
    /// How many requests are worth waking it for, while it gathers.
    wanted: usize,
    /// Everything is committed, and the segment in use should be let go.
    pub(crate) roll: bool,
    pub(crate) closing: bool,
}

impl Pending {
    /// Adds a request, and says whether the committer must be woken.
    pub(crate) fn push(&mut self, request: Request) -> bool {
        self.bytes += request.frames.len();
        self.requests.push(request);
        self.requests.len() == 1 || self.is_enough()
    }

    fn is_enough(&self) -> bool {
        self.requests.len() >= self.wanted || self.bytes >= GROUP_BYTES_MAX || self.closing
    }

    /// Takes what goes into one group: in order, at least one, up to the bound.
    fn take(&mut self) -> Vec<Request> {
        let mut bytes = 0;
        let fits = self.requests.iter().take_while(|r| {
            let first = bytes == 0;
            bytes += r.frames.len();
            first || bytes <= GROUP_BYTES_MAX
        });
        let count = fits.count();
        let taken: Vec<Request> = self.requests.drain(..count).collect();
        self.bytes -= taken.iter().map(|r| r.frames.len()).sum::<usize>();
        taken
    }
}

/// The end of the log, where it is written.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    part: Arc<Part>,
    file: File,
    /// Where the segment begins, as an offset, and where it ends, as a byte.
    base: Offset,
    bytes: u64,
    end: Offset,
    queued_at: Millis,
    group: Vec<u8>,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, part: Arc<Part>, tail: Tail) -> Committer {
        let Tail { file, base, bytes, end, queued_at, .. } = tail;
        Committer { shared, part, file, base, bytes, end, queued_at, group: Vec::new() }
    }

    /// Works until the queue is closed and everything that was accepted before is answered.
    pub(crate) fn run(mut self) {
        let _cleanup = AnswerOnPanic { shared: self.shared.clone(), part: self.part.clone() };
        let (mut answered, mut took) = (0, Duration::ZERO);
        loop {
            let delay_max = self.shared.commit_delay_max.min(took / 2);
            let (requests, roll) = gather(&self.part, answered, delay_max);
            if requests.is_empty() && !roll {
                return;
            }
            answered = requests.len();
            if !requests.is_empty() {
                let start = Instant::now();
                self.commit(requests);
                took = start.elapsed();
            }
            if roll {
                self.roll_if_done();
            }
        }
    }

    fn commit(&mut self, requests: Vec<Request>) {
        if let Err(error) = self.shared.check_poison() {
            return answer(requests, &Err(error));
        }
        let (fitting, group_bytes) = self.reserve(requests);
        if fitting.is_empty() {
            return;
        }
        let records = fitting.iter().map(|r| r.records).sum::<u32>();
        match self.write_group(&fitting, group_bytes, records) {
            Ok(()) => {
                self.bytes += group_bytes;
                self.end += u64::from(records);
                self.part.publish(self.bytes, self.end);
                self.shared.groups.fetch_add(1, Ordering::Relaxed);
                answer(fitting, &Ok(()));
            }
            Err(error) => {
                self.shared.release(group_bytes);
                answer(fitting, &Err(error));
            }
        }
    }

    /// Takes room on disk for as many of the requests as fit, and answers the others.
    fn reserve(&mut self, requests: Vec<Request>) -> (Vec<Request>, u64) {
        let mut group_bytes = GROUP_HEADER_BYTES as u64;
        let mut fitting = Vec::with_capacity(requests.len());
        for request in requests {
            let head = if fitting.is_empty() { GROUP_HEADER_BYTES as u64 } else { 0 };
            match self.shared.reserve(head + request.frames.len() as u64) {
                Ok(()) => {
                    group_bytes += request.frames.len() as u64;
                    fitting.push(request);
                }
                Err(full) => answer(vec![request], &Err(full)),
            }
        }
        (fitting, group_bytes)
    }

    fn write_group(&mut self, requests: &[Request], group_bytes: u64, records: u32) -> Result<(), Error> {
        if self.end > self.base && self.bytes + group_bytes > self.shared.segment_bytes_max {
            self.roll()?;
        }
        self.queued_at = self.queued_at.max((self.shared.now)());
        let body_bytes = (group_bytes - GROUP_HEADER_BYTES as u64) as u32;
        let header = GroupHeader { body_bytes, records, base: self.end, queued_at: self.queued_at };
        self.group.clear();
        self.group.extend_from_slice(&self.shared.seal.group_header(&header));
        for request in requests {
            self.group.extend_from_slice(&request.frames);
        }
        let written = self.shared.disk.write_at(&self.file, &self.group, self.bytes);
        if self.group.capacity() > 2 * GROUP_BYTES_MAX {
            self.group = Vec::new();
        }
        match written {
            Err(e) if is_no_space(&e) => self.take_back(&e),
            Err(e) => Err(self.shared.poison(&self.what_failed("write", &e))),
            Ok(()) => {
                let synced = self.shared.disk.sync(&self.file);
                synced.map_err(|e| self.shared.poison(&self.what_failed("fsync", &e)))
            }
        }
    }

    /// The file system is full: removes the part of the group that was written, so that the next is not written over it
    /// and recovery never finds the two mixed. Nothing was fsynced, so nothing is in doubt.
    fn take_back(&self, no_space: &io::Error) -> Result<(), Error> {
        match self.shared.disk.cut(&self.file, self.bytes) {
            Ok(()) => Err(self.shared.file_system_full(no_space)),
            Err(e) => Err(self.shared.poison(&self.what_failed("cutting after a failed write", &e))),
        }
    }

    /// Begins a new segment.
    fn roll(&mut self) -> Result<(), Error> {
        self.shared.reserve(SEGMENT_HEADER_BYTES as u64)?;
        let header =
            SegmentHeader { partition: self.part.number, base: self.end, queued_at_floor: self.queued_at };
        let made = create_segment(&self.shared.disk, &self.shared.seal, &self.part.dir, &header);
        let file = made.map_err(|e| {
            self.shared.release(SEGMENT_HEADER_BYTES as u64);
            if is_no_space(&e) {
                return self.shared.file_system_full(&e);
            }
            self.shared.poison(&self.what_failed("beginning a segment", &e))
        })?;
        (self.file, self.base, self.bytes) = (file, self.end, SEGMENT_HEADER_BYTES as u64);
        self.part.begin_segment(self.base, self.bytes);
        // The one before may have been kept only because it was in use.
        self.part.free(&self.shared);
        Ok(())
    }

    /// Lets the segment in use go, so that a log that is read through holds almost no disk.
    fn roll_if_done(&mut self) {
        if self.shared.check_poison().is_ok() && self.end > self.base && self.part.is_done() {
            // If there is no room for a new segment, the old one simply stays.
            let _ = self.roll();
        }
    }

    fn what_failed(&self, what: &str, error: &io::Error) -> String {
        format!("{what} failed in {} at byte {}: {error}", self.part.dir.display(), self.bytes)
    }
}

fn answer(requests: Vec<Request>, result: &Result<(), Error>) {
    for request in requests {
        // Who does not wait any more does not want to know.
        let _ = request.done.send(result.clone());
    }
}

/// Waits for appends. An idle log commits the first at once. In a busy one those who were just answered are about to come
/// again, while others have been waiting: one fsync for all of them beats one for each half in turn. So it waits until all
/// are there, but never longer than half of what the last fsync took, which is the most that it can save.
fn gather(part: &Part, answered: usize, delay_max: Duration) -> (Vec<Request>, bool) {
    let mut pending = part.pending.lock();
    pending.wanted = answered + pending.requests.len();
    while pending.requests.is_empty() && !pending.roll && !pending.closing {
        part.wake.wait(&mut pending);
    }
    if !pending.requests.is_empty() && !pending.is_enough() {
        let deadline = Instant::now() + delay_max;
        while !pending.is_enough() {
            if part.wake.wait_until(&mut pending, deadline).timed_out() {
                break;
            }
        }
    }
    let roll = std::mem::take(&mut pending.roll);
    (pending.take(), roll)
}

/// Without a committer nobody would be answered; then it is better to say so.
struct AnswerOnPanic {
    shared: Arc<Shared>,
    part: Arc<Part>,
}

impl Drop for AnswerOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error =
                self.shared.poison(&format!("the thread that writes {} panicked", self.part.dir.display()));
            let mut pending = self.part.pending.lock();
            pending.closing = true;
            answer(std::mem::take(&mut pending.requests), &Err(error));
        }
    }
}
