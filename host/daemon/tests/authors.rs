//! An author's day at the command line: begin a plugin, test it, build it; and what is said when something is missing or wrong.
#![allow(clippy::unwrap_used, reason = "a test that can not go on ends")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const KINDS: [&str; 4] = ["filter", "sampler", "scrubber", "fingerprinter"];
const LANGUAGES: [&str; 7] = ["rust", "go", "python", "js", "ts", "c", "zig"];

fn tamis(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    command.current_dir(dir).args(args);
    command
}

/// Exit code, standard output, standard error.
fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    said(&tamis(dir, args).output().unwrap())
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Whether something was not filled in. What GitHub fills in begins with a dollar.
fn has_placeholder(text: &str) -> bool {
    text.match_indices("{{").any(|(at, _)| {
        let rest = &text[at + 2..];
        let is_name = rest
            .split("}}")
            .next()
            .is_some_and(|name| matches!(name, "name" | "Name" | "name_snake" | "kind" | "tamis_version"));
        is_name && !text[..at].ends_with('$')
    })
}

#[test]
fn every_language_has_every_kind() {
    let dir = tempfile::tempdir().unwrap();
    for (lang, kind) in LANGUAGES.iter().flat_map(|lang| KINDS.map(|kind| (*lang, kind))) {
        let name = format!("my-{lang}-{kind}");
        let (code, out, err) = run(dir.path(), &["plugin", "new", &name, "--kind", kind, "--lang", lang]);
        assert_eq!(code, 0, "{err}");
        assert!(out.starts_with(&format!("{name}: a {kind} in {lang}, ")), "{out}");
        assert!(out.ends_with("  tamis plugin test .\n") && out.lines().count() >= 4, "{out}");
        let plugin = dir.path().join(&name);
        for file in [
            "plugin.toml",
            "README.md",
            ".gitignore",
            ".github/workflows/plugin.yml",
            "tests/config.json",
            "tests/example.json",
            "tests/example.expect.json",
            "sdk/TAMIS_VERSION",
        ] {
            assert!(plugin.join(file).is_file(), "{name} has no {file}");
        }
        let own = files(&plugin);
        for path in own.iter().filter(|path| !path.starts_with(plugin.join("sdk"))) {
            let text = fs::read_to_string(path).unwrap();
            let is_filled = !has_placeholder(&text) && path.extension() != Some("tmpl".as_ref());
            assert!(is_filled, "{}", path.display());
        }
        let (code, _, err) = said(&tamis(&plugin, &["plugin", "build"]).env_clear().output().unwrap());
        assert_eq!(code, 1);
        assert!(err.contains(" is not installed: run `") && err.ends_with("`\n"), "{lang}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name, lang| ["plugin", "new", name, "--kind", "filter", "--lang", lang];
    fs::create_dir(dir.path().join("full")).unwrap();
    fs::write(dir.path().join("full/x"), "").unwrap();
    for (args, code, want) in [
        (of("Drop_noisy", "c"), 1, "error: the name is \"Drop_noisy\", and must be of a-z, 0-9 and single -"),
        (of("../x", "c"), 1, "error: the name is \"../x\", and must be"),
        (of("match", "rust"), 1, "error: the name is \"match\", which means something else in Rust"),
        (of("full", "c"), 1, "error: full: there is something in it already: name another folder with --dir"),
        (
            of("a", "cobol"),
            2,
            "must be one of rust, go, python, js, ts, c, zig (for any other language see docs/plugins/any.md)",
        ),
    ] {
        let (found, out, err) = run(dir.path(), &args);
        assert_eq!((found, out.as_str()), (code, ""), "{args:?}");
        assert!(err.contains(want), "{want} is not in\n{err}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was made");

    let plugin = dir.path().join("full");
    let toml = |text: &str| fs::write(plugin.join("plugin.toml"), text).unwrap();
    let (code, _, err) = run(dir.path(), &["plugin", "build", "full"]);
    assert_eq!(code, 1);
    assert!(err.starts_with("error: full: there is no plugin.toml, and no Cargo.toml either"), "{err}");
    toml("[plugin]\nname = \"a\"\nkind = \"filter\"\nlanguage = \"c\"\nreads = \"release\"\n");
    let (_, _, err) = run(dir.path(), &["plugin", "build", "full"]);
    assert!(err.starts_with("error: full/plugin.toml:5: invalid type: string"), "{err}");
    toml("[plugin]\nname = \"a\"\nkind = \"filter\"\nlanguage = \"c\"\n");
    let (_, _, err) = run(dir.path(), &["plugin", "upgrade", "full"]);
    assert!(err.contains("is no copy of an SDK that `tamis plugin new` wrote"), "{err}");
}

#[test]
fn an_sdk_is_renewed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["plugin", "new", "a", "--kind", "filter", "--lang", "c"]);
    let path = |name: &str| dir.path().join("a").join(name);
    let whole = fs::read(path("sdk/tamis.h")).unwrap();
    fs::write(path("sdk/TAMIS_VERSION"), "0.0.9\n").unwrap();
    fs::write(path("sdk/tamis.h"), "old").unwrap();
    fs::write(path("sdk/gone.h"), "old").unwrap();
    fs::write(path("src/plugin.c"), "mine").unwrap();
    let (code, out, err) = run(dir.path(), &["plugin", "upgrade", "a"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.ends_with(&format!("0.0.9 before, {} now\n", env!("CARGO_PKG_VERSION"))), "{out}");
    assert_eq!(fs::read(path("sdk/tamis.h")).unwrap(), whole);
    assert!(!path("sdk/gone.h").exists());
    assert_eq!(fs::read_to_string(path("src/plugin.c")).unwrap(), "mine");
    let mut names: Vec<_> = fs::read_dir(path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name.starts_with("sdk"));
    assert_eq!(names, ["sdk"], "nothing is left behind");
}

/// A folder that stays from run to run, with all that cargo has built for it: an SDK that has not changed is not built again.
fn bench_of_authors() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("authors/plugin")
}

/// Begins a plugin in Rust in that folder.
fn begin(kind: &str) -> PathBuf {
    let plugin = bench_of_authors();
    let fresh = plugin.with_file_name("fresh");
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh).unwrap();
    let dir = fresh.to_str().unwrap();
    let (code, _, err) = run(
        &fresh,
        &["plugin", "new", &format!("my-{kind}"), "--kind", kind, "--lang", "rust", "--dir", dir],
    );
    assert_eq!(code, 0, "{err}");
    let contents = |dir: &Path| {
        let read = |path: PathBuf| (path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap());
        let mut all: Vec<_> = files(dir).into_iter().map(read).collect();
        all.sort();
        all
    };
    let (old, new) = (plugin.join("sdk"), fresh.join("sdk"));
    match old.is_dir() && contents(&old) == contents(&new) {
        true => fs::remove_dir_all(&new).unwrap(),
        false => {
            let _ = fs::remove_dir_all(&plugin);
            fs::create_dir_all(&plugin).unwrap();
        }
    }
    for entry in fs::read_dir(&fresh).unwrap() {
        let name = entry.unwrap().file_name();
        let to = plugin.join(&name);
        if to.is_dir() {
            fs::remove_dir_all(&to).unwrap();
        }
        fs::rename(fresh.join(&name), to).unwrap();
    }
    plugin
}

