//! From the bytes of a body to what came of it: read, decompress, frame, sort, all of it bounded.
//!
//! Small bodies are dealt with where they arrive: going to another thread and back costs more than they do. A small
//! body can be a bomb, so this is tried with a small allowance of output; what exceeds it begins anew on the blocking pool.
//! There, a few large bodies at a time are worked on and the others wait: their memory is leased, so they are not many.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::body::BodyDataStream;
use bytes::Bytes;
use futures::StreamExt;
use host_event::{Category, ProjectId, Reason};
use tokio::time::{Instant, timeout};

use crate::answer::{Limited, Refusal, Refused};
use crate::encoding::{Chunks, DecodeError, Encoding, decode};
use crate::envelope::{Envelope, Fault, Framer};
use crate::ingest::Inner;
use crate::memory::{Lease, OutOfMemory};
use crate::sender::Sender;
use crate::sort::{Sorted, sort};
use crate::store::{self, BadBody};

/// Compressed bytes up to which a body is tried where it arrives.
const INLINE_COMPRESSED_BYTES_MAX: usize = 16 << 10;
/// Decompressed bytes up to which a body is sorted where it arrives: a fraction of a millisecond of work.
const INLINE_BYTES_MAX: u64 = 128 << 10;
/// Memory of a record beside its payload.
const RECORD_BYTES: usize = 512;

/// One request on its way through here.
pub struct Job {
    pub inner: Arc<Inner>,
    pub sender: Sender,
    pub encoding: Encoding,
    pub is_store: bool,
    pub lease: Lease,
    /// Bytes of the body that are held as they came.
    pub compressed_bytes: usize,
}

/// What became of a body, and the memory that it still needs.
pub struct Intake {
    pub sorted: Sorted,
    pub limited: Limited,
    pub project: ProjectId,
    pub lease: Lease,
}

/// Reads the body and says what came of it. `announced` is its `Content-Length`.
pub async fn take(job: Job, body: &mut BodyDataStream, announced: Option<u64>) -> Result<Intake, Refused> {
    let limits = &job.inner.config.limits;
    let is_compressed = job.encoding != Encoding::Identity;
    let bytes_max = if is_compressed { limits.compressed_bytes_max } else { limits.envelope_bytes_max };
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(job.refuse_fault(&Fault::TooLarge(bytes_max), Vec::new()));
    }
    if is_compressed { compressed(job, body, bytes_max).await } else { identity(job, body).await }
}

/// A body that needs no decompression is framed while it arrives, so that attachments are never in memory.
async fn identity(mut job: Job, body: &mut BodyDataStream) -> Result<Intake, Refused> {
    let mut target = job.target();
    let mut reader = Reader::new(&job, body);
    while let Some(chunk) = reader.next().await.map_err(|unread| job.refuse_unread(unread, &target))? {
        if let Err(stop) = job.feed(&mut target, &chunk, u64::MAX) {
            return Err(job.refuse(stop, &target));
        }
    }
    if target.total_bytes() <= INLINE_BYTES_MAX {
        return job.complete(target);
    }
    large(job, move |job| job.complete(target)).await
}

async fn compressed(mut job: Job, body: &mut BodyDataStream, bytes_max: u64) -> Result<Intake, Refused> {
    let mut reader = Reader::new(&job, body);
    let mut chunks = Chunks::default();
    while let Some(chunk) = reader.next().await.map_err(|unread| job.refuse_unread(unread, &job.target()))? {
        job.compressed_bytes += chunk.len();
        if job.compressed_bytes as u64 > bytes_max {
            return Err(job.refuse_fault(&Fault::TooLarge(bytes_max), Vec::new()));
        }
        if job.lease.cover(job.compressed_bytes).is_err() {
            return Err(job.refuse(Stop::Memory, &job.target()));
        }
        chunks.push(chunk);
    }
    if job.compressed_bytes <= INLINE_COMPRESSED_BYTES_MAX
        && let Some(target) = job.decode(chunks.clone(), INLINE_BYTES_MAX)?
    {
        return job.complete(target);
    }
    large(job, move |mut job| match job.decode(chunks, u64::MAX)? {
        Some(target) => job.complete(target),
        None => Err(Refusal::new(500, "a body without an allowance exceeded it")),
    })
    .await
}

/// Works on a large body away from the reactor, once it is its turn.
async fn large(
    job: Job,
    work: impl FnOnce(Job) -> Result<Intake, Refused> + Send + 'static,
) -> Result<Intake, Refused> {
    let inner = Arc::clone(&job.inner);
    inner.metrics.large_bodies.fetch_add(1, Relaxed);
    let turn = Arc::clone(&inner.large_jobs).acquire_owned().await;
    let done = tokio::task::spawn_blocking(move || {
        // The turn ends with the work, not with a client that goes away meanwhile.
        let _turn = turn;
        work(job)
    });
    done.await.unwrap_or_else(|e| {
        tracing::error!("work on a large body failed: {e}");
        Err(Refusal::new(500, "the body could not be processed"))
    })
}

