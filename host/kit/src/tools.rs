//! Compilers and other programs of the author's machine: found or missing, started, ended.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::KitError;

/// A program on the search path. `find` never starts anything.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| is_program(path))
}

pub(crate) fn is_program(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    path.is_file()
}

/// The program that a variable names, else one on the search path. `install` is the command that brings it.
pub(crate) fn require(
    what: &'static str,
    variable: &str,
    program: &str,
    install: &str,
) -> Result<PathBuf, KitError> {
    let set = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    set.or_else(|| find(program)).ok_or_else(|| missing(what, install))
}

pub(crate) fn missing(what: &'static str, install: &str) -> KitError {
    KitError::Missing { what, install: install.to_owned() }
}

/// A program of a Python environment: that of the plugin's folder, the one that is active, or any on the search path.
pub(crate) fn in_venv(dir: &Path, program: &str) -> Option<PathBuf> {
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let environments = [Some(dir.join(".venv")), active].into_iter().flatten();
    environments.map(|venv| venv.join("bin").join(program)).find(|path| is_program(path))
}

/// Runs a compiler: what it says, on either stream, goes to standard error as it is.
pub(crate) fn compile(what: &'static str, command: &mut Command) -> Result<(), KitError> {
    let output = command.stdin(Stdio::null()).stdout(std::io::stderr()).stderr(Stdio::inherit()).output();
    finished(what, output).map(drop)
}

/// What a program prints. What it complains of is shown.
pub(crate) fn ask(what: &'static str, command: &mut Command) -> Result<String, KitError> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = finished(what, output)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(crate) fn finished(what: &'static str, output: std::io::Result<Output>) -> Result<Output, KitError> {
    let output = output.map_err(|source| KitError::NotFound { what, source })?;
    match output.status.success() {
        true => Ok(output),
        false => Err(KitError::Failed { what, status: output.status }),
    }
}

pub(crate) fn command(program: impl AsRef<OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir);
    command
}
