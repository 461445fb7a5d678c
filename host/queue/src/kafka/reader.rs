//! Reads one leased partition, in order, from wherever it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use host_event::{BadRecord, Offset, Partition};
use parking_lot::Mutex;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset as Place, TopicPartitionList};

use super::leases::Group;
use super::record::{self, Reading};
use crate::port::READ_WAIT_MAX;
use crate::{Error, Lease, ReadLimit, Stored};

/// A partition as long as this process has it.
pub(super) struct Slot {
    pub(super) lease: Lease,
    /// Records of it went somewhere else: what was fetched has a hole.
    pub(super) torn: AtomicBool,
    /// The offset that is read next, and how often reading was begun somewhere else.
    pub(super) next: AtomicU64,
    pub(super) moves: AtomicU64,
    /// Whether there is a message that was fetched and did not go into the last answer.
    holds: AtomicBool,
    /// What was seen where all was read and the log went on without records.
    pub(super) tail: Mutex<Tail>,
    reader: Mutex<Reader>,
}

/// What two looks at a partition have in common if nothing happens there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) next: Offset,
    pub(super) moves: u64,
    pub(super) end: Offset,
    /// How many looks in a row saw just this.
    pub(super) looks: u32,
}

struct Reader {
    /// None once the lease is lost.
    queue: Option<PartitionQueue<Group>>,
    /// The offset after the one that was given last; none before the first read and after an error.
    next: Option<Offset>,
    /// A message that did not go into the last answer.
    held: Option<Stored>,
    /// The client stopped fetching: only an assignment starts it again.
    stopped: bool,
    /// No message came since fetching was begun here.
    fresh: bool,
    /// Offsets from here on, before there, had no record when they were fetched for the first time.
    doubted: Option<(Offset, Offset)>,
    /// Offsets before this one that have no record are told as such.
    believed: Offset,
    /// How often an offset that should be there was refused in a row.
    refused: u32,
}

/// So long a poll may hold the reader; whoever takes the lease away waits for it.
const POLL_MAX: Duration = Duration::from_millis(50);
/// A partition that was just assigned can not be moved at once.
const MOVE_WAIT_MAX: Duration = Duration::from_millis(500);
const ASK_MAX: Duration = Duration::from_secs(2);
/// An error of the place where fetching was before may come behind the move. One of this place comes again.
const REFUSED_MAX: u32 = 3;

impl Slot {
    /// `from` is where the client begins to fetch.
    pub(super) fn new(partition: Partition, from: Offset, queue: PartitionQueue<Group>) -> Slot {
        let reader = Reader {
            queue: Some(queue),
            next: Some(from),
            held: None,
            stopped: false,
            fresh: true,
            doubted: None,
            believed: 0,
            refused: 0,
        };
        Slot {
            lease: Lease::new(partition),
            torn: AtomicBool::new(false),
            next: AtomicU64::new(from),
            moves: AtomicU64::new(0),
            holds: AtomicBool::new(false),
            tail: Mutex::default(),
            reader: Mutex::new(reader),
        }
    }

    /// From now on nothing more is read. The queue of the client is let go, since the next lease may be on the same one.
    pub(super) fn lose(&self) {
        self.lease.lose();
        self.reader.lock().queue = None;
    }

    /// Where the last record ends if all was read up to `end` and what is left has none: the mark of a transaction, say.
    /// `fetched` says that the client has fetched up to there, and that nothing waits to be read. What it says is from
    /// a moment ago, so it counts when it is said again and again while nothing moves.
    pub(super) fn read_up(&self, end: Offset, fetched: bool) -> Option<Offset> {
        const LOOKS: u32 = 3;
        let (next, moves) = (self.next.load(Relaxed), self.moves.load(Relaxed));
        let mut tail = self.tail.lock();
        let looks = match *tail == (Tail { next, moves, end, looks: tail.looks }) {
            true => tail.looks.saturating_add(1),
            false => 0,
        };
        *tail =
            Tail { next, moves, end, looks: if fetched && !self.holds.load(Relaxed) { looks } else { 0 } };
        (tail.looks >= LOOKS && moves > 0 && next < end).then_some(next)
    }

