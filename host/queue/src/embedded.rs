//! The queue in a directory: segment files, one writing thread for each partition, one fsync for whoever came meanwhile.
//!
//! ```text
//! LOCK                    held by the process that has it open
//! queue                   the name of the log, its salt, its number of partitions
//! p00000/committed        the committed offset (place.rs)
//! p00000/<offset>.log     the records (format.rs)
//! ```

mod committer;
mod disk;
mod format;
mod part;
mod place;
mod reader;
mod recover;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use host_event::{Body, Millis, Offset, Partition, Record};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::committer::{Committer, Request};
use self::disk::Disk;
use self::format::{FRAME_HEADER_BYTES, GROUP_HEADER_BYTES, Seal};
use self::part::Part;
use self::place::{PLACE_NAME, Place};
use self::recover::{Recovered, Tail, recover};
use crate::bell::Bell;
use crate::{Appending, Committed, Error, Lease, Queue, ReadLimit, Stored};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

const PARTITIONS_MAX: u32 = 1024;
/// Less than this, and the headers would be most of a segment.
const SEGMENT_BYTES_MIN: u64 = 4 << 10;
/// What can be appended in one call.
const APPEND_BYTES_MAX: u64 = 256 << 20;
/// The disk holds at least so many segments of every partition. So what is committed, but shares its segment with what
/// is not, or is still written to, can never fill it.
const SEGMENTS_MIN: u64 = 4;

const LOCK_NAME: &str = "LOCK";
const ABOUT_NAME: &str = "queue";

#[derive(Clone)]
pub struct EmbeddedConfig {
    /// Can be raised later, never lowered.
    pub partitions: u32,
    /// All files together never grow beyond this: an append that would is refused as [`Error::Full`].
    pub disk_bytes_max: u64,
    /// The unit in which disk is given back. Made smaller where the disk would not hold four for each partition.
    pub segment_bytes_max: u64,
    /// How long an append may wait for others to share its fsync. Only a busy log waits.
    pub commit_delay_max: Duration,
    /// Gives `queued_at`.
    pub now: Clock,
}

impl EmbeddedConfig {
    /// One partition, 16 GiB of disk, segments of 64 MiB, 5 ms.
    pub fn new(now: Clock) -> EmbeddedConfig {
        EmbeddedConfig {
            partitions: 1,
            disk_bytes_max: 16 << 30,
            segment_bytes_max: 64 << 20,
            commit_delay_max: Duration::from_millis(5),
            now,
        }
    }
}

/// A queue that lives in one directory and one process.
///
/// Dropping it closes it. A future of `append` that is dropped before it is ready may or may not have appended.
pub struct Embedded {
    source: String,
    shared: Arc<Shared>,
    parts: Vec<Arc<Part>>,
    /// All partitions, for as long as it is open.
    leases: Vec<Lease>,
    bell: Arc<Bell>,
    committers: Mutex<Vec<JoinHandle<()>>>,
    /// Unlocked when it is closed by the system, however the process ends.
    _lock: File,
}

impl Embedded {
    /// Opens the log in `dir`, or makes it. Cuts what a crash has torn; anything else that is wrong is an error.
    pub fn open(dir: impl AsRef<Path>, config: EmbeddedConfig) -> Result<Embedded, Error> {
        Embedded::open_on(Disk::default(), dir.as_ref(), config)
    }

