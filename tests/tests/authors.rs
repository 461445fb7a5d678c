//! What authors of plugins have: the examples, each tested in its language's own test tool and as a component, the SDKs' own tests, and the author's
//! day in every language.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tamis_tests::tools;

fn root() -> PathBuf {
    tools::tests().parent().unwrap().to_owned()
}

/// A command that finds `tamis` and the languages' tools.
fn command(program: &str, arguments: &[&str], dir: &Path) -> Result<Command> {
    let venv = tools::target()?.join("plugin-tools");
    if !venv.join("bin/python").is_file() {
        bail!("there is no {}: run `tests/setup.sh`, or `make test`, which does", venv.display());
    }
    let tamis = tools::tamis()?;
    let path = std::env::var("PATH").context("PATH")?;
    let folders = [venv.join("bin"), tamis.parent().context("a folder")?.to_owned()];
    let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&path)))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir).env("PATH", path).env("TAMIS", tamis).env("VIRTUAL_ENV", venv);
    // Cargo's own variables are not for a build within a test.
    command.env("CARGO_TARGET_DIR", tools::target()?);
    Ok(command)
}

fn run(dir: &Path, line: &str) -> Result<()> {
    let words: Vec<&str> = line.split(' ').collect();
    tools::run(&mut command(words[0], &words[1..], dir)?)
        .map(drop)
        .with_context(|| format!("{}: {line}", dir.display()))
}

/// The native tests, and then the golden tests of the component under the host's limits.
fn example(name: &str, native: &str) -> Result<()> {
    let dir = root().join("examples").join(name);
    run(&dir, native)?;
    run(&dir, "tamis plugin test .")
}

#[test]
fn noisy_dependency_in_javascript() -> Result<()> {
    example("noisy-dependency", "npm test")
}

#[test]
fn vip_sampling_in_python() -> Result<()> {
    example("vip-sampling", "python -m pytest -q")
}

#[test]
fn tenant_headers_in_go() -> Result<()> {
    example("tenant-headers", "go test ./...")
}

#[test]
fn timeout_grouping_in_rust() -> Result<()> {
    // Its native tests are among those of the workspace.
    run(&root().join("examples/timeout-grouping"), "tamis plugin test .")
}

#[test]
fn rule_pack_in_c() -> Result<()> {
    run(&root(), "sdk-wit/c/tests/run.sh examples/rule-pack")?;
    run(&root().join("examples/rule-pack"), "tamis plugin test .")
}

#[test]
fn transaction_rates_in_zig() -> Result<()> {
    let dir = root().join("examples/transaction-rates");
    let native = format!("sdk-wit/zig/tests/run.sh {}", dir.display());
    tools::run(command("env", &["ZIG=python -m ziglang"], &root())?.args(native.split(' ')))?;
    run(&dir, "tamis plugin test .")
}

#[test]
fn the_sdks_test_themselves() -> Result<()> {
    run(&root().join("sdk-wit/js"), "npm test")?;
    run(&root().join("sdk-wit/python"), "env PYTHONPATH=. python -m pytest -q tests")?;
    run(&root().join("sdk-wit/go"), "go vet ./...")?;
    run(&root().join("sdk-wit/go"), "go test ./...")
}

#[test]
fn five_minutes_in_every_language() -> Result<()> {
    run(&root(), "examples/five-minutes.sh")
}
