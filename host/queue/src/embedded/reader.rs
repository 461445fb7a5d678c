//! Reading: only what is durable, straight from the page cache, never more in memory than was asked for.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use host_event::{Millis, Offset, Record};

use super::format::{
    FRAME_HEADER_BYTES, Frame, GROUP_HEADER_BYTES, SEGMENT_HEADER_BYTES, Seal, segment_name,
};
use super::part::Part;
use super::recover::Segment;
use crate::port::READ_WAIT_MAX;
use crate::{Error, ReadLimit, Stored};

/// One read from the file. Payloads share its memory, so it also bounds what one small payload can keep alive.
const WINDOW_BYTES_MAX: usize = 1 << 20;
const WINDOW_BYTES_MIN: usize = 4 << 10;
/// Places that are remembered, so that reading on needs no search: the pipeline's, and a few that look something up.
const CURSORS_MAX: usize = 4;

/// Where the record of an offset lies.
pub(crate) struct Cursor {
    offset: Offset,
    segment: Offset,
    file: Arc<File>,
    byte: u64,
    /// The group that `byte` is in; none if it is at the header of one.
    group: Option<Inside>,
}

#[derive(Clone, Copy)]
struct Inside {
    ends_byte: u64,
    queued_at: Millis,
}

/// The places where readers stopped, newest last.
#[derive(Default)]
pub(crate) struct Cursors(Vec<Cursor>);

impl Cursors {
    fn take(&mut self, offset: Offset) -> Option<Cursor> {
        self.0.iter().position(|c| c.offset == offset).map(|at| self.0.remove(at))
    }

    fn put(&mut self, cursor: Cursor) {
        if self.0.len() == CURSORS_MAX {
            self.0.remove(0);
        }
        self.0.push(cursor);
    }

    pub(crate) fn forget_before(&mut self, segment: Offset) {
        self.0.retain(|c| c.segment >= segment);
    }
}

/// One read: it gathers records until a limit is reached or there are no more.
struct Reading<'a> {
    part: &'a Part,
    seal: &'a Seal,
    limit: ReadLimit,
    bytes: usize,
    out: Vec<Stored>,
}

