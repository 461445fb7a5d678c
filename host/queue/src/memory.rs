//! The queue in memory, for the tests of other crates: it keeps every promise of the port but durability.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use host_event::{Millis, Offset, Partition, Record};
use parking_lot::{Condvar, Mutex};

use crate::bell::Bell;
use crate::port::READ_WAIT_MAX;
use crate::{Appending, Clock, Error, Lease, Queue, ReadLimit, Stored};

/// Records go through their encoded form, as they would on disk.
pub struct Memory {
    now: Clock,
    bytes_max: u64,
    log: Mutex<Log>,
    changed: Condvar,
    bell: Bell,
    leases: Vec<Lease>,
}

struct Log {
    parts: Vec<Part>,
    bytes: u64,
    poisoned: Option<String>,
    closed: bool,
}

#[derive(Default)]
struct Part {
    records: VecDeque<(Millis, Bytes)>,
    /// The offset of the first record, which is also the committed one.
    committed: Offset,
    queued_at: Millis,
}

impl Part {
    fn end(&self) -> Offset {
        self.committed + self.records.len() as u64
    }
}

impl Memory {
    /// An empty queue that is never full.
    pub fn new(partitions: u32, now: Clock) -> Memory {
        assert!(partitions > 0, "a queue has at least one partition");
        let parts = (0..partitions).map(|_| Part::default()).collect();
        let log = Mutex::new(Log { parts, bytes: 0, poisoned: None, closed: false });
        Memory {
            now,
            bytes_max: u64::MAX,
            log,
            changed: Condvar::new(),
            bell: Bell::default(),
            leases: (0..partitions).map(Lease::new).collect(),
        }
    }

    /// Refuses as [`Error::Full`] what would hold more than so many encoded bytes, and as [`Error::TooLarge`] what would
    /// do so by itself.
    pub fn with_bytes_max(mut self, bytes_max: u64) -> Memory {
        self.bytes_max = bytes_max;
        self
    }

    /// Fails every append from now on, as after a failed fsync.
    pub fn poison(&self, why: &str) {
        self.log.lock().poisoned = Some(why.to_owned());
    }

    /// Fails every append from now on, and every read once there is nothing left.
    pub fn close(&self) {
        self.log.lock().closed = true;
        self.changed.notify_all();
        self.bell.ring();
    }

    fn append_now(&self, partition: Partition, records: &[Record]) -> Result<(), Error> {
        let encoded: Vec<Bytes> = records.iter().map(encode).collect();
        let bytes = encoded.iter().map(|b| b.len() as u64).sum::<u64>();
        let now = (self.now)();
        let mut log = self.log.lock();
        log.part(partition)?;
        log.health()?;
        if bytes > self.bytes_max {
            return Err(Error::TooLarge { bytes, max: self.bytes_max });
        }
        if log.bytes + bytes > self.bytes_max {
            return Err(Error::Full { path: "memory".into(), used: log.bytes, max: self.bytes_max });
        }
        log.bytes += bytes;
        let part = log.part(partition)?;
        part.queued_at = part.queued_at.max(now);
        let queued_at = part.queued_at;
        part.records.extend(encoded.into_iter().map(|bytes| (queued_at, bytes)));
        drop(log);
        self.changed.notify_all();
        self.bell.ring();
        Ok(())
    }
}

impl Log {
    fn part(&mut self, partition: Partition) -> Result<&mut Part, Error> {
        let count = self.parts.len();
        self.parts.get_mut(partition as usize).ok_or_else(|| {
            Error::Config(format!("queue has partitions 0 to {}, there is no {partition}", count - 1))
        })
    }

    fn health(&self) -> Result<(), Error> {
        match &self.poisoned {
            Some(why) => Err(Error::Poisoned(why.clone())),
            None if self.closed => Err(Error::Closed),
            None => Ok(()),
        }
    }
}

impl Queue for Memory {
    fn source(&self) -> &str {
        "memory"
    }

    fn partitions(&self) -> u32 {
        self.leases.len() as u32
    }

