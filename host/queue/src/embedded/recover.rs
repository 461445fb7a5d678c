//! What a partition's directory holds after whatever happened to the process or the machine.
//!
//! Only the newest segment can have a torn tail: a segment is begun after everything in the one before was fsynced. So
//! only that one is read through; the others are checked when they are read.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use host_event::{Millis, Offset, Partition};

use super::disk::Disk;
use super::format::{
    FRAME_HEADER_BYTES, Frame, GROUP_HEADER_BYTES, GroupHeader, SEGMENT_HEADER_BYTES, Seal, SegmentHeader,
    segment_base, segment_name,
};
use super::place::{PLACE_BYTES, Place, Slot};
use super::{Shared, folder};
use crate::Error;

/// How much of a file is held in memory while looking for a group behind a bad place.
const SEARCH_BYTES_MAX: usize = 1 << 20;

/// A file of the log, and how many of its bytes are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) base: Offset,
    pub(crate) bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) dir: PathBuf,
    /// Never empty; the last one is written to, from its [`Tail`] on.
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) place: Place,
    pub(crate) bytes: u64,
}

/// Opens a partition, or makes it.
pub(crate) fn recover(shared: &Shared, partition: Partition) -> Result<(Recovered, Tail), Error> {
    let at = Location { shared, partition, dir: folder(&shared.dir, partition) };
    at.prepare_directory().map_err(|e| at.failed(&at.dir, &e))?;
    let place = Place::open(&shared.disk, &at.dir)
        .map_err(|e| at.failed(&at.dir.join(super::place::PLACE_NAME), &e))?;
    let slot = place.slot();
    let mut bases = at.bases().map_err(|e| at.failed(&at.dir, &e))?;
    at.remove_unborn(&mut bases, &slot)?;
    at.remove_done(&mut bases, slot.committed)?;
    if bases.is_empty() {
        if slot.committed < slot.end {
            let what = format!("{} has no segment, but the log went on to {}", at.dir.display(), slot.end);
            return Err(at.corrupt(slot.committed, what));
        }
        create_segment(&shared.disk, &shared.seal, &at.dir, &at.header(slot.end, 0))
            .map_err(|e| at.failed(&at.dir, &e))?;
        bases.push(slot.end);
    }
    if bases[0] > slot.committed {
        let what = format!("{} begins at offset {}: what lies between is gone", at.dir.display(), bases[0]);
        return Err(at.corrupt(slot.committed, what));
    }
    let tail = at.repair_tail(bases[bases.len() - 1], &slot)?;
    let mut segments = VecDeque::with_capacity(bases.len());
    for base in bases {
        let path = at.dir.join(segment_name(base));
        segments.push_back(Segment { base, bytes: path.metadata().map_err(|e| at.failed(&path, &e))?.len() });
    }
    let bytes = PLACE_BYTES + segments.iter().map(|s| s.bytes).sum::<u64>();
    Ok((Recovered { dir: at.dir, segments, place, bytes }, tail))
}

/// Makes a segment durable, empty, before any record is written to it.
pub(crate) fn create_segment(
    disk: &Disk,
    seal: &Seal,
    dir: &Path,
    header: &SegmentHeader,
) -> io::Result<File> {
    let path = dir.join(segment_name(header.base));
    let file = disk.create(&path)?;
    let made = disk
        .write_at(&file, &seal.segment_header(header), 0)
        // A failed fsync leaves in doubt what is on disk, whatever its reason: it must not pass for a full disk.
        .and_then(|()| disk.sync(&file).and_then(|()| disk.sync_dir(dir)).map_err(io::Error::other));
    if let Err(error) = made {
        // If this fails too, recovery finds a file with nothing in it and removes it.
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok(file)
}

/// The good part of the newest segment.
pub(crate) struct Tail {
    pub(crate) file: File,
    pub(crate) base: Offset,
    pub(crate) bytes: u64,
    pub(crate) end: Offset,
    pub(crate) queued_at: Millis,
    last_group: Option<Range<u64>>,
    /// What is wrong behind the good part, if there is anything.
    bad: Option<String>,
}

struct Location<'a> {
    shared: &'a Shared,
    partition: Partition,
    dir: PathBuf,
}