/// Why a piece was not taken.
#[derive(Debug)]
enum Stop {
    Fault(Fault),
    Memory,
    /// The allowance for work on the spot is used up.
    Allowance,
}

impl From<OutOfMemory> for Stop {
    fn from(OutOfMemory: OutOfMemory) -> Stop {
        Stop::Memory
    }
}

/// Where a body goes, piece by piece.
enum Target {
    Envelope(Box<Framer>),
    /// The body of a store request, not yet taken out of its wrappings.
    Event(Vec<u8>),
}

impl Target {
    fn total_bytes(&self) -> u64 {
        match self {
            Target::Envelope(framer) => framer.total_bytes(),
            Target::Event(body) => body.len() as u64,
        }
    }

    /// What was announced so far, for the outcomes of a body that is refused.
    fn announced(&self) -> Vec<(Category, u64)> {
        match self {
            Target::Envelope(framer) => framer.announced(),
            Target::Event(_) => vec![(Category::Error, 1)],
        }
    }

    fn held_bytes(&self) -> usize {
        match self {
            Target::Envelope(framer) => framer.kept_bytes(),
            Target::Event(body) => body.capacity(),
        }
    }
}

impl Job {
    fn target(&self) -> Target {
        if self.is_store {
            return Target::Event(Vec::new());
        }
        Target::Envelope(Box::new(Framer::new(self.inner.config.limits)))
    }

    fn decode(&mut self, body: Chunks, allowance: u64) -> Result<Option<Target>, Refused> {
        let mut target = self.target();
        let (encoding, inner) = (self.encoding, Arc::clone(&self.inner));
        match decode(body, encoding, &inner.config.limits, |piece| self.feed(&mut target, piece, allowance)) {
            Ok(()) => Ok(Some(target)),
            Err(DecodeError::Taker(Stop::Allowance)) => Ok(None),
            Err(DecodeError::Taker(stop)) => Err(self.refuse(stop, &target)),
            Err(DecodeError::Broken { encoding, what }) => {
                let detail = format!("body can not be decompressed as {encoding}: {what}");
                Err(self.refuse_as(400, detail, "invalid_compression", Vec::new()))
            }
            Err(DecodeError::Frames(max)) => {
                let detail = format!("body has more than {max} compressed frames");
                Err(self.refuse_as(400, detail, "invalid_compression", Vec::new()))
            }
        }
    }

    fn feed(&mut self, target: &mut Target, piece: &[u8], allowance: u64) -> Result<(), Stop> {
        if target.total_bytes() + piece.len() as u64 > allowance {
            return Err(Stop::Allowance);
        }
        match target {
            Target::Envelope(framer) => framer.feed(piece).map_err(Stop::Fault)?,
            Target::Event(body) => {
                let max = store::body_bytes_max(&self.inner.config.limits);
                if (body.len() + piece.len()) as u64 > max {
                    return Err(Stop::Fault(Fault::TooLarge(max)));
                }
                body.extend_from_slice(piece);
            }
        }
        Ok(self.lease.cover(self.compressed_bytes + target.held_bytes())?)
    }

    /// All of the body is there: frames the rest, asks who sent it, sorts.
    fn complete(self, target: Target) -> Result<Intake, Refused> {
        let (inner, metrics) = (&self.inner, &self.inner.metrics);
        metrics.decoded_bytes.fetch_add(target.total_bytes(), Relaxed);
        let envelope = self.frame(target)?;
        let (key, meta) = self.sender.settle(&inner.config.projects, &envelope.header)?;
        let now = (inner.clock)();
        let mut limited = Limited::default();
        let mut admit = |category| {
            key.project.admit(category, now).map_err(|quota| {
                limited.add(quota.header_entry(now), quota.retry_after_s(now));
                Reason::from(quota.name().to_owned())
            })
        };
        let sorted = sort(envelope, &meta, &inner.config.limits, inner.ids.as_ref(), &mut admit);
        metrics.miscounted_containers.fetch_add(sorted.miscounted, Relaxed);
        let Job { inner, mut lease, compressed_bytes, .. } = self;
        if lease.cover(compressed_bytes + sorted.records.len() * RECORD_BYTES).is_err() {
            return Err(inner.unavailable(OutOfMemory.to_string()));
        }
        Ok(Intake { sorted, limited, project: key.project.id, lease })
    }

