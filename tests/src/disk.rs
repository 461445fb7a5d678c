//! A disk of its own size, which can be full: a tmpfs that is there for as long as somebody holds it open. Linux, as root.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::tools;

/// Nobody but this process, and those that it starts in it, keeps it mounted: it can not be left behind.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    /// What holds it, once it has no name.
    _open: File,
}

const BALLAST: &str = ".ballast";

impl Disk {
    pub fn new(bytes: u64) -> Result<Disk> {
        let place = TempDir::new()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tamis-tests"]).arg(place.path());
        tools::run(&mut mount)
            .context("a full disk is tested on a tmpfs: run as root, with CAP_SYS_ADMIN")?;
        let open = File::open(place.path());
        // Even if that failed it must not stay mounted. Lazy: it goes when nobody has it open any more.
        tools::run(Command::new("umount").arg("--lazy").arg(place.path()))?;
        let open = open?;
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&open);
        let root = PathBuf::from(format!("/proc/{}/fd/{descriptor}", std::process::id()));
        Ok(Disk { root, _open: open })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes all space that is left.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = File::create(self.root.join(BALLAST))?;
        let block = vec![0_u8; 1 << 20];
        while ballast.write_all(&block).is_ok() {}
        // The last block went in as far as it could.
        Ok(())
    }

    /// Gives back what [`Disk::fill`] took.
    pub fn free(&self) -> Result<()> {
        match fs::remove_file(self.root.join(BALLAST)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    }
}
