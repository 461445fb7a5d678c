//! Zig: one compiler, on the search path or as the package `ziglang` of Python.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Job, Made, read};
use crate::KitError;
use crate::tools::{self, command, missing};

const INSTALL: &str = "python3 -m venv .venv && .venv/bin/pip install ziglang==0.17.1";

/// What every host has: wasmtime brings it along.
const CPU: &str = "-mcpu=generic+simd128+bulk_memory+sign_ext+nontrapping_fptoint";
const STACK_BYTES: &str = "1048576";

pub(super) fn build(job: &Job<'_>) -> Result<Made, KitError> {
    let mut zig = compiler(&job.project.dir)?;
    let module = job.work.join("plugin.core.wasm");
    let of = |name: &str, path: &Path| format!("-M{name}={}", path.display());
    zig.args(["build-exe", "-target", "wasm32-freestanding", CPU, "-fno-entry", "-rdynamic"]);
    // What a check of bounds or overflow finds ends in the log; the checks cost nothing that a benchmark shows.
    zig.args(["-O", "ReleaseSafe", "-fno-strip", "--stack", STACK_BYTES]);
    zig.arg("--cache-dir").arg(job.work.join("zig-cache"));
    zig.arg(format!("-femit-bin={}", module.display()));
    zig.args(["--dep", "plugin", "--dep", "tamis"]).arg(of("root", &job.said.sdk.join("root.zig")));
    zig.args(["--dep", "tamis"]).arg(of("plugin", &job.said.source));
    zig.arg(of("tamis", &job.said.sdk.join("tamis.zig")));
    tools::compile("zig build-exe", &mut zig)?;
    read(module).map(Made::BareModule)
}

/// `zig`, without a command.
pub(super) fn compiler(dir: &Path) -> Result<Command, KitError> {
    if let Some(zig) = tools::find("zig") {
        return Ok(command(zig, dir));
    }
    let python = tools::in_venv(dir, "python").or_else(|| tools::find("python3"));
    python.and_then(|python| of_package(&python, dir)).ok_or_else(|| missing("Zig", INSTALL))
}

/// `python -m ziglang`, if that package is there.
fn of_package(python: &Path, dir: &Path) -> Option<Command> {
    let mut asked = command(python, dir);
    asked.args(["-c", "import ziglang"]).stderr(Stdio::null());
    let mut zig = command(python, dir);
    zig.args(["-m", "ziglang"]);
    asked.status().is_ok_and(|status| status.success()).then_some(zig)
}
