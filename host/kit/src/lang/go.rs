//! Go: the standard compiler, and a reactor of its own runtime.

use super::{Job, Made, read};
use crate::KitError;
use crate::tools::{command, compile, require};

const INSTALL: &str = "apt-get install -t bookworm-backports golang-go";

pub(super) fn build(job: &Job<'_>) -> Result<Made, KitError> {
    let go = require("Go", "GO", "go", INSTALL)?;
    let module = job.work.join("plugin.core.wasm");
    let mut go = command(go, &job.project.dir);
    go.env("GOOS", "wasip1").env("GOARCH", "wasm");
    // Without -s: the names of functions stay, for backtraces. -w leaves out what only a debugger reads.
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-w", "-o"]).arg(&module);
    compile("go build", go.arg(&job.said.source))?;
    read(module).map(Made::BareModule)
}