    fn append(&self, partition: Partition, records: Vec<Record>) -> Appending<'_> {
        Box::pin(async move { self.append_now(partition, &records) })
    }

    fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Stored>, Error> {
        let mut log = self.log.lock();
        let deadline = Instant::now() + wait.min(READ_WAIT_MAX);
        while log.part(partition)?.end() <= from && !log.closed && !wait.is_zero() {
            if self.changed.wait_until(&mut log, deadline).timed_out() {
                break;
            }
        }
        let closed = log.closed;
        let part = log.part(partition)?;
        let Some(skip) = from.checked_sub(part.committed) else {
            let what = format!("it is committed and forgotten, the log begins at offset {}", part.committed);
            return Err(Error::Corrupt { partition, offset: from, what });
        };
        if part.end() <= from && closed {
            return Err(Error::Closed);
        }
        let mut bytes = 0;
        let mut out = Vec::new();
        for ((queued_at, encoded), offset) in part.records.iter().skip(skip as usize).zip(from..) {
            bytes += encoded.len();
            if !out.is_empty() && (out.len() >= limit.records_max || bytes > limit.bytes_max) {
                break;
            }
            let record = Record::decode(encoded.clone());
            out.push(Stored { offset, queued_at: *queued_at, record });
        }
        Ok(out)
    }

    fn leases(&self) -> Vec<Lease> {
        self.leases.clone()
    }

    fn wait(&self, seen: u64, at_most: Duration) -> u64 {
        self.bell.wait(seen, at_most)
    }

    fn commit(&self, partition: Partition, next: Offset) -> Result<(), Error> {
        let mut log = self.log.lock();
        let part = log.part(partition)?;
        let end = part.end();
        if next > end {
            let what = format!("offset {next} can not be committed, the log ends at {end}");
            return Err(Error::Corrupt { partition, offset: next, what });
        }
        let mut freed = 0;
        while part.committed < next {
            freed += part.records.pop_front().map_or(0, |(_, bytes)| bytes.len() as u64);
            part.committed += 1;
        }
        log.bytes -= freed;
        Ok(())
    }

    fn committed(&self, partition: Partition) -> Result<Offset, Error> {
        Ok(self.log.lock().part(partition)?.committed)
    }

    fn end(&self, partition: Partition) -> Offset {
        self.log.lock().part(partition).map_or(0, |part| part.end())
    }

    fn health(&self) -> Result<(), Error> {
        self.log.lock().health()
    }

    fn bytes(&self) -> u64 {
        self.log.lock().bytes
    }
}

fn encode(record: &Record) -> Bytes {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::conformance::record;

    #[tokio::test]
    async fn it_conforms() {
        crate::conformance::check(|| Memory::new(2, Arc::new(|| 1_790_000_000_000))).await;
    }

    #[tokio::test]
    async fn it_fails_on_demand() {
        let queue = Memory::new(1, Arc::new(|| 0)).with_bytes_max(1000);
        assert!(matches!(
            queue.append(0, vec![record(1, 2000)]).await,
            Err(Error::TooLarge { max: 1000, .. })
        ));
        queue.append(0, vec![record(1, 100)]).await.unwrap();
        assert!(matches!(queue.append(0, vec![record(1, 800)]).await, Err(Error::Full { max: 1000, .. })));
        assert!(queue.bytes() > 100);
        queue.poison("fsync failed");
        assert!(matches!(queue.append(0, vec![record(2, 1)]).await, Err(Error::Poisoned(_))));
        assert!(matches!(queue.health(), Err(Error::Poisoned(_))));
        let limit = ReadLimit { records_max: 10, bytes_max: 10_000 };
        assert_eq!(queue.read(0, 0, limit, Duration::ZERO).unwrap().len(), 1);
        queue.commit(0, 1).unwrap();
        assert_eq!(queue.bytes(), 0);
        queue.close();
        assert!(matches!(queue.read(0, 1, limit, Duration::from_secs(9)), Err(Error::Closed)));
    }
}
