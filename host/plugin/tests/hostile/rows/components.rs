//! Components that are bad before they run, and caches that somebody touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use host_pipeline::StageKind;

use super::{Ends, Row, filter, of_bytes, row, sampler};
use crate::guests::{bare_module, filter_component};

fn bytes(
    name: &'static str,
    limit: &'static str,
    ends: Ends,
    error: &'static str,
    component: Vec<u8>,
) -> Row {
    of_bytes(name, limit, ends, error, StageKind::Filter, component)
}

fn text(component: &str) -> Vec<u8> {
    wat::parse_str(component).unwrap()
}

pub fn rows() -> Vec<Row> {
    let mut rows = broken();
    rows.extend(foreign());
    rows.extend(large());
    rows.extend(with_handles());
    rows
}

fn broken() -> Vec<Row> {
    let good = filter().component();
    let half = good[..good.len() / 2].to_vec();
    let flipped: Vec<u8> =
        good.iter().enumerate().map(|(at, b)| if at % 97 == 96 { !b } else { *b }).collect();
    let noise: Vec<u8> = (0..10_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let refused = "the component is refused: this is not WebAssembly: ";
    vec![
        bytes("is empty", "the format", Ends::Refused, refused, Vec::new()),
        bytes("is noise", "the format", Ends::Refused, refused, noise),
        bytes("is truncated", "the format", Ends::Refused, refused, half),
        bytes("has every hundredth byte flipped", "the format", Ends::Refused, "", flipped),
        bytes("is a core module", "the format", Ends::Refused, "this is a core module", filter().module()),
        bytes(
            "shares a memory between threads",
            "the format",
            Ends::Refused,
            "compiling failed: ",
            text(
                r#"(component (core module (memory 1 1 shared)) (instance $i) (export "tamis:plugin/filtering@0.1.0" (instance $i)))"#,
            ),
        ),
        bytes(
            "is larger than the largest",
            "component_bytes_max",
            Ends::Refused,
            "more than 67108864 (component_bytes_max)",
            padded(good, 64 << 20),
        ),
    ]
}

/// With a custom section of so many bytes.
fn padded(mut component: Vec<u8>, size: usize) -> Vec<u8> {
    let content = size + 2;
    component.push(0);
    push_leb(content, &mut component);
    component.extend_from_slice(&[1, b'x']);
    component.resize(component.len() + size, 0);
    component
}

fn push_leb(mut value: usize, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn foreign() -> Vec<Row> {
    let export = r#"(instance $i) (export "tamis:plugin/filtering@0.1.0" (instance $i))"#;
    let importing = |import: &str| text(&format!("(component {import} {export})"));
    let named = |name: &str| importing(&format!(r#"(import "{name}" (instance))"#));
    let long = format!("a:b/{}", "c".repeat(90_000));
    let many: String = (0..1000).map(|n| format!(r#"(import "a:b/c{n}" (instance))"#)).collect();
    vec![
        bytes(
            "imports WASI",
            "what is linked",
            Ends::Refused,
            "the component imports WASI (wasi:sockets/tcp@0.2.0)",
            named("wasi:sockets/tcp@0.2.0"),
        ),
        bytes(
            "imports something that no host has",
            "what is linked",
            Ends::Refused,
            "the component imports a:b/c, which no Tamis host has",
            named("a:b/c"),
        ),
        bytes(
            "imports a name of ninety kilobytes",
            "cut names",
            Ends::Refused,
            "cccc, which no Tamis host has",
            named(&long),
        ),
        bytes(
            "imports a thousand things",
            "cut names",
            Ends::Refused,
            "a:b/c7 and 992 more, which no Tamis host has",
            importing(&many),
        ),
        bytes(
            "imports a function of ours that is not there",
            "what is linked",
            Ends::Refused,
            "the component does not fit the interface: ",
            importing(r#"(import "tamis:plugin/batch@0.1.0" (instance (export "steal" (func))))"#),
        ),
        bytes(
            "imports a resource in our name",
            "what is linked",
            Ends::Refused,
            "the component does not fit the interface: ",
            importing(
                r#"(import "tamis:plugin/batch@0.1.0" (instance (export "event" (type (sub resource)))))"#,
            ),
        ),
        bytes(
            "exports nothing of a plugin",
            "the interface",
            Ends::Refused,
            "the component exports none of the plugin interfaces",
            text("(component)"),
        ),
        bytes(
            "is of another kind",
            "the interface",
            Ends::Refused,
            "it is a sampler, not a filter",
            sampler().component(),
        ),
        bytes(
            "exports an `init` of another type",
            "the interface",
            Ends::Refused,
            "",
            text(
                r#"(component (core module $m (func (export "f") (result i32) (i32.const 7)))
                    (core instance $c (instantiate $m))
                    (func $f (result u32) (canon lift (core func $c "f")))
                    (instance $i (export "init" (func $f)) (export "filter" (func $f)))
                    (export "tamis:plugin/filtering@0.1.0" (instance $i)))"#,
            ),
        ),
        row(
            "refuses its configuration with a megabyte",
            "log_line_bytes_max",
            Ends::Refused,
            "the plugin refuses its configuration: nnnn",
            {
                filter().pages("20").init(
                    "(memory.fill (i32.const 65536) (i32.const 110) (i32.const 1000000))
                 (i32.store (i32.const 128) (i32.const 1)) (i32.store (i32.const 132) (i32.const 65536))
                 (i32.store (i32.const 136) (i32.const 1000000))",
                )
            },
        ),
    ]
}

/// Components within each other.
fn nested(levels: usize) -> Vec<u8> {
    let header = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
    let mut component = header.to_vec();
    for _ in 0..levels {
        let mut outer = header.to_vec();
        outer.push(4);
        push_leb(component.len(), &mut outer);
        outer.extend_from_slice(&component);
        component = outer;
    }
    let export = text(r#"(component (instance $i) (export "tamis:plugin/filtering@0.1.0" (instance $i)))"#);
    component.extend_from_slice(&export[header.len()..]);
    component
}

fn large() -> Vec<Row> {
    let functions: String = (0..100_000).map(|n| format!("(func (result i32) (i32.const {n}))")).collect();
    let line = "(local.set 1 (i32.add (local.get 1) (i32.load (i32.div_u (local.get 0) (local.get 1)))))";
    let slow = format!("(func (param i32) (local i32) {})", line.repeat(200_000));
    let doubled: String = (1..24)
        .map(|n| {
            format!("(component $c{n} (instance (instantiate $c{0})) (instance (instantiate $c{0})))", n - 1)
        })
        .collect();
    let doubled = format!(
        r#"(component (component $c0 (core module $m) (core instance (instantiate $m))) {doubled} (instance (instantiate $c23))
            (instance $i) (export "tamis:plugin/filtering@0.1.0" (instance $i)))"#
    );
    let types: String = (1..60).map(|n| format!("(type $t{n} (tuple $t{0} $t{0}))", n - 1)).collect();
    let types = format!(
        r#"(component (type $t0 (tuple u64 u64)) {types} (instance $i) (export "tamis:plugin/filtering@0.1.0" (instance $i)))"#
    );
    let instances = "(core module $e) ".to_owned() + &"(core instance (instantiate $e)) ".repeat(900);
    let child = |row: Row, cpu| Row { child: Some(cpu), ..row };
    vec![
        child(
            row(
                "has 100,000 functions",
                "compile_cpu_seconds_max",
                Ends::Contained,
                "",
                filter().item(functions),
            ),
            "60",
        ),
        child(
            row(
                "takes minutes to compile",
                "compile_cpu_seconds_max",
                Ends::Refused,
                "(compile_cpu_seconds_max)",
                filter().item(slow),
            ),
            "1",
        ),
        child(
            bytes(
                "has sixteen million components by doubling",
                "the compiler's process",
                Ends::Refused,
                "compiling failed: ",
                text(&doubled),
            ),
            "2",
        ),
        child(
            bytes(
                "has a hundred thousand components within each other",
                "the compiler's process",
                Ends::Refused,
                "compiling failed: ",
                nested(100_000),
            ),
            "5",
        ),
        child(
            bytes(
                "has a type of 2^60 parts",
                "the compiler's process",
                Ends::Refused,
                "compiling failed: ",
                text(&types),
            ),
            "5",
        ),
        bytes(
            "has nine hundred instances",
            "instances_max",
            Ends::Init("instances"),
            "more than 64 core instances, memories or tables (instances_max)",
            filter_component(&instances, &bare_module("", ""), "", ""),
        ),
    ]
}

fn with_handles() -> Vec<Row> {
    let resource = "(type $r (resource (rep i32)))
        (core func $new (canon resource.new $r)) (core func $drop (canon resource.drop $r)) (core func $rep (canon resource.rep $r))
        (core instance $of-r (export \"new\" (func $new)) (export \"drop\" (func $drop)) (export \"rep\" (func $rep)))";
    let imports = r#"(import "r" "new" (func $new (param i32) (result i32))) (import "r" "drop" (func $drop (param i32)))
        (import "r" "rep" (func $rep (param i32) (result i32)))"#;
    let with = r#"(with "r" (instance $of-r))"#;
    let holder = |call: &str| filter_component(resource, &bare_module(imports, call), with, "");
    let again = r#"(func $poke (canon lift (core func $c "poke"))) (core func $poke-again (canon lower (func $poke)))
        (core module $patch (import "c" "t" (table 1 funcref)) (import "c" "poke" (func $f)) (elem (i32.const 0) func $f))
        (alias core export $c "t" (core table $t)) (core instance $of-c (export "t" (table $t)) (export "poke" (func $poke-again)))
        (core instance (instantiate $patch (with "c" (instance $of-c))))"#;
    let poked = bare_module("", "(call_indirect (type $nothing) (i32.const 0))")
        + r#"(type $nothing (func)) (table (export "t") 1 funcref) (func (export "poke"))"#;
    vec![
        bytes(
            "leaks handles",
            "handles_max",
            Ends::Faults("handles"),
            "more than 1024 handles of resources (handles_max)",
            holder("(loop $l (drop (call $new (i32.const 7))) (br $l))"),
        ),
        bytes(
            "uses a handle after it dropped it",
            "a trap",
            Ends::Faults("wrong-answer"),
            "handle",
            holder(
                "(local i32) (local.set 0 (call $new (i32.const 7))) (call $drop (local.get 0)) (drop (call $rep (local.get 0)))",
            ),
        ),
        bytes(
            "drops a handle twice",
            "a trap",
            Ends::Faults("wrong-answer"),
            "handle",
            holder(
                "(local i32) (local.set 0 (call $new (i32.const 7))) (call $drop (local.get 0)) (call $drop (local.get 0))",
            ),
        ),
        bytes(
            "enters itself again through its own edge",
            "no re-entry",
            Ends::Faults("trap"),
            "cannot enter component instance",
            filter_component("", &poked, "", again),
        ),
    ]
}

pub fn cache() -> Vec<Row> {
    let touched =
        |name, limit, tamper| Row { tamper: Some(tamper), ..row(name, limit, Ends::Contained, "", filter()) };
    vec![
        touched("has one bit of its compiled code changed", "the keyed hash", |dir| {
            let path = artefact(dir);
            let mut code = fs::read(&path).unwrap();
            let middle = code.len() / 2;
            code[middle] ^= 1;
            fs::write(path, code).unwrap();
        }),
        touched("has its compiled code cut short", "the keyed hash", |dir| {
            let path = artefact(dir);
            let code = fs::read(&path).unwrap();
            fs::write(path, &code[..code.len() / 3]).unwrap();
        }),
        touched("has its compiled code replaced by that of another key", "the keyed hash", |dir| {
            fs::write(dir.join("key"), [7; 32]).unwrap();
            fs::set_permissions(dir.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
        }),
        touched("has a key that others could read", "the key's mode", |dir| {
            fs::set_permissions(dir.join("key"), fs::Permissions::from_mode(0o644)).unwrap();
        }),
    ]
}

pub fn artefact(dir: &Path) -> std::path::PathBuf {
    let mut paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.find(|path| path.extension().is_some_and(|extension| extension == "aot")).unwrap()
}
