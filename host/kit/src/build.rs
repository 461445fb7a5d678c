//! Builds a plugin written in Rust: cargo for the core module, then the encoder.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use serde::Deserialize;

use crate::{DebugInfo, KitError, encode_with};

pub const RUST_TARGET: &str = "wasm32-wasip1";

/// A component on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    pub path: PathBuf,
    pub bytes: usize,
    pub seconds: f64,
}

/// Builds the crate in `dir` and writes `<package>.wasm` into the folder `out`. Cargo reports its progress on standard error.
pub fn build_rust(dir: &Path, out: &Path) -> Result<Built, KitError> {
    build_rust_with(dir, out, DebugInfo::Dropped)
}

/// The same, with the lines of its functions in it or not. Both are made of one module, so that asking for the other costs no build.
pub fn build_rust_with(dir: &Path, out: &Path, debug: DebugInfo) -> Result<Built, KitError> {
    let begun = Instant::now();
    let manifest = dir.join("Cargo.toml");
    let manifest = manifest.canonicalize().map_err(|source| KitError::NoCrate { dir: dir.into(), source })?;
    let crate_dir = manifest.parent().unwrap_or(dir);
    let package = package(crate_dir, &manifest)?;
    require_target(crate_dir)?;
    let module = compile(crate_dir, &manifest, &package)?;
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| KitError::Io { path, source }
    };
    let core = std::fs::read(&module).map_err(io(&module))?;
    let component = encode_with(&core, None, debug)?;
    std::fs::create_dir_all(out).map_err(io(out))?;
    let path = out.join(format!("{}.wasm", package.name));
    // A host may be reading the file that is there: put the new one in its place as a whole.
    let temporary = path.with_extension("wasm.tmp");
    let written = std::fs::File::create(&temporary).and_then(|mut file| file.write_all(&component));
    written.map_err(io(&temporary))?;
    std::fs::rename(&temporary, &path).map_err(io(&path))?;
    Ok(Built { path, bytes: component.len(), seconds: begun.elapsed().as_secs_f64() })
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

struct Package {
    name: String,
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
    let name = package.ok_or_else(|| KitError::NoPackage { manifest: manifest.into() })?.name;
    Ok(Package { name, workspace: metadata.workspace_root })
}

/// Says which command is missing before cargo says it in a hundred lines.
fn require_target(dir: &Path) -> Result<(), KitError> {
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

fn finished(what: &'static str, output: std::io::Result<Output>) -> Result<Output, KitError> {
    let output = output.map_err(|source| KitError::NotFound { what, source })?;
    match output.status.success() {
        true => Ok(output),
        false => Err(KitError::Failed { what, status: output.status }),
    }
}

fn read_json<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, KitError> {
    serde_json::from_slice(json).map_err(|e| KitError::Unreadable(e.to_string()))
}