    /// The name of the log in `dir`, and how far each partition is committed; also while a process has it open. `None` if there is none.
    pub fn look(dir: impl AsRef<Path>) -> Result<Option<(String, Vec<Committed>)>, Error> {
        let path = dir.as_ref().join(ABOUT_NAME);
        let failed = |at: &Path, e: &dyn fmt::Display| Error::Config(format!("queue: {}: {e}", at.display()));
        let text = match fs::read_to_string(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|e| failed(&path, &e))?,
        };
        let about = About::parse(&text).ok_or_else(|| failed(&path, &"it can not be understood"))?;
        let mut all = Vec::new();
        for partition in 0..about.partitions {
            let folder = folder(dir.as_ref(), partition);
            let next = match Place::look(&folder) {
                Ok(slot) => slot.committed,
                // The process that will make it is about to.
                Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
                Err(e) => return Err(failed(&folder.join(PLACE_NAME), &e)),
            };
            all.push(Committed { partition, next, note: String::new() });
        }
        Ok(Some((about.source, all)))
    }

    fn open_on(disk: Disk, dir: &Path, config: EmbeddedConfig) -> Result<Embedded, Error> {
        let failed = |e: io::Error| Error::Config(format!("queue can not be opened: {}: {e}", dir.display()));
        let segment_bytes_max = checked_segment_bytes(&config)?;
        make_directory(&disk, dir).map_err(failed)?;
        let lock = lock(dir)?;
        let about = About::open(&disk, dir, config.partitions)?;
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            seal: Seal::new(about.salt),
            disk,
            now: config.now,
            segment_bytes_max,
            disk_bytes_max: config.disk_bytes_max,
            commit_delay_max: config.commit_delay_max,
            used_bytes: AtomicU64::new(0),
            groups: AtomicU64::new(0),
            poisoned: Mutex::new(None),
            closed: AtomicBool::new(false),
        });
        let recovered = recover_all(&shared, config.partitions)?;
        let bell = Arc::new(Bell::default());
        let mut parts = Vec::with_capacity(recovered.len());
        let mut committers = Vec::with_capacity(recovered.len());
        for (number, (recovered, tail)) in (0..).zip(recovered) {
            shared.used_bytes.fetch_add(recovered.bytes, Ordering::Relaxed);
            let part = Arc::new(Part::new(number, recovered, tail.end, Arc::clone(&bell)));
            let committer = Committer::new(shared.clone(), part.clone(), tail);
            let thread = thread::Builder::new().name(format!("queue-{number}"));
            committers.push(thread.spawn(move || committer.run()).map_err(failed)?);
            parts.push(part);
        }
        let leases = (0..config.partitions).map(Lease::new).collect();
        let (source, committers) = (about.source, Mutex::new(committers));
        Ok(Embedded { source, shared, parts, leases, bell, committers, _lock: lock })
    }

    /// Answers everything that was accepted, and stops. Afterwards nothing can be appended; what is durable can still be
    /// read and committed. Blocks.
    pub fn close(&self) -> Result<(), Error> {
        self.shared.closed.store(true, Ordering::Release);
        for part in &self.parts {
            part.close();
        }
        let mut panicked = Ok(());
        for committer in self.committers.lock().drain(..) {
            panicked = panicked.and(committer.join());
        }
        let finished = self.parts.iter().map(|part| part.finish(&self.shared)).collect::<Vec<_>>();
        panicked.map_err(|_| Error::Poisoned("a writing thread panicked".into()))?;
        finished.into_iter().collect()
    }

    /// How many groups were written since it was opened, each with one fsync; for metrics.
    pub fn groups(&self) -> u64 {
        self.shared.groups.load(Ordering::Relaxed)
    }

    fn part(&self, partition: Partition) -> Result<&Arc<Part>, Error> {
        self.parts.get(partition as usize).ok_or_else(|| {
            let count = self.parts.len();
            Error::Config(format!("queue has partitions 0 to {}, there is no {partition}", count - 1))
        })
    }

    async fn append_to(&self, partition: Partition, records: Vec<Record>) -> Result<(), Error> {
        let part = self.part(partition)?;
        self.health()?;
        if records.is_empty() {
            return Ok(());
        }
        let estimate = records.iter().map(estimate_bytes).sum::<usize>();
        self.shared.check_size(estimate as u64)?;
        let room = part.room.clone().acquire_many_owned(Part::room_for(estimate)).await;
        let room = room.map_err(|_| Error::Closed)?;
        let count = records.len() as u32;
        let mut frames = Vec::with_capacity(estimate);
        for record in &records {
            self.shared.seal.frame(record, &mut frames);
        }
        drop(records);
        self.shared.check_size(frames.len() as u64)?;
        let (done, answer) = oneshot::channel();
        part.push(Request { frames, records: count, done, _room: room })?;
        answer.await.unwrap_or_else(|_| Err(self.health().err().unwrap_or(Error::Closed)))
    }
}

impl Queue for Embedded {
    fn source(&self) -> &str {
        &self.source
    }

    fn partitions(&self) -> u32 {
        self.parts.len() as u32
    }

