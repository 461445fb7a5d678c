//! Holds the table of crates in ARCHITECTURE.md against what cargo says the crates depend on.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const HEADER: &str = "| crate | may depend on (ours) | only here |";
/// What lies here may depend on everything, since nothing that is shipped depends on it.
const LEAVES: [&str; 2] = ["tests", "benches"];

#[derive(Debug, Default, PartialEq)]
struct Row {
    may_depend_on: BTreeSet<String>,
    only_here: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Crate {
    /// Below the root of the workspace.
    folder: PathBuf,
    /// What the crate itself is built with; what its tests use is free.
    dependencies: BTreeSet<String>,
}

#[test]
fn crates_depend_on_what_the_table_says() {
    let rows = read_table(&std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()).unwrap();
    let crates = read_metadata();
    let problems = compare(&rows, &crates);
    assert!(problems.is_empty(), "ARCHITECTURE.md and cargo metadata disagree:\n{}", problems.join("\n"));
}

/// Wasmtime's `deserialize` is unsafe by its nature: what it runs must be its own work, which the cache proves with a key.
const ONE_UNSAFE_PLACE: &str = "host-plugin";

#[test]
fn host_crates_forbid_unsafe_code() {
    for (name, crate_) in read_metadata().iter().filter(|(_, c)| c.folder.starts_with("host")) {
        let sources = root().join(&crate_.folder).join("src");
        let lint = if name == ONE_UNSAFE_PLACE { "#![deny(unsafe_code)]" } else { "#![forbid(unsafe_code)]" };
        for file in ["lib.rs", "main.rs"].map(|file| sources.join(file)).iter().filter(|file| file.is_file())
        {
            let text = std::fs::read_to_string(file).unwrap();
            assert!(text.contains(lint), "{name}: {} has no {lint}", file.display());
        }
        let places: usize = rust_files(&sources).iter().map(|text| text.matches("unsafe {").count()).sum();
        assert_eq!(places, usize::from(name == ONE_UNSAFE_PLACE), "unsafe places of {name}");
    }
}

fn rust_files(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => texts.extend(rust_files(&path)),
            Some(extension) if extension == "rs" => texts.push(std::fs::read_to_string(&path).unwrap()),
            _ => {}
        }
    }
    texts
}

#[test]
fn a_breach_of_each_kind_is_found() {
    let table = format!(
        "before\n\n{HEADER}\n|---|---|---|\n| a | - | - |\n| b | a | big |\n| c | a, b | - |\n| gone | - | - |\n\nafter"
    );
    let rows = read_table(&table).unwrap();
    let crate_of = |dependencies: &[&str]| Crate {
        folder: PathBuf::new(),
        dependencies: dependencies.iter().map(|d| d.to_string()).collect(),
    };
    let crates = BTreeMap::from([
        ("a".to_owned(), crate_of(&["b"])),
        ("b".to_owned(), crate_of(&["a", "big"])),
        ("c".to_owned(), crate_of(&["b", "big-helper", "small"])),
        ("new".to_owned(), crate_of(&[])),
        ("helper".to_owned(), Crate { folder: "tests/helper".into(), ..crate_of(&["c", "big"]) }),
    ]);
    let want = [
        "a depends on b, and may not",
        "c names big-helper, which only b may name",
        "gone has a row, and is no crate of the workspace",
        "new has no row",
    ];
    assert_eq!(compare(&rows, &crates), want);
    assert_eq!(read_table("no table").unwrap_err(), format!("there is no table with the header `{HEADER}`"));
}

fn compare(rows: &BTreeMap<String, Row>, crates: &BTreeMap<String, Crate>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, crate_) in crates.iter().filter(|(_, c)| !LEAVES.iter().any(|leaf| c.folder.starts_with(leaf)))
    {
        let Some(row) = rows.get(name) else {
            problems.push(format!("{name} has no row"));
            continue;
        };
        for dependency in &crate_.dependencies {
            if crates.contains_key(dependency) {
                if !row.may_depend_on.contains(dependency) {
                    problems.push(format!("{name} depends on {dependency}, and may not"));
                }
                continue;
            }
            let fenced_by = |r: &Row| r.only_here.iter().any(|only| is_of_family(dependency, only));
            let owners: Vec<_> = rows.iter().filter(|(_, r)| fenced_by(r)).map(|(n, _)| n.as_str()).collect();
            if !owners.is_empty() && !owners.contains(&name.as_str()) {
                problems
                    .push(format!("{name} names {dependency}, which only {} may name", owners.join(" and ")));
            }
        }
    }
    for name in rows.keys().filter(|name| !crates.contains_key(*name)) {
        problems.push(format!("{name} has a row, and is no crate of the workspace"));
    }
    problems.sort();
    problems
}

/// `arrow-array` is fenced in with `arrow`.
fn is_of_family(dependency: &str, only: &str) -> bool {
    dependency.strip_prefix(only).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn read_table(text: &str) -> Result<BTreeMap<String, Row>, String> {
    let mut lines = text.lines().skip_while(|line| line.trim() != HEADER);
    if lines.next().is_none() {
        return Err(format!("there is no table with the header `{HEADER}`"));
    }
    let names = |cell: &str| -> BTreeSet<String> {
        let names = cell.split(',').map(|name| name.trim().trim_matches('`').to_owned());
        names.filter(|name| name != "-" && !name.is_empty()).collect()
    };
    let mut rows = BTreeMap::new();
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').collect();
        let [name, may_depend_on, only_here] = cells[..] else {
            return Err(format!("a row must have three cells: {line}"));
        };
        let row = Row { may_depend_on: names(may_depend_on), only_here: names(only_here) };
        rows.insert(name.trim().trim_matches('`').to_owned(), row);
    }
    Ok(rows)
}

fn read_metadata() -> BTreeMap<String, Crate> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
            let folder = folder.strip_prefix(root()).unwrap().to_owned();
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let dependencies =
                dependencies.filter(|d| d["kind"] != "dev").map(|d| d["name"].as_str().unwrap().to_owned());
            (
                package["name"].as_str().unwrap().to_owned(),
                Crate { folder, dependencies: dependencies.collect() },
            )
        })
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
