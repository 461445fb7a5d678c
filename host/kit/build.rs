//! Puts the templates of `tamis plugin new` and the SDKs into the crate, as tables of paths and contents.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What tools leave beside sources.
const LEFTOVERS: [&str; 8] =
    ["node_modules", "target", "__pycache__", ".venv", ".zig-cache", "zig-out", ".pytest_cache", "build"];
/// An SDK's own tests are of no use to a plugin.
const TESTS: [&str; 2] = ["test", "tests"];

fn main() {
    let kit = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("embedded.rs");
    let root = kit.join("../..");
    let sdk = |path: &Path| !(is_leftover(path) || is_test(path));
    let mut text = String::new();
    for (name, folder, keep) in [
        ("TEMPLATES", kit.join("templates"), &(|path: &Path| !is_leftover(path)) as &dyn Fn(&Path) -> bool),
        ("SDKS", root.join("sdk-wit"), &sdk),
        ("EVENT", root.join("host/event"), &sdk),
    ] {
        let mut files = Vec::new();
        collect(&folder, Path::new(""), keep, &mut files);
        files.sort();
        writeln!(text, "pub static {name}: &[(&str, &[u8])] = &[").expect("memory takes it");
        for (path, file) in files {
            writeln!(text, "    ({path:?}, include_bytes!({file:?})),").expect("memory takes it");
        }
        text.push_str("];\n");
    }
    for (name, file) in [("WORKSPACE", "Cargo.toml"), ("LOCK", "Cargo.lock")] {
        let file = root.join(file).canonicalize().expect("the workspace has both");
        println!("cargo::rerun-if-changed={}", file.display());
        writeln!(text, "pub static {name}: &str = include_str!({file:?});").expect("memory takes it");
    }
    std::fs::write(out, text).expect("cargo made the folder for it");
}

/// All files below `folder`, with the paths that they shall have.
fn collect(folder: &Path, below: &Path, keep: &dyn Fn(&Path) -> bool, files: &mut Vec<(String, PathBuf)>) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let path = below.join(entry.file_name());
        if !keep(&path) {
            continue;
        }
        // Links are followed: a copy must be whole.
        let file = entry.path().canonicalize().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if file.is_dir() {
            collect(&file, &path, keep, files);
        } else {
            println!("cargo::rerun-if-changed={}", file.display());
            files.push((path.to_str().expect("names here are ASCII").to_owned(), file));
        }
    }
}

fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    LEFTOVERS.contains(&name) || name.ends_with(".pyc")
}

/// `LANGUAGE/tests`, or a file that Go compiles for tests only.
fn is_test(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    (path.components().count() == 2 && TESTS.contains(&name)) || name.ends_with("_test.go")
}