    fn frame(&self, target: Target) -> Result<Envelope, Refused> {
        match target {
            Target::Envelope(framer) => {
                let announced = framer.announced();
                framer.finish().map_err(|fault| self.refuse_fault(&fault, announced))
            }
            Target::Event(body) => {
                let payload = store::payload(body, &self.inner.config.limits);
                let payload = payload.map_err(|e| match e {
                    BadBody::TooLarge(max) => {
                        self.refuse_fault(&Fault::TooLarge(max), vec![(Category::Error, 1)])
                    }
                    BadBody::Empty => {
                        self.refuse_as(400, e.to_string(), "no_data", vec![(Category::Error, 1)])
                    }
                    _ => self.refuse_as(400, e.to_string(), "invalid_json", vec![(Category::Error, 1)]),
                })?;
                Ok(Envelope::of_event(payload))
            }
        }
    }

    fn refuse(&self, stop: Stop, target: &Target) -> Refused {
        match stop {
            Stop::Fault(fault) => self.refuse_fault(&fault, target.announced()),
            Stop::Memory | Stop::Allowance => self.inner.unavailable(OutOfMemory.to_string()),
        }
    }

    fn refuse_fault(&self, fault: &Fault, announced: Vec<(Category, u64)>) -> Refused {
        let reason = match fault {
            _ if fault.is_too_large() && self.is_store => "too_large:event",
            _ if fault.is_too_large() => "too_large:envelope",
            Fault::Empty => "no_data",
            _ => "invalid_envelope",
        };
        let status = if fault.is_too_large() { 413 } else { 400 };
        let detail =
            if self.is_store { fault.to_string().replace("envelope", "body") } else { fault.to_string() };
        self.refuse_as(status, detail, reason, announced)
    }

    fn refuse_as(
        &self,
        status: u16,
        detail: String,
        reason: &'static str,
        items: Vec<(Category, u64)>,
    ) -> Refused {
        self.sender.refuse(&self.inner.config.projects, status, detail, reason, items)
    }

    fn refuse_unread(&self, unread: Unread, target: &Target) -> Refused {
        match unread {
            Unread::Late => {
                let detail = "the body came too slowly".to_owned();
                self.refuse_as(408, detail, "body_timeout", target.announced())
            }
            Unread::Broken(what) => {
                let detail = format!("the body could not be read: {what}");
                self.refuse_as(400, detail, "payload", target.announced())
            }
            // Nobody is there to be answered. It was not received, so it has no outcome: the client sends it again, or
            // counts it as lost.
            Unread::Gone => Refusal::new(400, "the connection ended within the body"),
        }
    }
}

/// Reads a body, and does not wait for ever: neither for the next byte nor for the last.
struct Reader<'a> {
    body: &'a mut BodyDataStream,
    idle_max: Duration,
    end: Instant,
    inner: Arc<Inner>,
}

impl<'a> Reader<'a> {
    fn new(job: &Job, body: &'a mut BodyDataStream) -> Reader<'a> {
        let config = &job.inner.config;
        let end = Instant::now() + config.body_time_max;
        Reader { body, idle_max: config.body_idle_max, end, inner: Arc::clone(&job.inner) }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Unread> {
        let patience = self.idle_max.min(self.end.saturating_duration_since(Instant::now()));
        match timeout(patience, self.body.next()).await.map_err(|_| Unread::Late)? {
            None => Ok(None),
            Some(Ok(chunk)) => {
                self.inner.metrics.wire_bytes.fetch_add(chunk.len() as u64, Relaxed);
                Ok(Some(chunk))
            }
            Some(Err(e)) if is_of_connection(&e) => Err(Unread::Gone),
            Some(Err(e)) => Err(Unread::Broken(innermost(&e).to_string())),
        }
    }
}

/// Why there is no next piece of a body.
#[derive(Debug)]
enum Unread {
    Late,
    /// Its framing by HTTP is wrong.
    Broken(String),
    /// The client went away.
    Gone,
}

fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().map_or(error, innermost)
}

/// Whether the connection ended, and not the sense of what came over it. A wrong chunk is invalid input or data.
fn is_of_connection(error: &axum::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput};
    let io = innermost(error).downcast_ref::<io::Error>();
    io.is_some_and(|e| !matches!(e.kind(), InvalidData | InvalidInput))
}

/// Reads and forgets what is left of a refused body, within reason: a client that is still writing would see a reset
/// connection instead of the answer.
pub async fn drain(body: &mut BodyDataStream, bytes_max: u64, time_max: Duration) {
    let rest = async {
        let mut bytes = 0;
        while let Some(Ok(chunk)) = body.next().await {
            bytes += chunk.len() as u64;
            if bytes > bytes_max {
                break;
            }
        }
    };
    // Whether it came to its end does not matter.
    let _ = timeout(time_max, rest).await;
}