impl Location<'_> {
    fn prepare_directory(&self) -> io::Result<()> {
        if !self.dir.exists() {
            fs::create_dir(&self.dir)?;
            self.shared.disk.sync_dir(&self.shared.dir)?;
        }
        Ok(())
    }

    fn bases(&self) -> io::Result<Vec<Offset>> {
        let mut bases = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            bases.extend(entry?.file_name().to_str().and_then(segment_base));
        }
        bases.sort_unstable();
        Ok(bases)
    }

    fn header(&self, base: Offset, queued_at_floor: Millis) -> SegmentHeader {
        SegmentHeader { partition: self.partition, base, queued_at_floor }
    }

    /// Removes a segment whose making was cut short: no record was ever written to it.
    fn remove_unborn(&self, bases: &mut Vec<Offset>, slot: &Slot) -> Result<(), Error> {
        let Some(&base) = bases.last() else { return Ok(()) };
        let path = self.dir.join(segment_name(base));
        let bytes = fs::metadata(&path).map_err(|e| self.failed(&path, &e))?.len();
        if bytes > SEGMENT_HEADER_BYTES as u64 || self.read_header(&path, base).is_ok() {
            return Ok(());
        }
        bases.pop();
        if bases.is_empty() && base != slot.end {
            let what = format!("{} is empty, and the log was at offset {}", path.display(), slot.end);
            return Err(self.corrupt(base, what));
        }
        tracing::warn!(file = %path.display(), "removing a segment whose making was cut short");
        fs::remove_file(&path).map_err(|e| self.failed(&path, &e))
    }

    /// Removes the segments that hold nothing but committed records.
    fn remove_done(&self, bases: &mut Vec<Offset>, committed: Offset) -> Result<(), Error> {
        while bases.len() > 1 && bases[1] <= committed {
            let path = self.dir.join(segment_name(bases.remove(0)));
            fs::remove_file(&path).map_err(|e| self.failed(&path, &e))?;
        }
        Ok(())
    }

    fn read_header(&self, path: &Path, base: Offset) -> Result<SegmentHeader, Error> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let file = File::open(path).map_err(|e| self.failed(path, &e))?;
        let header = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => self.shared.seal.read_segment_header(&bytes),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(e) => return Err(self.failed(path, &e)),
        };
        header.filter(|h| h.partition == self.partition && h.base == base).ok_or_else(|| {
            let what = format!("{} byte 0: segment header is not of this log and place", path.display());
            self.corrupt(base, what)
        })
    }

    /// Reads the newest segment through and leaves it with whole, durable groups only.
    fn repair_tail(&self, base: Offset, slot: &Slot) -> Result<Tail, Error> {
        let path = self.dir.join(segment_name(base));
        let header = self.read_header(&path, base)?;
        let tail = self.scan(&path, &header).map_err(|e| self.failed(&path, &e))?;
        if let Some(bad) = &tail.bad {
            let found = self.find_behind(&tail).map_err(|e| self.failed(&path, &e))?;
            if let Some((byte, group)) = found {
                let what = format!(
                    "{} byte {}: {bad}, but at byte {byte} the log goes on with offset {}",
                    path.display(),
                    tail.bytes,
                    group.base
                );
                return Err(self.corrupt(tail.end, what));
            }
        }
        if tail.end < slot.end {
            let what = format!(
                "{} byte {}: the log ends here, but it was at offset {}",
                path.display(),
                tail.bytes,
                slot.end
            );
            return Err(self.corrupt(tail.end, what));
        }
        self.settle(&path, &tail).map_err(|e| self.failed(&path, &e))?;
        Ok(tail)
    }

    /// Follows the groups until the end or the first that is not whole.
    fn scan(&self, path: &Path, header: &SegmentHeader) -> io::Result<Tail> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let bytes = file.metadata()?.len();
        let (queued_at, end) = (header.queued_at_floor, header.base);
        let start = SEGMENT_HEADER_BYTES as u64;
        let mut tail =
            Tail { file, base: header.base, bytes: start, end, queued_at, last_group: None, bad: None };
        let mut body = Vec::new();
        while tail.bytes < bytes {
            let left = bytes - tail.bytes;
            match read_group(&tail.file, tail.bytes, left, &self.shared.seal, tail.end, &mut body)? {
                Err(bad) => {
                    tail.bad = Some(bad);
                    break;
                }
                Ok(group) => {
                    let start = tail.bytes;
                    tail.bytes += GROUP_HEADER_BYTES as u64 + u64::from(group.body_bytes);
                    tail.end += u64::from(group.records);
                    tail.queued_at = tail.queued_at.max(group.queued_at);
                    tail.last_group = Some(start..tail.bytes);
                }
            }
        }
        Ok(tail)
    }

    fn find_behind(&self, tail: &Tail) -> io::Result<Option<(u64, GroupHeader)>> {
        let bytes = tail.file.metadata()?.len();
        let mut at = tail.bytes;
        let mut buffer = vec![0; SEARCH_BYTES_MAX];
        while at < bytes {
            let n = SEARCH_BYTES_MAX.min((bytes - at) as usize);
            tail.file.read_exact_at(&mut buffer[..n], at)?;
            if let Some((found, group)) = self.shared.seal.find_group(&buffer[..n], tail.end) {
                return Ok(Some((at + found as u64, group)));
            }
            // A header may lie across two windows.
            at += if n == SEARCH_BYTES_MAX { n - GROUP_HEADER_BYTES + 1 } else { n } as u64;
        }
        Ok(None)
    }

    /// Cuts what is torn, and writes the last group once more: its fsync may have failed in the process before, and then
    /// the kernel holds it in pages that it calls clean and the disk does not have. (The groups before were durable
    /// before this one was written.) The bytes stay the same, so a crash in between does no harm.
    fn settle(&self, path: &Path, tail: &Tail) -> io::Result<()> {
        let disk = &self.shared.disk;
        if let Some(bad) = &tail.bad {
            let cut_bytes = tail.file.metadata()?.len() - tail.bytes;
            tracing::warn!(
                file = %path.display(), byte = tail.bytes, offset = tail.end, cut_bytes, bad,
                "cutting a torn tail that was never acknowledged"
            );
            disk.cut(&tail.file, tail.bytes)?;
        }
        if let Some(last) = &tail.last_group {
            let mut bytes = vec![0; (last.end - last.start) as usize];
            tail.file.read_exact_at(&mut bytes, last.start)?;
            disk.write_at(&tail.file, &bytes, last.start)?;
        }
        disk.sync(&tail.file)?;
        disk.sync_dir(&self.dir)
    }

    fn corrupt(&self, offset: Offset, what: String) -> Error {
        Error::Corrupt { partition: self.partition, offset, what }
    }

    fn failed(&self, path: &Path, error: &io::Error) -> Error {
        Error::Config(format!("queue can not be opened: {}: {error}", path.display()))
    }
}