    fn append(&self, partition: Partition, records: Vec<Record>) -> Appending<'_> {
        Box::pin(self.append_to(partition, records))
    }

    fn read(
        &self,
        partition: Partition,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Stored>, Error> {
        self.part(partition)?.read(&self.shared.seal, from, limit, wait)
    }

    fn leases(&self) -> Vec<Lease> {
        self.leases.clone()
    }

    fn wait(&self, seen: u64, at_most: Duration) -> u64 {
        self.bell.wait(seen, at_most)
    }

    fn commit(&self, partition: Partition, next: Offset) -> Result<(), Error> {
        self.part(partition)?.commit(&self.shared, next)
    }

    fn committed(&self, partition: Partition) -> Result<Offset, Error> {
        Ok(self.part(partition)?.log.lock().committed)
    }

    fn end(&self, partition: Partition) -> Offset {
        self.part(partition).map_or(0, |part| part.log.lock().end)
    }

    fn health(&self) -> Result<(), Error> {
        self.shared.check_poison()?;
        if self.shared.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    fn bytes(&self) -> u64 {
        self.shared.used_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(dir = %self.shared.dir.display(), %error, "queue was not closed cleanly");
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("dir", &self.shared.dir).field("source", &self.source).finish()
    }
}

/// What all partitions have in common.
struct Shared {
    dir: PathBuf,
    seal: Seal,
    disk: Disk,
    now: Clock,
    segment_bytes_max: u64,
    disk_bytes_max: u64,
    commit_delay_max: Duration,
    used_bytes: AtomicU64,
    groups: AtomicU64,
    /// Set once. One disk serves all partitions, so a failure in one stops them all.
    poisoned: Mutex<Option<String>>,
    closed: AtomicBool,
}

impl Shared {
    fn check_poison(&self) -> Result<(), Error> {
        self.poisoned.lock().clone().map_or(Ok(()), |why| Err(Error::Poisoned(why)))
    }

    /// The first reason stays.
    fn poison(&self, why: &str) -> Error {
        let mut poisoned = self.poisoned.lock();
        if poisoned.is_none() {
            tracing::error!(why, "queue is poisoned: nothing is appended until a restart");
        }
        Error::Poisoned(poisoned.get_or_insert_with(|| why.to_owned()).clone())
    }

    /// Refuses what could not be written even to an empty queue, and what can not be written now.
    fn check_size(&self, bytes: u64) -> Result<(), Error> {
        let max = APPEND_BYTES_MAX.min(self.disk_bytes_max / SEGMENTS_MIN);
        if bytes > max {
            return Err(Error::TooLarge { bytes, max });
        }
        let used = self.used_bytes.load(Ordering::Relaxed);
        let fits = used + bytes + GROUP_HEADER_BYTES as u64 <= self.disk_bytes_max;
        if fits { Ok(()) } else { Err(self.full(used)) }
    }

    fn reserve(&self, bytes: u64) -> Result<(), Error> {
        let taken = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            Some(used + bytes).filter(|sum| *sum <= self.disk_bytes_max)
        });
        taken.map(|_| ()).map_err(|used| self.full(used))
    }

    fn release(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn full(&self, used: u64) -> Error {
        Error::Full { path: self.dir.display().to_string(), used, max: self.disk_bytes_max }
    }

    /// The file system has no room, whatever our own bound says.
    fn file_system_full(&self, error: &io::Error) -> Error {
        let path = format!("{} ({error})", self.dir.display());
        Error::Full { path, used: self.used_bytes.load(Ordering::Relaxed), max: self.disk_bytes_max }
    }
}

/// What a log is called, and how its checksums begin.
struct About {
    source: String,
    salt: u64,
    partitions: u32,
}

