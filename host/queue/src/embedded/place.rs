//! The committed offset of one partition on disk.
//!
//! Two slots in a file that never grows, written in turn: a torn write leaves the other slot, and a full file system,
//! where committing is what frees room, can not stop a commit. (Renaming a new file into place needs room for it.)

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use host_event::Offset;

use super::disk::Disk;
use super::format::{u32_at, u64_at};

pub(crate) const PLACE_NAME: &str = "committed";
/// A slot has a block of its own, so that tearing one does not touch the other.
const SLOT_BYTES: usize = 4096;
pub(crate) const PLACE_BYTES: u64 = 2 * SLOT_BYTES as u64;
const SLOT_MAGIC: [u8; 4] = *b"TMCO";
const SLOT_USED_BYTES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Slot {
    /// Which write this was; the higher of the two counts.
    sequence: u64,
    pub(crate) committed: Offset,
    /// The log was durable at least so far when this was written: if it is shorter later, something was lost.
    pub(crate) end: Offset,
}

#[derive(Debug)]
pub(crate) struct Place {
    file: File,
    slot: Slot,
    /// After a failed write the disk may hold either slot; only a restart can tell.
    broken: Option<String>,
}

impl Place {
    /// Opens the file, or makes it. The error says if neither slot can be read.
    pub(crate) fn open(disk: &Disk, dir: &Path) -> io::Result<Place> {
        let path = dir.join(PLACE_NAME);
        if !path.exists() {
            let mut bytes = vec![0; 2 * SLOT_BYTES];
            bytes[..SLOT_USED_BYTES].copy_from_slice(&encode(&Slot::default()));
            disk.replace(&path, &bytes)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let slot = read(&file)?;
        Ok(Place { file, slot, broken: None })
    }

    /// Reads it while another process may write to it: one slot is always whole.
    pub(crate) fn look(dir: &Path) -> io::Result<Slot> {
        read(&File::open(dir.join(PLACE_NAME))?)
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    /// Makes a new place durable. Once this has failed it fails for ever.
    pub(crate) fn write(&mut self, disk: &Disk, committed: Offset, end: Offset) -> Result<(), String> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let slot = Slot { sequence: self.slot.sequence + 1, committed, end };
        let at = (slot.sequence % 2) * SLOT_BYTES as u64;
        let written = disk.write_at(&self.file, &encode(&slot), at).and_then(|()| disk.sync(&self.file));
        match written {
            Ok(()) => self.slot = slot,
            Err(error) => self.broken = Some(format!("committed offset could not be written: {error}")),
        }
        self.broken.clone().map_or(Ok(()), Err)
    }
}

fn read(file: &File) -> io::Result<Slot> {
    let mut bytes = vec![0; 2 * SLOT_BYTES];
    file.read_exact_at(&mut bytes, 0)?;
    let slots = [decode(&bytes[..SLOT_BYTES]), decode(&bytes[SLOT_BYTES..])];
    let slot = slots.into_iter().flatten().max_by_key(|slot| slot.sequence);
    slot.ok_or_else(|| io::Error::other("neither of its two slots has a good checksum"))
}

fn encode(slot: &Slot) -> [u8; SLOT_USED_BYTES] {
    let mut out = [0; SLOT_USED_BYTES];
    out[..4].copy_from_slice(&SLOT_MAGIC);
    out[4..12].copy_from_slice(&slot.sequence.to_le_bytes());
    out[12..20].copy_from_slice(&slot.committed.to_le_bytes());
    out[20..28].copy_from_slice(&slot.end.to_le_bytes());
    let sum = crc32c::crc32c(&out[..28]);
    out[28..].copy_from_slice(&sum.to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<Slot> {
    let good = bytes[..4] == SLOT_MAGIC && u32_at(bytes, 28) == crc32c::crc32c(&bytes[..28]);
    good.then(|| Slot { sequence: u64_at(bytes, 4), committed: u64_at(bytes, 12), end: u64_at(bytes, 20) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::disk::faults::Op;

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let mut place = Place::open(&disk, dir.path()).unwrap();
        for committed in 1..=5 {
            place.write(&disk, committed, committed + 10).unwrap();
        }
        let path = dir.path().join(PLACE_NAME);
        let whole = std::fs::read(&path).unwrap();
        let newest = if decode(&whole[..SLOT_BYTES]).unwrap().committed == 5 { 0 } else { SLOT_BYTES };
        for torn in 0..SLOT_USED_BYTES {
            let mut bytes = whole.clone();
            bytes[newest + torn] ^= 0x40;
            std::fs::write(&path, &bytes).unwrap();
            let slot = Place::open(&disk, dir.path()).unwrap().slot();
            assert_eq!((slot.committed, slot.end), (4, 14), "byte {torn}");
        }
        std::fs::write(&path, vec![0; 2 * SLOT_BYTES]).unwrap();
        assert!(Place::open(&disk, dir.path()).unwrap_err().to_string().contains("neither"));
    }

    #[test]
    fn a_failed_write_is_never_tried_again() {
        const EIO: i32 = 5;
        for op in [Op::Write, Op::Sync] {
            let dir = tempfile::tempdir().unwrap();
            let disk = Disk::default();
            let mut place = Place::open(&disk, dir.path()).unwrap();
            place.write(&disk, 7, 7).unwrap();
            disk.faults.add(op, 0, 1, EIO, 50);
            for _ in 0..2 {
                let why = place.write(&disk, 8, 8).unwrap_err();
                assert!(why.contains("committed offset could not be written"), "{why}");
            }
            assert_eq!(place.slot().committed, 7);
            assert!(Place::open(&disk, dir.path()).unwrap().slot().committed >= 7);
        }
    }
}