impl Part {
    pub(crate) fn read(
        &self,
        seal: &Seal,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Stored>, Error> {
        if !self.wait_for(from, wait)? {
            return Ok(Vec::new());
        }
        let known = self.cursors.lock().take(from);
        let mut cursor = match known {
            Some(cursor) => cursor,
            None => self.seek(seal, from)?,
        };
        let mut reading = Reading { part: self, seal, limit, bytes: 0, out: Vec::new() };
        match reading.run(&mut cursor) {
            // What was read before the bad place is good; the next read begins there and says what is wrong.
            Err(error) if reading.out.is_empty() => Err(error),
            Err(_) => Ok(reading.out),
            Ok(()) => {
                let mut cursors = self.cursors.lock();
                // Under the lock of the cursors, so that a file just removed is not kept open.
                if self.log.lock().segments[0].base <= cursor.segment {
                    cursors.put(cursor);
                }
                drop(cursors);
                Ok(reading.out)
            }
        }
    }

    /// Waits until there is a record at `from`.
    fn wait_for(&self, from: Offset, wait: Duration) -> Result<bool, Error> {
        let mut log = self.log.lock();
        if log.end <= from && !log.closed && !wait.is_zero() {
            let deadline = Instant::now() + wait.min(READ_WAIT_MAX);
            while log.end <= from && !log.closed {
                if self.readable.wait_until(&mut log, deadline).timed_out() {
                    break;
                }
            }
        }
        let first = log.segments[0].base;
        if from < first {
            let what = format!("it is committed and forgotten, the log begins at offset {first}");
            return Err(self.corrupt(from, what));
        }
        if log.end <= from && log.closed {
            return Err(Error::Closed);
        }
        Ok(log.end > from)
    }

    /// Finds a record: the segment by its name, then from group header to group header.
    fn seek(&self, seal: &Seal, from: Offset) -> Result<Cursor, Error> {
        let segment = {
            let log = self.log.lock();
            let after = log.segments.partition_point(|s| s.base <= from);
            log.segments[after.saturating_sub(1)]
        };
        let file = self.open(segment.base)?;
        let mut byte = SEGMENT_HEADER_BYTES as u64;
        let mut offset = segment.base;
        while byte < segment.bytes {
            let mut head = [0; GROUP_HEADER_BYTES];
            file.read_exact_at(&mut head, byte)
                .map_err(|e| self.unreadable(segment.base, byte, offset, &e))?;
            let group = seal.read_group_header(&head).filter(|g| g.base == offset);
            let group = group.ok_or_else(|| {
                self.bad_place(segment.base, byte, offset, "group header has a wrong checksum or offset")
            })?;
            let inside = byte + GROUP_HEADER_BYTES as u64;
            let ends_byte = inside + u64::from(group.body_bytes);
            if from < offset + u64::from(group.records) {
                let group = Some(Inside { ends_byte, queued_at: group.queued_at });
                let cursor = Cursor { offset, segment: segment.base, file, byte: inside, group };
                return self.skip(cursor, from);
            }
            offset += u64::from(group.records);
            byte = ends_byte;
        }
        Err(self.bad_place(segment.base, byte, from, "the segment ends before this offset"))
    }

    /// Passes over the first records of a group. Their checksums are not looked at: whoever wants them reads them.
    fn skip(&self, mut cursor: Cursor, to: Offset) -> Result<Cursor, Error> {
        while cursor.offset < to {
            let mut length = [0; 4];
            cursor
                .file
                .read_exact_at(&mut length, cursor.byte)
                .map_err(|e| self.unreadable(cursor.segment, cursor.byte, cursor.offset, &e))?;
            cursor.byte += FRAME_HEADER_BYTES as u64 + u64::from(u32::from_le_bytes(length));
            if cursor.group.is_none_or(|g| cursor.byte > g.ends_byte) {
                let what = "record is longer than its group";
                return Err(self.bad_place(cursor.segment, cursor.byte, cursor.offset, what));
            }
            cursor.offset += 1;
        }
        Ok(cursor)
    }

    fn open(&self, segment: Offset) -> Result<Arc<File>, Error> {
        let opened = File::open(self.dir.join(segment_name(segment)));
        opened.map(Arc::new).map_err(|e| self.unreadable(segment, 0, segment, &e))
    }

    fn segment(&self, base: Offset) -> Option<Segment> {
        let log = self.log.lock();
        log.segments.iter().rev().find(|s| s.base == base).copied()
    }

    fn corrupt(&self, offset: Offset, what: String) -> Error {
        Error::Corrupt { partition: self.number, offset, what }
    }

    fn bad_place(&self, segment: Offset, byte: u64, offset: Offset, what: &str) -> Error {
        let path = self.dir.join(segment_name(segment));
        self.corrupt(offset, format!("{} byte {byte}: {what}", path.display()))
    }

    fn unreadable(&self, segment: Offset, byte: u64, offset: Offset, error: &io::Error) -> Error {
        self.bad_place(segment, byte, offset, &error.to_string())
    }
}

impl Reading<'_> {
    fn run(&mut self, cursor: &mut Cursor) -> Result<(), Error> {
        while self.wants_more() && cursor.offset < self.part.log.lock().end {
            let Some(segment) = self.part.segment(cursor.segment) else {
                let what = "it was committed and forgotten while it was read".to_owned();
                return Err(self.part.corrupt(cursor.offset, what));
            };
            if cursor.byte >= segment.bytes {
                self.enter_next_segment(cursor)?;
                continue;
            }
            let budget = self.limit.bytes_max.saturating_sub(self.bytes);
            self.read_window(cursor, segment.bytes, budget.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX))?;
        }
        Ok(())
    }

    fn wants_more(&self) -> bool {
        self.out.is_empty() || (self.out.len() < self.limit.records_max && self.bytes < self.limit.bytes_max)
    }

    fn enter_next_segment(&self, cursor: &mut Cursor) -> Result<(), Error> {
        if self.part.segment(cursor.offset).is_none() {
            let what = "the segment ends, and the next does not begin with this offset";
            return Err(self.part.bad_place(cursor.segment, cursor.byte, cursor.offset, what));
        }
        cursor.file = self.part.open(cursor.offset)?;
        cursor.segment = cursor.offset;
        (cursor.byte, cursor.group) = (SEGMENT_HEADER_BYTES as u64, None);
        Ok(())
    }

    /// Reads some bytes and takes the whole records among them; reads again if the first is larger than that.
    fn read_window(&mut self, cursor: &mut Cursor, durable_bytes: u64, want: usize) -> Result<(), Error> {
        let (segment, start, offset) = (cursor.segment, cursor.byte, cursor.offset);
        let n = ((durable_bytes - start) as usize).min(want);
        let mut buffer = vec![0; n];
        let read = cursor.file.read_exact_at(&mut buffer, start);
        read.map_err(|e| self.part.unreadable(segment, start, offset, &e))?;
        let window = Bytes::from(buffer);
        let needs = self.take_records(cursor, &window, start)?;
        match needs {
            Some(needs) if cursor.offset == offset => {
                let byte = cursor.byte;
                if byte + needs as u64 > durable_bytes {
                    let what = "the segment ends in the middle of a record";
                    return Err(self.part.bad_place(segment, byte, offset, what));
                }
                self.read_window(cursor, durable_bytes, needs)
            }
            _ => Ok(()),
        }
    }

    /// Takes records from the window until a limit is reached or it ends; then says how many bytes the next part needs.
    fn take_records(
        &mut self,
        cursor: &mut Cursor,
        window: &Bytes,
        start: u64,
    ) -> Result<Option<usize>, Error> {
        loop {
            let at = (cursor.byte - start) as usize;
            if at == window.len() {
                return Ok(None);
            }
            let rest = &window[at..];
            let Some(group) = cursor.group else {
                if rest.len() < GROUP_HEADER_BYTES {
                    return Ok(Some(GROUP_HEADER_BYTES));
                }
                self.enter_group(cursor, rest)?;
                continue;
            };
            match self.seal.read_frame(rest, group.ends_byte - cursor.byte) {
                Frame::Needs(bytes) => return Ok(Some(bytes)),
                Frame::Bad => {
                    let what = "record has a wrong checksum";
                    return Err(self.part.bad_place(cursor.segment, cursor.byte, cursor.offset, what));
                }
                Frame::Whole(length) => {
                    if !self.out.is_empty()
                        && (!self.wants_more() || self.bytes + length > self.limit.bytes_max)
                    {
                        self.bytes = self.limit.bytes_max;
                        return Ok(None);
                    }
                    let record = window.slice(at + FRAME_HEADER_BYTES..at + FRAME_HEADER_BYTES + length);
                    self.out.push(Stored {
                        offset: cursor.offset,
                        queued_at: group.queued_at,
                        record: Record::decode(record),
                    });
                    self.bytes += length;
                    cursor.offset += 1;
                    cursor.byte += (FRAME_HEADER_BYTES + length) as u64;
                    cursor.group = Some(group).filter(|g| cursor.byte < g.ends_byte);
                }
            }
        }
    }

    fn enter_group(&self, cursor: &mut Cursor, bytes: &[u8]) -> Result<(), Error> {
        let group = self.seal.read_group_header(bytes).filter(|g| g.base == cursor.offset && g.records > 0);
        let Some(group) = group else {
            let what = "group header has a wrong checksum or offset";
            return Err(self.part.bad_place(cursor.segment, cursor.byte, cursor.offset, what));
        };
        cursor.byte += GROUP_HEADER_BYTES as u64;
        let ends_byte = cursor.byte + u64::from(group.body_bytes);
        cursor.group = Some(Inside { ends_byte, queued_at: group.queued_at });
        Ok(())
    }
}
