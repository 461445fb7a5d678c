//! Compiles in a child process. The test is its own child, so it has no harness: called with `compile` it is the compiler.

#![allow(clippy::unwrap_used, reason = "it is a test, without the harness that says so")]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use host_pipeline::StageKind;
use host_plugin::{Compile, CompileCommand, Limits, Runtime, RuntimeConfig, StageFactory, StageSpec};
use rustix::process::{Resource, Rlimit, setrlimit};

fn main() -> ExitCode {
    // `compile DATA CPU` is the compiler, under tighter limits than its own.
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [compile, data, cpu] = &args[..]
        && compile == "compile"
    {
        if std::env::vars_os().any(|(name, _)| name != "LD_LIBRARY_PATH") {
            std::io::stderr().write_all(b"the compiler has the host's environment").unwrap();
            return ExitCode::FAILURE;
        }
        tighten(Resource::Data, data);
        tighten(Resource::Cpu, cpu);
        return host_plugin::compile_child_main();
    }
    a_child_compiles();
    a_compiler_that_uses_too_much_is_stopped();
    a_missing_compiler_is_named();
    ExitCode::SUCCESS
}

const PLENTY: [&str; 3] = ["compile", "2000000000", "100"];

fn tighten(resource: Resource, maximum: &str) {
    let maximum = maximum.parse().ok();
    setrlimit(resource, Rlimit { current: maximum, maximum }).unwrap();
}

fn load(component: Vec<u8>, program: &Path, args: [&str; 3]) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let command = CompileCommand { program: program.into(), args: args.map(String::from).into() };
    let clock = Arc::new(Instant::now);
    let config = RuntimeConfig {
        cache_dir: dir.path().into(),
        compile: Compile::Child(command),
        clock,
        perf_map: false,
    };
    let spec = StageSpec {
        name: "under-test".into(),
        kind: StageKind::Filter,
        component: component.into(),
        version: "1".into(),
        generation: 1,
        config_json: "null".into(),
        reads: "**".into(),
        writes: "**".into(),
        limits: Limits::default(),
    };
    let loaded = StageFactory::load(spec, &Runtime::new(config).unwrap()).map(|_| ());
    loaded.map_err(|e| e.to_string())
}

fn itself() -> std::path::PathBuf {
    std::env::current_exe().unwrap()
}

fn a_child_compiles() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/mischief.wat");
    let component = host_kit::encode_as(StageKind::Filter, &wat::parse_file(path).unwrap()).unwrap();
    assert_eq!(load(component, &itself(), PLENTY), Ok(()));
}

/// Small to write, and long work for a compiler: one function of 200,000 loads and divisions.
fn a_compiler_that_uses_too_much_is_stopped() {
    let line = "(local.set 1 (i32.add (local.get 1) (i32.load (i32.div_u (local.get 0) (local.get 1)))))";
    let function = format!("(func (param i32) (local i32) {})", line.repeat(200_000));
    let component = format!(
        r#"(component (core module $m (memory 1) {function}) (core instance $c (instantiate $m)) (instance $i)
            (export "tamis:plugin/filtering@0.1.0" (instance $i)))"#
    );
    let component = wat::parse_str(component).unwrap();
    let table = [
        (["compile", "100000000", "100"], "memory allocation"),
        (["compile", "2000000000", "1"], "the compiler was stopped by signal 9: it may use "),
    ];
    for (args, want) in table {
        let error = load(component.clone(), &itself(), args).unwrap_err();
        assert!(error.contains("stage under-test: compiling failed: "), "{error}");
        assert!(error.contains(want), "{args:?}: {error}");
    }
}

fn a_missing_compiler_is_named() {
    let component =
        wat::parse_str(r#"(component (instance $i) (export "tamis:plugin/filtering@0.1.0" (instance $i)))"#);
    let error = load(component.unwrap(), Path::new("/nowhere/tamis"), PLENTY).unwrap_err();
    assert!(error.contains("compiling failed: \"/nowhere/tamis\" can not be started"), "{error}");
}
