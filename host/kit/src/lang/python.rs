//! Python: componentize-py, in the environment of the plugin's folder.

use std::path::Path;

use super::{Job, Made, read};
use crate::KitError;
use crate::tools::{command, compile, find, in_venv, missing};

pub(super) fn build(job: &Job<'_>) -> Result<Made, KitError> {
    let dir = &job.project.dir;
    let program = "componentize-py";
    let python = in_venv(dir, program).or_else(|| find(program)).ok_or_else(|| {
        let packages = match dir.join("requirements.txt").exists() {
            true => "-r requirements.txt",
            false => "componentize-py==0.25.1",
        };
        missing(program, &format!("python3 -m venv .venv && .venv/bin/pip install {packages}"))
    })?;
    let component = job.work.join("plugin.wasm");
    let source = &job.said.source;
    // It looks for the author's packages in the environment that this variable names.
    let venv = python.parent().and_then(Path::parent).filter(|venv| venv.join("pyvenv.cfg").exists());
    let venv = venv.map(|venv| ("VIRTUAL_ENV", venv.to_owned()));
    let mut python = command(python, dir);
    python.envs(venv);
    // What its own Rust code did is nothing that an author can look into.
    python.env("RUST_BACKTRACE", "0").args(["-q", "-d"]).arg(&job.wit);
    python.args(["-w", job.said.kind.as_str(), "componentize", "--stub-wasi"]);
    for folder in [source.parent().unwrap_or(dir), &job.said.sdk] {
        python.arg("-p").arg(folder);
    }
    python.arg(source.file_stem().unwrap_or_default());
    compile(program, python.arg("-o").arg(&component))?;
    read(component).map(Made::Component)
}