/// The SDK for Rust is vendored: it has to build outside of this workspace, with the versions of its lock file.
#[test]
fn a_plugin_in_rust_works_as_it_was_made() {
    for kind in KINDS {
        let plugin = begin(kind);
        let lock = fs::read_to_string(plugin.join("Cargo.lock")).unwrap();
        let cargo =
            Command::new(env!("CARGO")).current_dir(&plugin).args(["test", "--lib"]).output().unwrap();
        let (code, out, err) = said(&cargo);
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains("mistakes_are_named ... ok") && out.contains("2 passed"), "{out}");
        let (code, out, err) = run(&plugin, &["plugin", "test", "."]);
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains("ok     tests/example.json") && out.ends_with("1 passed\n"), "{out}");
        let (code, out, err) = run(&plugin, &["plugin", "build", "--json"]);
        assert_eq!(code, 0, "{err}");
        let built: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&built["path"], &built["kind"]),
            (&format!("target/my-{kind}.wasm").into(), &kind.into())
        );
        // Cargo may leave out what it does not need of the lock file; it may not change a version.
        let now = fs::read_to_string(plugin.join("Cargo.lock")).unwrap();
        let news: Vec<&str> =
            now.lines().filter(|line| line.starts_with("version") && !lock.contains(line)).collect();
        assert_eq!(news, [""; 0]);
    }
}

