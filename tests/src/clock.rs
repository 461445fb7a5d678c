//! A clock that jumps on demand: `faults/clock.c` between a process and its C library. Linux only.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::tools;

/// The clock of one process, which outlives its restarts.
#[derive(Debug)]
pub struct Clock {
    layer: PathBuf,
    control: PathBuf,
    shift: File,
}

impl Clock {
    /// Builds the layer into `folder` if it is not there; the clock is right at first.
    pub fn new(folder: &Path, name: &str) -> Result<Clock> {
        let layer = folder.join("clock.so");
        if !layer.exists() {
            let mut cc = Command::new("cc");
            cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&layer);
            cc.arg(tools::tests().join("faults/clock.c")).args(["-ldl", "-lpthread"]);
            tools::run(&mut cc)?;
        }
        let control = folder.join(format!("{name}.clock"));
        fs::write(&control, [0; 8])?;
        let shift = OpenOptions::new().write(true).open(&control)?;
        Ok(Clock { layer, control, shift })
    }

    /// What a process has to be started with.
    pub fn environment(&self) -> Result<[(&'static str, String); 2]> {
        let text = |path: &Path| path.to_str().map(str::to_owned).context("the path is UTF-8");
        Ok([("LD_PRELOAD", text(&self.layer)?), ("CLOCK_CONTROL", text(&self.control)?)])
    }

    /// From now on the time of day is wrong by so much.
    pub fn shift(&self, seconds: i64) -> Result<()> {
        let nanos = seconds.checked_mul(1_000_000_000).context("a shift of less than a century")?;
        Ok(self.shift.write_all_at(&nanos.to_ne_bytes(), 0)?)
    }
}