    pub(super) fn read(
        &self,
        consumer: &BaseConsumer<Group>,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Stored>, Error> {
        let deadline = Instant::now() + wait.min(READ_WAIT_MAX);
        let mut reader = self.reader.lock();
        if self.torn.swap(false, Relaxed) {
            reader.next = None;
        }
        loop {
            if reader.next != Some(from) && !self.go_to(&mut reader, consumer, from)? {
                if Instant::now() < deadline {
                    continue;
                }
                // Whoever waits for a change comes again.
                consumer.context().common.bell.ring();
                return Ok(Vec::new());
            }
            let mut out = Vec::new();
            let mut result = self.take(&mut reader, consumer.context(), limit, &mut out);
            let left = deadline.saturating_duration_since(Instant::now());
            if result.is_ok() && out.is_empty() && reader.next.is_some() && !left.is_zero() {
                result = self.poll(&mut reader, consumer.context(), left.min(POLL_MAX));
            }
            self.holds.store(reader.held.is_some(), Relaxed);
            match result {
                Err(e) if out.is_empty() => self.judge(&mut reader, consumer, e)?,
                // Who reads on begins to fetch anew, and so meets the error again.
                _ if !out.is_empty() || left.is_zero() => return Ok(out),
                _ => {}
            }
        }
    }

    /// Takes what is there, up to the limit.
    fn take(
        &self,
        reader: &mut Reader,
        group: &Group,
        limit: ReadLimit,
        out: &mut Vec<Stored>,
    ) -> Result<(), Error> {
        let mut bytes = 0;
        let full = |out: &Vec<Stored>| !out.is_empty() && out.len() >= limit.records_max;
        while !full(out) {
            if reader.held.is_none() {
                self.poll(reader, group, Duration::ZERO)?;
            }
            let (Some(held), Some(next)) = (reader.held.take(), reader.next) else { return Ok(()) };
            if next < held.offset && !reader.believes(next, held.offset) {
                // It is fetched again. What was told to the caller stays right.
                tracing::debug!(
                    partition = self.lease.partition,
                    next,
                    came = held.offset,
                    "a gap is looked at again"
                );
                reader.next = None;
                group.common.bell.ring();
                return Ok(());
            }
            if next < held.offset {
                // Where a transaction ended or was given up there are offsets without records. They are told when the
                // record behind them is there, so that they have the same time whenever they are read.
                let record = Err(BadRecord::NoRecord);
                out.push(Stored { offset: next, queued_at: held.queued_at, record });
                reader.held = Some(held);
            } else {
                bytes += record::bytes(&held);
                if !out.is_empty() && bytes > limit.bytes_max {
                    reader.held = Some(held);
                    return Ok(());
                }
                reader.fresh = false;
                reader.refused = 0;
                out.push(held);
            }
            reader.next = Some(next + 1);
            self.next.store(next + 1, Relaxed);
        }
        Ok(())
    }

    /// Waits for a message and holds it.
    fn poll(&self, reader: &mut Reader, group: &Group, wait: Duration) -> Result<(), Error> {
        let partition = self.lease.partition;
        if self.lease.is_lost() {
            return Err(Error::Lost { partition });
        }
        let queue = reader.queue.as_ref().ok_or(Error::Lost { partition })?;
        match queue.poll(wait) {
            None => {}
            Some(Ok(message)) => {
                let common = &group.common;
                let reading = Reading {
                    source: &common.source,
                    partition,
                    default_project: common.config.default_project,
                };
                let stored = record::stored(&message, &reading);
                common.ends.raise(partition, stored.offset + 1);
                if reader.next.is_none_or(|next| stored.offset >= next) {
                    drop(message);
                    reader.held = Some(stored);
                }
            }
            Some(Err(e)) => {
                let offset = reader.next.take().unwrap_or(0);
                reader.stopped = true;
                return Err(failure(&e, partition, offset));
            }
        }
        Ok(())
    }

    /// Begins to fetch at another place. False if the partition was assigned so lately that it could not be moved.
    fn go_to(
        &self,
        reader: &mut Reader,
        consumer: &BaseConsumer<Group>,
        from: Offset,
    ) -> Result<bool, Error> {
        let partition = self.lease.partition;
        reader.next = None;
        reader.held = None;
        let common = &consumer.context().common;
        let place = Place::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        let begun = Instant::now();
        loop {
            // Who takes the lease away waits for the reader, so nothing is assigned behind that.
            if self.lease.is_lost() {
                return Err(Error::Lost { partition });
            }
            // A client that stopped fetching for an error that nobody has read yet can not be moved either.
            let moved = if reader.stopped || begun.elapsed() > MOVE_WAIT_MAX / 2 {
                assign_again(consumer, common.topic(), partition, place)
            } else {
                consumer.seek(common.topic(), partition as i32, place, MOVE_WAIT_MAX)
            };
            match moved {
                Ok(()) => break,
                Err(e) if begun.elapsed() > MOVE_WAIT_MAX => {
                    tracing::debug!(partition, from, "fetching can not be moved yet: {e}");
                    return Ok(false);
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        reader.stopped = false;
        reader.fresh = true;
        reader.next = Some(from);
        self.next.store(from, Relaxed);
        self.moves.fetch_add(1, Relaxed);
        Ok(true)
    }

    /// What becomes of an error: of an offset that is not there, it is said what is there instead; one that is there
    /// after all is asked for again.
    fn judge(&self, reader: &mut Reader, consumer: &BaseConsumer<Group>, error: Error) -> Result<(), Error> {
        let Error::Corrupt { partition, offset, what } = error else { return Err(error) };
        let common = &consumer.context().common;
        let topic = common.topic();
        let corrupt = |what: String| Err(Error::Corrupt { partition, offset, what });
        match consumer.fetch_watermarks(topic, partition as i32, ASK_MAX) {
            Ok((low, high)) => {
                let (low, high) = (low.max(0) as Offset, high.max(0) as Offset);
                common.ends.set(partition, high);
                if reader.fresh && (low..=high).contains(&offset) && reader.refused < REFUSED_MAX {
                    reader.refused += 1;
                    return Ok(());
                }
                corrupt(format!("{what}; topic {topic} has offsets {low} to {high} (not included) there now"))
            }
            Err(e) => corrupt(format!("{what}; topic {topic} does not answer: {e}")),
        }
    }
}

impl Reader {
    /// Whether there really are no records from `next` to `came`. One offset between two records is the mark of a
    /// transaction. Anything else must be seen twice: a client that jumped ahead for a reason of its own would lose records
    /// silently, and librdkafka has done so (an answer to an old question for the end of the log, behind a seek).
    fn believes(&mut self, next: Offset, came: Offset) -> bool {
        if came <= self.believed || (!self.fresh && came == next + 1) || self.doubted == Some((next, came)) {
            self.believed = came;
            return true;
        }
        self.doubted = Some((next, came));
        false
    }
}

fn assign_again(
    consumer: &BaseConsumer<Group>,
    topic: &str,
    partition: Partition,
    place: Place,
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition as i32, place)?;
    consumer.incremental_unassign(&list)?;
    consumer.incremental_assign(&list)
}

fn failure(error: &KafkaError, partition: Partition, offset: Offset) -> Error {
    use RDKafkaErrorCode::{
        AutoOffsetReset, BadCompression, BadMessage, InvalidMessage, LogTruncation, OffsetOutOfRange,
    };
    let corrupt = |what: String| Error::Corrupt { partition, offset, what };
    match error.rdkafka_error_code() {
        Some(AutoOffsetReset | OffsetOutOfRange | LogTruncation) => {
            corrupt("the log has no such offset: it was deleted, cut off, or the topic made anew".into())
        }
        Some(BadMessage | BadCompression | InvalidMessage) => corrupt(format!("it can not be read: {error}")),
        _ => Error::Away(format!("partition {partition} can not be fetched: {error}")),
    }
}

/// The consumer that a slot belongs to, while it is open.
pub(super) type Open = Arc<BaseConsumer<Group>>;
