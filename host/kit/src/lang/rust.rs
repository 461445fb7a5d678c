//! Rust: cargo for the core module. The SDK's macro has said the world in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::KitError;
use crate::tools::{self, finished};

pub const RUST_TARGET: &str = "wasm32-wasip1";
const INSTALL: &str =
    "curl --proto =https --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y -t wasm32-wasip1";

/// Builds the crate in `dir`. Cargo reports its progress on standard error.
pub(crate) fn build(dir: &Path) -> Result<(Vec<u8>, Package), KitError> {
    let manifest = dir.join("Cargo.toml");
    let manifest = manifest.canonicalize().map_err(|source| KitError::NoCrate { dir: dir.into(), source })?;
    require_target(dir)?;
    let package = package(dir, &manifest)?;
    let module = compile(dir, &manifest, &package)?;
    Ok((super::read(module)?, package))
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<PackageEntry>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct PackageEntry {
    name: String,
    manifest_path: PathBuf,
}

pub(crate) struct Package {
    pub name: String,
    workspace: PathBuf,
}

fn package(dir: &Path, manifest: &Path) -> Result<Package, KitError> {
    let output = cargo(dir)
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .stderr(Stdio::inherit())
        .output();
    let metadata: Metadata = read_json(&finished("cargo metadata", output)?.stdout)?;
    let mut packages = metadata.packages.into_iter();
    let package = packages.find(|package| package.manifest_path == manifest);
    let package = package.ok_or_else(|| KitError::NoPackage { manifest: manifest.into() })?;
    Ok(Package { name: package.name, workspace: metadata.workspace_root })
}

/// Says which command is missing before cargo says it in a hundred lines.
fn require_target(dir: &Path) -> Result<(), KitError> {
    tools::require("cargo", "CARGO", "cargo", INSTALL)?;
    tools::require("rustc", "RUSTC", "rustc", INSTALL)?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let output = Command::new(rustc)
        .current_dir(dir)
        .args(["--print", "target-libdir", "--target", RUST_TARGET])
        .stderr(Stdio::inherit())
        .output();
    let output = finished("rustc", output)?;
    let libraries = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if Path::new(&libraries).is_dir() { Ok(()) } else { Err(KitError::NoTarget) }
}

/// Settings of the profile `plugin` for a workspace that does not define it: small and fast.
const PROFILE: [&str; 6] = [
    "profile.plugin.inherits=\"release\"",
    "profile.plugin.opt-level=3",
    "profile.plugin.lto=\"fat\"",
    "profile.plugin.codegen-units=1",
    "profile.plugin.panic=\"abort\"",
    "profile.plugin.strip=\"none\"",
];

/// Set in any case. What it costs is the time to write the lines down: they are no part of the component that is shipped.
const LINES: &str = "profile.plugin.debug=\"line-tables-only\"";

#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Runs cargo and gives the path of the core module.
fn compile(dir: &Path, manifest: &Path, package: &Package) -> Result<PathBuf, KitError> {
    let mut command = cargo(dir);
    command.args(["build", "--lib", "--profile", "plugin", "--target", RUST_TARGET]);
    command.args(["--message-format", "json-render-diagnostics", "--manifest-path"]).arg(manifest);
    command.args(["--config", LINES]);
    let root = std::fs::read_to_string(package.workspace.join("Cargo.toml")).unwrap_or_default();
    if !root.lines().any(|line| line.trim() == "[profile.plugin]") {
        command.args(PROFILE.iter().flat_map(|setting| ["--config", setting]));
    }
    // Every host has SIMD: wasmtime brings it along.
    const FLAGS: &str = "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS";
    let flags = std::env::var(FLAGS).unwrap_or_default();
    command.env(FLAGS, format!("-C target-feature=+simd128 {flags}").trim_end());
    let output = finished("cargo build", command.stderr(Stdio::inherit()).output())?;
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{"));
    for line in lines {
        let message: Message = read_json(line)?;
        let ours =
            message.reason == "compiler-artifact" && message.manifest_path.as_deref() == Some(manifest);
        let is_wasm = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
        if let Some(module) = message.filenames.into_iter().find(|path| ours && is_wasm(path)) {
            return Ok(module);
        }
    }
    Err(KitError::NoCdylib { package: package.name.clone() })
}

fn cargo(dir: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(dir);
    command
}

fn read_json<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, KitError> {
    serde_json::from_slice(json).map_err(|e| KitError::Unreadable(e.to_string()))
}
