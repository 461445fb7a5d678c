//! A first-party plugin becomes a component, and a component says what it is.

use std::fs;
use std::path::Path;
use std::process::Command;

use host_kit::{About, DebugInfo, KitError, build, build_with, encode, encode_as, inspect};
use host_pipeline::StageKind;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn builds_a_plugin_that_imports_nothing_but_tamis() {
    let out = tempfile::tempdir().unwrap();
    let built = build(&repository().join("plugins/inbound-filters"), out.path()).unwrap();
    assert_eq!(built.path, out.path().join("inbound-filters.wasm"));
    let bytes = std::fs::read(&built.path).unwrap();
    assert_eq!(bytes.len(), built.bytes);
    assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());
    let found = inspect(&bytes).unwrap();
    assert_eq!((found.kind, found.wasi, found.problem), (Some(StageKind::Filter), false, None));
    assert!(found.imports.iter().all(|name| name.starts_with("tamis:plugin/")), "{:?}", found.imports);
    assert_eq!(found.exports, ["tamis:plugin/filtering@0.1.0"]);
    let About { name, version, .. } = found.about.unwrap();
    assert_eq!((name.as_str(), version.as_str()), ("inbound-filters", env!("CARGO_PKG_VERSION")));
    let leftover = std::fs::read_dir(out.path()).unwrap().count();
    assert_eq!(leftover, 1);
}

#[test]
fn says_what_is_no_plugin() {
    let table = [
        ("host/event", "package host-event makes no WebAssembly"),
        (".", "is of no package"),
        ("host", "there is no plugin.toml, and no Cargo.toml either"),
    ];
    let out = tempfile::tempdir().unwrap();
    for (dir, want) in table {
        let error = build(&repository().join(dir), out.path()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}

/// The blocks of a README in one language, one after the other.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = text.split("\n```");
    let mut found = Vec::new();
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        let (head, body) = block.split_once('\n').expect("a block has a line behind its language");
        if head == language {
            found.push(body.to_owned() + "\n");
        }
    }
    found
}

/// Copied literally, as a newcomer does, into a crate of their own that belongs to no workspace.
#[test]
fn the_readme_of_the_sdk_works_as_it_stands() {
    let readme = fs::read_to_string(repository().join("sdk-wit/rust/README.md")).unwrap();
    let (toml, code) = (&blocks(&readme, "toml")[0], blocks(&readme, "rust")[0].clone());
    let test = &blocks(&readme, "rust,ignore")[0];
    let sdk = repository().join("sdk-wit/rust").canonicalize().unwrap();
    let toml = toml.replace("../tamis/sdk-wit/rust", sdk.to_str().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        fs::write(dir.path().join(name), text).unwrap();
    };
    let package = "[package]\nname = \"drop-noisy\"\nversion = \"0.3.0\"\nedition = \"2024\"\n\n";
    file("Cargo.toml", &(package.to_owned() + &toml));
    file("src/lib.rs", &(code + test));
    // What is built for it stays from run to run, and its dependencies are the ones that are here already.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    file(".cargo/config.toml", &format!("[build]\ntarget-dir = {target:?}\n"));
    fs::copy(repository().join("Cargo.lock"), dir.path().join("Cargo.lock")).unwrap();

    let cargo = Command::new(env!("CARGO")).current_dir(dir.path()).args(["test", "--lib"]).output().unwrap();
    let said = String::from_utf8_lossy(&cargo.stdout).into_owned() + &String::from_utf8_lossy(&cargo.stderr);
    assert!(cargo.status.success() && said.contains("noisy_releases_go ... ok"), "{said}");
    let built = build(dir.path(), dir.path()).unwrap();
    let found = inspect(&fs::read(&built.path).unwrap()).unwrap();
    let about = found.about.unwrap();
    assert_eq!((found.kind, found.problem), (Some(StageKind::Filter), None));
    assert_eq!((about.name.as_str(), about.version.as_str()), ("drop-noisy", "0.3.0"));
    assert_eq!(about.reads, ["release"]);
}

/// Guests in WAT: what each imports, and what encoding it gives.
#[test]
fn encodes_with_the_closed_adapter() {
    let module = |imports: &str, start: &str| {
        let text = format!(
            r#"(module {imports} (memory (export "memory") 1) {start}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func (export "tamis:plugin/filtering@0.1.0#init") (param i32 i32) (result i32) (i32.const 0))
            (func (export "tamis:plugin/filtering@0.1.0#filter") (result i32) (i32.const 0)))"#
        );
        wat::parse_str(text).unwrap()
    };
    let imports = |bytes: &[u8]| inspect(bytes).unwrap().imports;
    let plain = module("", "");
    assert_eq!(imports(&encode_as(StageKind::Filter, &plain).unwrap()), [] as [&str; 0]);
    let printing = r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))"#;
    let printing = encode_as(StageKind::Filter, &module(printing, "")).unwrap();
    assert_eq!(imports(&printing), ["tamis:plugin/log@0.1.0"]);
    let files = r#"(import "wasi_snapshot_preview1" "path_open"
        (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#;
    // A library may name functions of files; what it gets of them is an error.
    let files = encode_as(StageKind::Filter, &module(files, "")).unwrap();
    assert_eq!(imports(&files), [] as [&str; 0]);
    let refused = [
        (
            encode_as(StageKind::Filter, &module("(import \"env\" \"steal\" (func))", "")),
            "the module imports env::steal: a plugin has",
        ),
        (encode_as(StageKind::Sampler, &plain), "it is called a sampler, and what was built is a filter"),
        (encode(&plain), "the component exports none of the plugin interfaces"),
        (encode(&printing), "this is no core module: it is a component already"),
        (encode(b"\0asm nonsense"), "this is no core module"),
    ];
    for (result, want) in refused {
        let error = result.err().unwrap_or_else(|| panic!("encoded: {want}"));
        let text = error.to_string();
        assert!(text.contains(want), "{text}");
        assert!(!matches!(error, KitError::Io { .. }));
    }
}

#[test]
fn lines_are_kept_for_tests_and_never_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let guest = repository().join("benches/guest");
    let sections = |debug| {
        let built = build_with(&guest, dir.path(), debug).unwrap();
        let bytes = fs::read(built.path).unwrap();
        let mut names = Vec::new();
        for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
            if let wasmparser::Payload::CustomSection(section) = payload.unwrap() {
                names.push(section.name().to_owned());
            }
        }
        names
    };
    let is_debug = |name: &String| name.starts_with(".debug");
    let (kept, dropped) = (sections(DebugInfo::Kept), sections(DebugInfo::Dropped));
    assert!(kept.contains(&".debug_line".to_owned()), "{kept:?}");
    assert!(!dropped.iter().any(is_debug) && dropped.contains(&"name".to_owned()), "{dropped:?}");
}
