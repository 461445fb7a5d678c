//! Guests that take more than they are given: of time, of memory, and of the patience with which a failing batch is halved.

use std::time::Duration;

use host_pipeline::StageKind;

use super::{Counted, Ends, Row, filter, fingerprinter, row, scrubber};
use crate::guests::post_return;

const ENDLESS: &str = "(loop $l (br $l))";

pub fn time() -> Vec<Row> {
    let post = |kind, does: &str| format!(r#"(func (export "{}") (param i32) {does})"#, post_return(kind));
    let late = "no answer within ";
    let late_init = "no answer within 200ms (init_time_max)";
    let all = vec![
        row("loops in a call", "call_time_max", Ends::Faults("deadline"), late, filter().call(ENDLESS)),
        row("loops in `init`", "init_time_max", Ends::Init("deadline"), late_init, filter().init(ENDLESS)),
        row(
            "loops in the start function",
            "init_time_max",
            Ends::Init("deadline"),
            late_init,
            filter().item("(func $endless (loop $l (br $l))) (start $endless)"),
        ),
        row(
            "loops in allocation, while it gets a column",
            "call_time_max",
            Ends::Faults("deadline"),
            late,
            // The configuration of `init` must pass.
            filter()
                .item("(global $asked (mut i32) (i32.const 0))")
                .realloc("(if (global.get $asked) (then (loop $l (br $l)))) (call $alloc (local.get $size))")
                .call("(global.set $asked (i32.const 1)) (call $strings (i32.const 16) (i32.const 7) (i32.const 512))"),
        ),
        row(
            "loops in allocation, while it gets its configuration",
            "init_time_max",
            Ends::Init("deadline"),
            late_init,
            filter().realloc("(loop $l (br $l)) (i32.const 0)"),
        ),
        row(
            "loops after its answer (post-return)",
            "call_time_max",
            Ends::Faults("deadline"),
            late,
            scrubber().item(post(StageKind::Scrubber, ENDLESS)),
        ),
        row(
            "loops by tail calls",
            "call_time_max",
            Ends::Faults("deadline"),
            late,
            filter().item("(func $tail (return_call $tail))").call("(call $tail)"),
        ),
        row(
            "fills its memory again and again",
            "call_time_max",
            Ends::Faults("deadline"),
            late,
            filter().pages("100").forever("(memory.fill (i32.const 65536) (i32.const 7) (i32.const 6000000))"),
        ),
        row(
            "calls itself exponentially often",
            "call_time_max",
            Ends::Faults("deadline"),
            late,
            filter()
                .item(
                    "(func $twice (param i32) (if (local.get 0) (then
                        (call $twice (i32.sub (local.get 0) (i32.const 1)))
                        (call $twice (i32.sub (local.get 0) (i32.const 1))))))",
                )
                .call("(call $twice (i32.const 60))"),
        ),
    ];
    // Both are found, each after some halvings of 7 to 60 ms.
    let seventh = row(
        "loops for one event in seven",
        "call_time_max",
        Ends::SeventhFaults("deadline"),
        "no answer within ",
        filter().item(SEVENTH).call(format!("(if (call $seventh (local.get $n)) (then {ENDLESS}))")),
    );
    let seventh = seventh.hurried().with(|spec| spec.limits.isolation_time_max = Duration::from_secs(5));
    all.into_iter().map(Row::hurried).chain([seventh]).collect()
}