/// `examples/any-language`, as its Makefile and docs/plugins/any.md have it: bindings, a compiler, the encoder.
#[test]
fn a_language_without_an_sdk_works() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/any-language");
    let tamis = format!("TAMIS={}", env!("CARGO_BIN_EXE_tamis"));
    let mut make = Command::new("make");
    // Under another make it would say where it is.
    make.current_dir(&dir).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    let (code, out, err) = said(&make.args(["clean", "test", &tamis]).output().unwrap());
    let hint = "(it needs: apt-get install make clang lld wasi-libc libclang-rt-dev-wasm32)";
    assert_eq!(code, 0, "{out}{err}{hint}");
    assert!(out.ends_with("ok     tests/probes.json (6 events)\ndrop-probes: 1 passed\n"), "{out}");
    let module = dir.join("target/drop-probes.core.wasm");
    let args = ["plugin", "build", module.to_str().unwrap(), "--kind", "sampler"];
    let (code, _, err) = run(&dir, &args);
    assert!(code == 1 && err.starts_with("error: "), "it is a filter: {err}");
}

/// The code of docs/plugins/rust.md is what `tamis plugin new` makes, to the letter.
#[test]
fn the_page_about_rust_shows_what_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) =
        run(dir.path(), &["plugin", "new", "drop-noisy", "--kind", "filter", "--lang", "rust"]);
    assert_eq!(code, 0, "{err}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plugins/rust.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("\n```rust\n").skip(1).map(|rest| rest.split("\n```\n").next().unwrap());
    let shown = blocks.collect::<Vec<_>>().join("\n\n") + "\n";
    assert_eq!(shown, fs::read_to_string(dir.path().join("drop-noisy/src/lib.rs")).unwrap());
    assert!(page.contains(&out), "{out}");
}

#[test]
fn help_teaches() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["new", "build", "test", "run", "bench", "inspect", "columns", "bindings", "upgrade"] {
        let (code, out, _) = run(dir.path(), &["plugin", command, "--help"]);
        assert_eq!(code, 0);
        let example = out.split_once("Example").map(|(_, example)| example).unwrap_or_default();
        assert!(example.contains(&format!("tamis plugin {command}")), "{command}: {out}");
    }
}

/// What the compiler says comes through as it is, and what no plugin has is named.
#[test]
fn what_a_compiler_says_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["plugin", "new", "a", "--kind", "filter", "--lang", "c"]);
    let source = dir.path().join("a/src/plugin.c");
    let whole = fs::read_to_string(&source).unwrap();
    let build = |added: &str| {
        fs::write(&source, whole.clone() + added).unwrap();
        run(dir.path(), &["plugin", "build", "a"])
    };
    let (code, out, err) = build("int broken = ;\n");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("error: expected expression\nint broken = ;\n"), "{err}");
    assert!(err.contains("\nerror: the C compiler failed"), "{err}");
    let steal = "__attribute__((import_module(\"env\"), import_name(\"steal\"))) void steal(void);\n\
                 __attribute__((constructor)) static void go(void) { steal(); }\n";
    let (code, _, err) = build(steal);
    assert!(
        code == 1 && err.contains("error: the module imports env::steal: a plugin has no files"),
        "{err}"
    );
    let toml = dir.path().join("a/plugin.toml");
    fs::write(&toml, fs::read_to_string(&toml).unwrap().replace("\"filter\"", "\"sampler\"")).unwrap();
    let (code, _, err) = build("");
    assert!(
        code == 1 && err.contains("error: it is called a sampler, and what was built is a filter"),
        "{err}"
    );
    assert!(!dir.path().join("a/target/a.wasm").exists());
}