/// Reads and checks one whole group, or says what is wrong with it.
fn read_group(
    file: &File,
    at: u64,
    left: u64,
    seal: &Seal,
    base: Offset,
    body: &mut Vec<u8>,
) -> io::Result<Result<GroupHeader, String>> {
    let mut head = [0; GROUP_HEADER_BYTES];
    if left < GROUP_HEADER_BYTES as u64 {
        return Ok(Err("group header is cut off".into()));
    }
    file.read_exact_at(&mut head, at)?;
    let Some(group) = seal.read_group_header(&head) else {
        return Ok(Err("group header has a wrong checksum".into()));
    };
    if group.base != base {
        return Ok(Err(format!("group begins with offset {} instead of {base}", group.base)));
    }
    if u64::from(group.body_bytes) > left - GROUP_HEADER_BYTES as u64 {
        return Ok(Err("group is cut off".into()));
    }
    body.resize(group.body_bytes as usize, 0);
    file.read_exact_at(body, at + GROUP_HEADER_BYTES as u64)?;
    let mut rest = body.as_slice();
    for n in 0..group.records {
        match seal.read_frame(rest, rest.len() as u64) {
            Frame::Whole(length) => rest = &rest[FRAME_HEADER_BYTES + length..],
            _ => return Ok(Err(format!("record of offset {} has a wrong checksum", base + u64::from(n)))),
        }
    }
    Ok(if rest.is_empty() { Ok(group) } else { Err("group is longer than its records".into()) })
}
