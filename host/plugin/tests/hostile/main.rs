//! Guests that were written to do harm, and the table of what stops each of them. It is also its own compiler, as in `child.rs`,
//! and so has no harness: every row is a test with a line of its own.
//!
//! `cargo test -p host-plugin --test hostile -- WORD` runs the rows whose names have the word.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it is a test, without the harness that says so"
)]

mod document;
mod guests;
mod neighbour;
mod rows;
mod run;
#[path = "../it/support.rs"]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, setrlimit};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `compile CPU` is the compiler, under a tighter limit than its own.
    if let [compile, cpu] = &args[..]
        && compile == "compile"
    {
        let maximum = cpu.parse().ok();
        setrlimit(Resource::Cpu, Rlimit { current: maximum, maximum }).unwrap();
        return host_plugin::compile_child_main();
    }
    let word = args.iter().find(|arg| !arg.starts_with('-')).map_or("", String::as_str);
    let (passed, failed) = suite(word);
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn suite(word: &str) -> (usize, usize) {
    let (mut passed, mut failed) = (0, 0);
    let mut report = |name: &str, begun: Instant, ok: bool| {
        let result = if ok { "ok" } else { "FAILED" };
        println!("test {name} ... {result} <{:.2}s>", begun.elapsed().as_secs_f64());
        if ok { passed += 1 } else { failed += 1 }
    };
    let rows = rows::all();
    let suite = run::Suite::new();
    let neighbour = neighbour::Neighbour::start();
    for row in rows.iter().filter(|row| row.name.contains(word)) {
        let begun = Instant::now();
        let ok = passes(|| neighbour.beside(|| suite.run(row)));
        report(row.name, begun, ok);
    }
    if word.is_empty() {
        let begun = Instant::now();
        report("neighbours are as fast as alone", begun, passes(|| neighbour.compare()));
        report("the table in docs/security.md", begun, passes(|| document::check(&rows)));
    }
    (passed, failed)
}

/// What a row leaves behind when it panics is thrown away, or does not change.
fn passes(test: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(test)).is_ok()
}