impl About {
    /// Reads the file, or makes it: the name and the salt are drawn once and never change.
    fn open(disk: &Disk, dir: &Path, partitions: u32) -> Result<About, Error> {
        let path = dir.join(ABOUT_NAME);
        let failed =
            |e: &dyn fmt::Display| Error::Config(format!("queue can not be opened: {}: {e}", path.display()));
        let mut about = match fs::read_to_string(&path) {
            Ok(text) => About::parse(&text).ok_or_else(|| failed(&"it can not be understood"))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if has_partition(dir).map_err(|e| failed(&e))? {
                    return Err(failed(&"it is missing, but there are partitions beside it"));
                }
                let mut random = [0; 12];
                rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
                    .map_err(|e| failed(&e))?;
                let source = format!("tamis-{:08x}", format::u32_at(&random, 0));
                About { source, salt: format::u64_at(&random, 4), partitions: 0 }
            }
            Err(e) => return Err(failed(&e)),
        };
        if partitions < about.partitions {
            let had = about.partitions;
            return Err(failed(&format!(
                "{had} partitions can not become {partitions}: their records would be lost"
            )));
        }
        if partitions > about.partitions {
            about.partitions = partitions;
            disk.replace(&path, about.print().as_bytes()).map_err(|e| failed(&e))?;
        }
        Ok(about)
    }

    fn print(&self) -> String {
        let About { source, salt, partitions } = self;
        format!("tamis-queue 1\nsource {source}\nsalt {salt:016x}\npartitions {partitions}\n")
    }

    fn parse(text: &str) -> Option<About> {
        let mut lines = text.lines();
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        (value("tamis-queue")? == "1").then_some(())?;
        let source = value("source")?.to_owned();
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        ((1..=40).contains(&source.len()) && source.chars().all(fine)).then_some(())?;
        let salt = u64::from_str_radix(value("salt")?, 16).ok()?;
        let partitions = value("partitions")?.parse().ok()?;
        Some(About { source, salt, partitions })
    }
}

fn checked_segment_bytes(config: &EmbeddedConfig) -> Result<u64, Error> {
    let partitions = config.partitions;
    if !(1..=PARTITIONS_MAX).contains(&partitions) {
        return Err(Error::Config(format!(
            "queue partitions is {partitions}, but must be 1 to {PARTITIONS_MAX}"
        )));
    }
    let least = u64::from(partitions) * (SEGMENTS_MIN * SEGMENT_BYTES_MIN + place::PLACE_BYTES);
    let disk = config.disk_bytes_max;
    if disk < least {
        return Err(Error::Config(format!(
            "queue disk_bytes_max is {disk}, but {partitions} partitions need at least {least}"
        )));
    }
    if config.segment_bytes_max < SEGMENT_BYTES_MIN {
        let bytes = config.segment_bytes_max;
        return Err(Error::Config(format!(
            "queue segment_bytes_max is {bytes}, but must be at least {SEGMENT_BYTES_MIN}"
        )));
    }
    let usable = disk - u64::from(partitions) * place::PLACE_BYTES;
    Ok(config.segment_bytes_max.min(usable / (u64::from(partitions) * SEGMENTS_MIN)))
}

fn make_directory(disk: &Disk, dir: &Path) -> io::Result<()> {
    if dir.exists() {
        return Ok(());
    }
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_directory(disk, parent)?;
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    disk.sync_dir(parent)
}

/// Two processes with one log would overwrite each other's records.
fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK_NAME);
    let failed = |e: io::Error| Error::Config(format!("queue can not be opened: {}: {e}", path.display()));
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            let dir = dir.display();
            return Err(Error::Config(format!("queue {dir} is in use by process {}", holder.trim())));
        }
        Err(TryLockError::Error(e)) => return Err(failed(e)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

fn folder(dir: &Path, partition: Partition) -> PathBuf {
    dir.join(format!("p{partition:05}"))
}

fn has_partition(dir: &Path) -> io::Result<bool> {
    let first = folder(dir, 0);
    Ok(first.try_exists()? && fs::read_dir(first)?.next().is_some())
}

/// Partitions are read through side by side: they are apart, and a start should be quick.
fn recover_all(shared: &Shared, partitions: u32) -> Result<Vec<(Recovered, Tail)>, Error> {
    thread::scope(|scope| {
        let opening: Vec<_> = (0..partitions).map(|p| scope.spawn(move || recover(shared, p))).collect();
        opening
            .into_iter()
            .map(|thread| thread.join().map_err(|_| Error::Config("queue: reading it panicked".into()))?)
            .collect()
    })
}

/// Close enough to bound memory; the true length is known once it is encoded.
fn estimate_bytes(record: &Record) -> usize {
    let meta = &record.meta;
    let texts = [&meta.environment, &meta.client_ip, &meta.user_agent, &meta.sdk];
    let head = texts.iter().map(|t| t.len()).sum::<usize>() + meta.trace.len() + 256 + FRAME_HEADER_BYTES;
    head + match &record.body {
        Body::Item { payload, .. } => payload.len(),
        Body::Ended(counts) => counts.len() * 96,
    }
}
