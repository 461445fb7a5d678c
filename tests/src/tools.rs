//! What the tests run beside Tamis, and where it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The target folder that this very program was built in.
pub fn target() -> Result<PathBuf> {
    Ok(profile()?.parent().context("a profile lies in target")?.to_owned())
}

/// The binary under test: of the same build.
pub fn tamis() -> Result<PathBuf> {
    let binary = profile()?.join("tamis");
    if !binary.is_file() {
        bail!("there is no {}: run `cargo build -p tamis`, or `make test`, which does", binary.display());
    }
    Ok(binary)
}

/// Tests lie in target/PROFILE/deps, benchmarks in target/PROFILE.
fn profile() -> Result<PathBuf> {
    let program = std::env::current_exe().context("the path of the test")?;
    let folder = program.parent().context("a program lies in a folder")?;
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    Ok(profile.context("a test lies in target/PROFILE/deps")?.to_owned())
}

/// A first-party component.
pub fn component(name: &str) -> Result<PathBuf> {
    let file = target()?.join("plugins").join(format!("{name}.wasm"));
    if !file.is_file() {
        bail!("there is no {}: run `make plugins`, or `make test`, which does", file.display());
    }
    Ok(file)
}

/// The folder of this crate.
pub fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command of the Python that has Sentry's client, DuckDB and pyarrow.
pub fn python(script: &str) -> Result<Command> {
    let python = target()?.join("test-venv/bin/python");
    if !python.is_file() {
        bail!("there is no {}: run `tests/setup.sh`, or `make test`, which does", python.display());
    }
    let mut command = Command::new(python);
    command.arg(tests().join("python").join(script));
    Ok(command)
}

/// A command of Node that finds both generations of Sentry's client.
pub fn node(script: &str) -> Result<Command> {
    let modules = target()?.join("test-node/node_modules");
    if !modules.is_dir() {
        bail!("there is no {}: run `tests/setup.sh`, or `make test`, which does", modules.display());
    }
    let mut command = Command::new("node");
    command.arg(tests().join("node").join(script)).env("NODE_PATH", modules);
    Ok(command)
}

/// Runs a command to its end; gives what it printed. An error carries all of it.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("could not run {command:?}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}\n{printed}\n{complaint}", output.status);
    }
    Ok(printed)
}

/// Asks DuckDB. `$store` in the text stands for the folder of the tables. Gives a list of objects.
pub fn query(store: &Path, sql: &str) -> Result<Vec<Value>> {
    let sql = sql.replace("$store", &store.display().to_string());
    let printed = run(python("query.py")?.arg(sql))?;
    serde_json::from_str(&printed).with_context(|| format!("the answer of query.py: {printed}"))
}

/// The last lines of a log; empty if there is none.
pub fn tail(log: &Path) -> String {
    const LINES_MAX: usize = 40;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
}

/// A command that does not outlive the thread that started it, also if that is killed.
pub fn mortal(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// A port that nobody listens at. Below the range of outgoing connections, so that none of those takes it meanwhile.
pub fn free_port() -> Result<u16> {
    use std::hash::{BuildHasher, RandomState};
    for attempt in 0..100_u32 {
        let port = 10_000 + (RandomState::new().hash_one(attempt) % 20_000) as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port after 100 attempts")
}
