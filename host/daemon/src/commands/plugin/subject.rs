//! What `test`, `run` and `bench` are asked about: a plugin's folder or a component, and its configuration.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use host_kit::{DebugInfo, Subject, tests_of};

/// A component, or that of a folder, built: for `test` and `run` with the lines of its functions, to `bench` as it is shipped.
pub(super) fn subject(path: &Path, debug: DebugInfo) -> anyhow::Result<Subject> {
    if !path.is_dir() {
        return Ok(Subject::read(path)?);
    }
    let out = tempfile::tempdir().context("a folder for the component")?;
    let built = host_kit::build_with(path, out.path(), debug)?;
    Ok(Subject::read(&built.path)?)
}

/// The configuration that an argument names or is; without one that of the plugin's golden tests, else an empty one.
pub(super) fn config(argument: Option<&str>, plugin: &Path) -> anyhow::Result<String> {
    let of_tests = tests_of(plugin).join("config.json");
    let file = match argument {
        Some(json) if json.trim_start().starts_with('{') => return Ok(json.to_owned()),
        Some(file) => PathBuf::from(file),
        None if of_tests.is_file() => of_tests,
        None => return Ok("{}".to_owned()),
    };
    std::fs::read_to_string(&file).with_context(|| file.display().to_string())
}

/// Where authors' commands keep compiled components: a large interpreter takes seconds to compile.
pub(in crate::commands) fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("tamis/plugins")
}

/// What is being done, on a line that the next one overwrites, if somebody is looking.
pub(super) fn show(what: &str) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        // There is nowhere left to say that stderr is gone.
        let _ = write!(err, "\r\x1b[K{what}");
        let _ = err.flush();
    }
}
