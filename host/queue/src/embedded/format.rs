//! The bytes on disk.
//!
//! ```text
//! segment  00000000000000000042.log = header, group, group, ...       named by its first offset
//! header   magic 8 · version 4 · partition 4 · first offset 8 · queued_at floor 8 · salt 8 · checksum 4 · zero 4
//! group    magic 4 · body bytes 4 · records 4 · first offset 8 · queued_at 8 · checksum 4, then its body of frames
//! frame    length 4 · checksum 4 · record
//! ```
//! A group is what one fsync made durable. It is written only after the fsync of the group before it has succeeded, so
//! **a group header proves that everything before it was durable**. That is what tells a torn tail (the last group,
//! never answered for) from corruption (a bad place with a group behind it).
//!
//! Every checksum begins with a salt that no client knows, so that no payload can be made to look like a group.
//! Numbers are little-endian.

use host_event::{Millis, Offset, Partition, Record};

const SEGMENT_MAGIC: &[u8; 8] = b"TAMISLOG";
const SEGMENT_VERSION: u32 = 1;
pub(crate) const SEGMENT_HEADER_BYTES: usize = 48;
const GROUP_MAGIC: [u8; 4] = *b"\xf1GRP";
pub(crate) const GROUP_HEADER_BYTES: usize = 32;
pub(crate) const FRAME_HEADER_BYTES: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) partition: Partition,
    pub(crate) base: Offset,
    /// No record of this segment was queued before.
    pub(crate) queued_at_floor: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) body_bytes: u32,
    pub(crate) records: u32,
    pub(crate) base: Offset,
    pub(crate) queued_at: Millis,
}

/// What a buffer begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A record of so many bytes, behind its frame header.
    Whole(usize),
    /// A frame that needs so many bytes in all, more than there are.
    Needs(usize),
    Bad,
}

/// Writes and reads the checksums of one log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seal {
    salt: u64,
    seed: u32,
}

impl Seal {
    pub(crate) fn new(salt: u64) -> Seal {
        Seal { salt, seed: crc32c::crc32c(&salt.to_le_bytes()) }
    }

    fn sum(&self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.seed, bytes)
    }

    pub(crate) fn segment_header(&self, header: &SegmentHeader) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        out[..8].copy_from_slice(SEGMENT_MAGIC);
        out[8..12].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&header.partition.to_le_bytes());
        out[16..24].copy_from_slice(&header.base.to_le_bytes());
        out[24..32].copy_from_slice(&header.queued_at_floor.to_le_bytes());
        out[32..40].copy_from_slice(&self.salt.to_le_bytes());
        let sum = self.sum(&out[..40]);
        out[40..44].copy_from_slice(&sum.to_le_bytes());
        out
    }

    pub(crate) fn read_segment_header(&self, bytes: &[u8]) -> Option<SegmentHeader> {
        let head = bytes.get(..SEGMENT_HEADER_BYTES)?;
        let good = head[..8] == SEGMENT_MAGIC[..]
            && u32_at(head, 8) == SEGMENT_VERSION
            && u64_at(head, 32) == self.salt
            && u32_at(head, 40) == self.sum(&head[..40])
            && u32_at(head, 44) == 0;
        good.then(|| SegmentHeader {
            partition: u32_at(head, 12),
            base: u64_at(head, 16),
            queued_at_floor: u64_at(head, 24) as i64,
        })
    }

    pub(crate) fn group_header(&self, group: &GroupHeader) -> [u8; GROUP_HEADER_BYTES] {
        let mut out = [0; GROUP_HEADER_BYTES];
        out[..4].copy_from_slice(&GROUP_MAGIC);
        out[4..8].copy_from_slice(&group.body_bytes.to_le_bytes());
        out[8..12].copy_from_slice(&group.records.to_le_bytes());
        out[12..20].copy_from_slice(&group.base.to_le_bytes());
        out[20..28].copy_from_slice(&group.queued_at.to_le_bytes());
        let sum = self.sum(&out[..28]);
        out[28..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    pub(crate) fn read_group_header(&self, bytes: &[u8]) -> Option<GroupHeader> {
        let head = bytes.get(..GROUP_HEADER_BYTES)?;
        let good = head[..4] == GROUP_MAGIC && u32_at(head, 28) == self.sum(&head[..28]);
        good.then(|| GroupHeader {
            body_bytes: u32_at(head, 4),
            records: u32_at(head, 8),
            base: u64_at(head, 12),
            queued_at: u64_at(head, 20) as i64,
        })
    }

    /// Appends one record, framed, to `out`.
    pub(crate) fn frame(&self, record: &Record, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        record.encode(out);
        let length = (out.len() - start - FRAME_HEADER_BYTES) as u32;
        let sum = self.frame_sum(length, &out[start + FRAME_HEADER_BYTES..]);
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads the frame at the front of `bytes`; `left` is what the group still holds, of which `bytes` may be a part.
    pub(crate) fn read_frame(&self, bytes: &[u8], left: u64) -> Frame {
        let Some(head) = bytes.get(..FRAME_HEADER_BYTES) else {
            return if left < FRAME_HEADER_BYTES as u64 {
                Frame::Bad
            } else {
                Frame::Needs(FRAME_HEADER_BYTES)
            };
        };
        let length = u32_at(head, 0);
        let whole = FRAME_HEADER_BYTES + length as usize;
        if whole as u64 > left {
            return Frame::Bad;
        }
        match bytes.get(FRAME_HEADER_BYTES..whole) {
            None => Frame::Needs(whole),
            Some(record) if self.frame_sum(length, record) == u32_at(head, 4) => {
                Frame::Whole(length as usize)
            }
            Some(_) => Frame::Bad,
        }
    }

    fn frame_sum(&self, length: u32, record: &[u8]) -> u32 {
        crc32c::crc32c_append(self.sum(&length.to_le_bytes()), record)
    }

    /// Where in `bytes` a group header lies that begins at an offset after `after`.
    pub(crate) fn find_group(&self, bytes: &[u8], after: Offset) -> Option<(usize, GroupHeader)> {
        bytes.windows(GROUP_HEADER_BYTES).enumerate().find_map(|(at, window)| {
            if window[..4] != GROUP_MAGIC {
                return None;
            }
            let group = self.read_group_header(window)?;
            (group.base > after).then_some((at, group))
        })
    }
}

pub(crate) fn segment_name(base: Offset) -> String {
    format!("{base:020}.log")
}

pub(crate) fn segment_base(name: &str) -> Option<Offset> {
    name.strip_suffix(".log").filter(|digits| digits.len() == 20)?.parse().ok()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("the slice is four long"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("the slice is eight long"))
}