/// Whether a message of the batch begins with an `s`.
const SEVENTH: &str = "
    (func $seventh (param $n i32) (result i32) (local $i i32)
      (call $strings (i32.const 16) (i32.const 7) (i32.const 512))
      (loop $each
        (if (i32.load8_u (i32.add (i32.load (i32.const 512)) (local.get $i))) (then
          (if (i32.eq (i32.const 0x73) (i32.load8_u (i32.add (i32.load (i32.const 528))
              (i32.load (i32.add (i32.load (i32.const 520)) (i32.mul (local.get $i) (i32.const 4)))))))
            (then (return (i32.const 1))))))
        (br_if $each (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
      (i32.const 0))";

pub fn space() -> Vec<Row> {
    let memory = "more than 16777216 bytes of memory (memory_bytes_max)";
    let table = "more than 10000 elements of tables (table_elements_max)";
    let stack = "more than 524288 bytes of stack (stack_bytes_max)";
    let recurse = "(func $down (param i32) (result i32)
        (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (local.get 0)))";
    let wide = format!(
        "(func $wide (param i64) (result i64) (local {}) (call $wide (i64.add (local.get 0) (i64.const 1))) {})",
        "i64 ".repeat(1000),
        (1..1000).map(|local| format!("(local.get {local}) (i64.add)")).collect::<String>()
    );
    let tables =
        |count, size| (0..count).map(|n| format!("(table $t{n} {size} funcref)")).collect::<String>();
    vec![
        row(
            "grows its memory in a loop",
            "memory_bytes_max",
            Ends::Faults("memory"),
            memory,
            filter().forever("(if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))"),
        ),
        row("has 4 GiB of memory from the start", "memory_bytes_max", Ends::Init("memory"), memory, filter().pages("65536")),
        row(
            "has sixty memories of 1 MiB",
            "memory_bytes_max",
            Ends::Init("memory"),
            memory,
            filter().item((0..60).map(|n| format!("(memory $m{n} 16)")).collect::<String>()),
        ),
        row(
            "has a hundred empty memories",
            "instances_max",
            Ends::Init("instances"),
            "more than 64 core instances, memories or tables (instances_max)",
            filter().item((0..99).map(|n| format!("(memory $m{n} 0)")).collect::<String>()),
        ),
        row(
            "allocates in `init` until nothing is left",
            "memory_bytes_max",
            Ends::Init("memory"),
            memory,
            filter().init("(loop $l (drop (call $alloc (i32.const 1000000))) (br $l))"),
        ),
        row(
            "asks for more memory than it declares, again and again",
            "its own declaration",
            Ends::Contained,
            "",
            filter().pages("2 3").call(
                "(local.set $i (i32.const 1000))
                 (loop $l (drop (memory.grow (i32.const 100)))
                    (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))",
            ),
        ),
        row(
            "leaks a megabyte a call",
            "memory_bytes_recycle",
            Ends::Contained,
            "",
            filter().call("(drop (memory.grow (i32.const 16)))"),
        )
        .with(|spec| spec.limits.memory_bytes_recycle = 3 << 20)
        .counted(Counted::Restarts),
        row(
            "grows a table in a loop",
            "table_elements_max",
            Ends::Faults("table"),
            table,
            filter().item("(table $t 1 funcref)").forever(
                "(if (i32.eq (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)) (then unreachable))",
            ),
        ),
        row(
            "has a table of four billion elements",
            "table_elements_max",
            Ends::Init("table"),
            table,
            filter().item("(table $t 4294967295 funcref)"),
        ),
        row(
            "has forty tables that together are too large",
            "table_elements_max",
            Ends::Init("table"),
            table,
            filter().item(tables(40, 300)),
        ),
        row("recurses without end", "stack_bytes_max", Ends::Faults("stack"), stack, filter().item(recurse).call("(drop (call $down (i32.const 0)))")),
        row("recurses in `init`", "stack_bytes_max", Ends::Init("stack"), stack, filter().item(recurse).init("(drop (call $down (i32.const 0)))")),
        row("recurses with a thousand locals", "stack_bytes_max", Ends::Faults("stack"), stack, fingerprinter().item(wide).call("(drop (call $wide (i64.const 0)))")),
        row(
            "recurses in allocation, below a call of the host",
            "stack_bytes_max",
            Ends::Faults("stack"),
            stack,
            filter()
                .item(recurse)
                .item("(global $asked (mut i32) (i32.const 0))")
                .realloc("(if (global.get $asked) (then (drop (call $down (i32.const 0))))) (call $alloc (local.get $size))")
                .call("(global.set $asked (i32.const 1)) (call $strings (i32.const 16) (i32.const 7) (i32.const 512))"),
        ),
    ]
}

pub fn again() -> Vec<Row> {
    let unreachable = "wasm `unreachable` instruction executed";
    let post = format!(r#"(func (export "{}") (param i32) unreachable)"#, post_return(StageKind::Filter));
    vec![
        row("traps", "a trap", Ends::Faults("trap"), unreachable, filter().call("unreachable")),
        row("traps in `init`", "a trap", Ends::Init("trap"), unreachable, filter().init("unreachable")),
        row("traps after its answer (post-return)", "a trap", Ends::Faults("trap"), unreachable, filter().item(post)),
        row(
            "traps on every seventh event",
            "a trap",
            Ends::SeventhFaults("trap"),
            unreachable,
            filter().item(SEVENTH).call("(if (call $seventh (local.get $n)) (then unreachable))"),
        ),
        row(
            "divides by zero, reads beyond its memory, calls nothing",
            "a trap",
            Ends::Faults("trap"),
            "wasm trap: ",
            filter().item("(table $t 1 funcref)").call(
                "(if (i32.eq (local.get $n) (i32.const 7)) (then (drop (i32.div_u (i32.const 1) (i32.const 0)))))
                 (if (i32.lt_u (local.get $n) (i32.const 4)) (then (drop (i32.load (i32.const -4)))))
                 (call_indirect $t (i32.const 0))",
            ),
        ),
        row(
            "fails on a batch and answers for each event alone",
            "halving",
            Ends::Contained,
            "",
            filter().call("(if (i32.gt_u (local.get $n) (i32.const 1)) (then unreachable))"),
        )
        .counted(Counted::Restarts),
        row(
            "fails at every second call, whatever it is asked",
            "halving",
            Ends::SomeFaults("trap"),
            unreachable,
            filter().item("(global $calls (mut i32) (i32.const 0))").call(
                "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                 (if (i32.eqz (i32.and (global.get $calls) (i32.const 1))) (then unreachable))",
            ),
        ),
        row(
            "answers differently when it is asked again",
            "halving",
            Ends::Contained,
            "",
            // Wrongly at its third call: the batch fails, and none of its halves does.
            filter().item("(global $calls (mut i32) (i32.const 0))").call(
                "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                 (if (i32.eq (global.get $calls) (i32.const 3)) (then
                    (i32.store (i32.load (i32.const 256)) (i32.const 3))))",
            ),
        )
        .counted(Counted::Restarts),
        row(
            "answers each event alone, and needs long to start for each",
            "isolation_time_max",
            Ends::Faults("trap"),
            "not asked about alone, after others of its batch (isolated_faults_max, isolation_time_max)",
            filter()
                .init(
                    "(local.set $i (i32.const 8000000))
                     (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))",
                )
                .call(
                    "(if (i32.gt_u (local.get $n) (i32.const 1)) (then unreachable))
                     (drop (memory.grow (i32.const 100)))",
                ),
        )
        .with(|spec| {
            spec.limits.memory_bytes_recycle = 1 << 20;
            spec.limits.isolation_time_max = Duration::from_millis(1);
            spec.limits.init_time_max = Duration::from_secs(5);
        }),
    ]
}
