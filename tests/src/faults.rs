//! A disk that fails on demand: `faults/faultfs.c` between the process and its C library. Linux only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::home::Home;
use crate::host::Host;
use crate::tools;

/// The layer of one home.
#[derive(Debug)]
pub struct Faults {
    layer: PathBuf,
    prefix: PathBuf,
    control: PathBuf,
    log: PathBuf,
}

impl Faults {
    /// Builds the layer; there are no rules at first.
    pub fn new(home: &Home) -> Result<Faults> {
        let layer = home.path().join("faultfs.so");
        let source = tools::tests().join("faults/faultfs.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&layer).arg(source).args(["-ldl", "-lpthread"]);
        tools::run(&mut cc)?;
        let at = |name: &str| home.path().join(name);
        // Links are resolved before paths are compared.
        let prefix = home.path().canonicalize()?;
        let faults = Faults { layer, prefix, control: at("faults.rules"), log: at("faults.log") };
        faults.set("")?;
        Ok(faults)
    }

    pub fn start(&self, home: &Home) -> Result<Host> {
        let text = |path: &Path| path.to_str().map(str::to_owned).context("the path is UTF-8");
        let (layer, prefix, control, log) =
            (text(&self.layer)?, text(&self.prefix)?, text(&self.control)?, text(&self.log)?);
        Host::start(
            home,
            &[
                ("LD_PRELOAD", &layer),
                ("FAULTFS_PREFIX", &format!("{prefix}/")),
                ("FAULTFS_CONTROL", &control),
                ("FAULTFS_LOG", &log),
            ],
        )
    }

    /// Puts rules in force, see `faultfs.c`; none: the disk is fine again.
    pub fn set(&self, rules: &str) -> Result<()> {
        let new = self.control.with_extension("new");
        fs::write(&new, format!("{rules}\n"))?;
        Ok(fs::rename(new, &self.control)?)
    }

    /// How many calls have failed.
    pub fn injected(&self) -> usize {
        fs::read_to_string(&self.log).map_or(0, |log| log.lines().count())
    }
}
