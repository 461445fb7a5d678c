//! Every call that changes the disk, in one place: so that a test can make each of them fail.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A failed call is never made again by this crate: after a failed fsync the kernel may have dropped what was to be
/// written and call the page clean, so that a second fsync succeeds although the data is lost.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) faults: faults::Faults,
}

impl Disk {
    /// Makes a new file. Whoever writes it must also call [`Disk::sync_dir`] before relying on it.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        #[cfg(test)]
        self.faults.check(faults::Op::Create)?;
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    pub(crate) fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some((error, share)) = self.faults.next(faults::Op::Write) {
            // A disk that fails has often written a part.
            file.write_all_at(&bytes[..bytes.len() * share / 100], at)?;
            return Err(error);
        }
        file.write_all_at(bytes, at)
    }

    /// Makes the bytes of a file, and its length, survive a crash of the machine.
    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.faults.check(faults::Op::Sync)?;
        file.sync_data()
    }

    /// Makes the names in a directory survive a crash of the machine.
    pub(crate) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        #[cfg(test)]
        self.faults.check(faults::Op::Sync)?;
        File::open(dir)?.sync_all()
    }

    /// Shortens a file.
    pub(crate) fn cut(&self, file: &File, bytes: u64) -> io::Result<()> {
        #[cfg(test)]
        self.faults.check(faults::Op::Cut)?;
        file.set_len(bytes)
    }

    /// Replaces a whole small file: after a crash it is the old or the new one.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let new = path.with_extension("new");
        match fs::remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = self.create(&new)?;
        self.write_at(&file, bytes, 0)?;
        self.sync(&file)?;
        fs::rename(&new, path)?;
        self.sync_dir(path.parent().expect("a file of the queue lies in its directory"))
    }
}

/// Is it that the file system has no room, so that nothing is broken?
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
pub(crate) mod faults {
    //! Errors on demand.
    use std::io;
    use std::sync::atomic::{AtomicU32, Ordering};

    use parking_lot::Mutex;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Op {
        Create,
        Write,
        Sync,
        Cut,
    }

    #[derive(Debug, Clone)]
    struct Fault {
        op: Op,
        skip: u32,
        times: u32,
        errno: i32,
        share: usize,
    }

    #[derive(Debug, Default)]
    pub(crate) struct Faults {
        planned: Mutex<Vec<Fault>>,
        syncs: AtomicU32,
    }

    impl Faults {
        /// After `skip` good calls of this kind, lets `times` fail; a write does `share` per cent of its work before.
        pub(crate) fn add(&self, op: Op, skip: u32, times: u32, errno: i32, share: usize) {
            self.planned.lock().push(Fault { op, skip, times, errno, share });
        }

        /// How often something was fsynced, or tried to be.
        pub(crate) fn syncs(&self) -> u32 {
            self.syncs.load(Ordering::Relaxed)
        }

        pub(super) fn next(&self, op: Op) -> Option<(io::Error, usize)> {
            if op == Op::Sync {
                self.syncs.fetch_add(1, Ordering::Relaxed);
            }
            let mut faults = self.planned.lock();
            let fault = faults.iter_mut().find(|f| f.op == op && f.times > 0)?;
            if fault.skip > 0 {
                fault.skip -= 1;
                return None;
            }
            fault.times -= 1;
            Some((io::Error::from_raw_os_error(fault.errno), fault.share))
        }

        pub(super) fn check(&self, op: Op) -> io::Result<()> {
            self.next(op).map_or(Ok(()), |(error, _)| Err(error))
        }
    }
}
