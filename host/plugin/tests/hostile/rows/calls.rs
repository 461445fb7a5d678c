//! Guests that do harm by what they ask of the host, or by what they write to its log.

use super::{Counted, Ends, Row, filter, row, scrubber};
use crate::guests::Guest;

const PULL: &str =
    "(call $strings (i32.const 16) (i32.const 7) (i32.const 512)) (global.set $next (i32.const 65536))";
const PATH: Ends = Ends::Faults("path");

/// A filter that makes one call with a text.
fn asks(function: &str, text: &str) -> Guest {
    let size = text.len();
    let pages = 2 + size / 60_000;
    filter().pages(&pages.to_string()).data(1024, text).item("(global $start (mut i32) (i32.const 0))").call(format!(
        "(global.set $next (i32.const {})) (call ${function} (i32.const 1024) (i32.const {size}) (i32.const 512))
         (call $list (i32.const 0) (call $all32 (local.get $n) (i32.const 0)) (local.get $n))",
        (size + 2048).next_multiple_of(8).max(65536),
    ))
}

pub fn pulls() -> Vec<Row> {
    let exponential = |unit: &str| {
        let mut text = unit.repeat(4000 / unit.len());
        text.push_str("zz");
        text
    };
    vec![
        row(
            "pulls a column again and again",
            "host_calls_max",
            Ends::Faults("host-limit"),
            "more than 1000 host calls in one call (host_calls_max)",
            filter().forever(PULL),
        ),
        row(
            "asks for the number of events again and again",
            "host_calls_max",
            Ends::Faults("host-limit"),
            "more than 1000 host calls in one call (host_calls_max)",
            filter().forever("(drop (call $len))"),
        ),
        row(
            "pulls whole events again and again",
            "host_call_bytes_max",
            Ends::Faults("host-limit"),
            "more than 20000 bytes of columns in one call (host_call_bytes_max)",
            scrubber().forever("(call $leaves (i32.const 32) (i32.const 2) (i32.const 512)) (global.set $next (i32.const 65536))"),
        )
        .with(|spec| spec.limits.host_call_bytes_max = 20_000),
        row(
            "pulls under a path that it never used before, again and again",
            "host_calls_max",
            Ends::Faults("host-limit"),
            "more than 1000 host calls in one call (host_calls_max)",
            filter().data(1024, "extra.list.00000000").forever(
                "(i32.store (i32.const 1035) (i32.add (i32.const 0x30303030) (i32.rem_u (local.get $i) (i32.const 10))))
                 (i32.store8 (i32.const 1036) (i32.add (i32.const 0x30) (i32.rem_u (i32.div_u (local.get $i) (i32.const 10)) (i32.const 10))))
                 (i32.store8 (i32.const 1037) (i32.add (i32.const 0x30) (i32.rem_u (i32.div_u (local.get $i) (i32.const 100)) (i32.const 10))))
                 (local.set $i (i32.add (local.get $i) (i32.const 1)))
                 (call $counts (i32.const 1024) (i32.const 19) (i32.const 512))
                 (global.set $next (i32.const 65536))",
            ),
        ),
        row("asks for a path of a megabyte", "path_bytes_max", PATH, "of 1000000 bytes, longer than 4096 (path_bytes_max)", asks("strings", &"a.".repeat(500_000))),
        row("asks for a selector of a megabyte", "path_bytes_max", PATH, "of 1000000 bytes, longer than 4096 (path_bytes_max)", asks("leaves", &"(a||".repeat(250_000))),
        row("asks for a path of 8 MiB of nothing", "answer_bytes_max", Ends::Faults("answer-too-large"), "(answer_bytes_max)", filter().pages("140").call("(call $strings (i32.const 65536) (i32.const 8388608) (i32.const 512))")),
        row("asks for a path that does not parse", "the interface", PATH, "a..b", asks("numbers", "a..b")),
        row("asks for a selector of four thousand parentheses", "the interface", PATH, "more than 32 negations and parentheses within each other", asks("leaves", &"(".repeat(4000))),
        row("asks for a selector of four thousand negations", "the interface", PATH, "more than 32 negations and parentheses within each other", asks("leaves", &"!".repeat(4000))),
        row("asks for a selector of a thousand `**`", "no backtracking", Ends::Contained, "", asks("leaves", &exponential("**."))),
        row("asks for a selector of hundreds of `**.a`", "no backtracking", Ends::Contained, "", asks("leaves", &exponential("**.a."))),
        row("asks for a selector of a thousand alternatives", "path_bytes_max", Ends::Contained, "", asks("leaves", &exponential("a.0||"))),
        row(
            "asks for a path of two thousand stars",
            "path_segments_max",
            PATH,
            "more than 128 (path_segments_max)",
            asks("strings", &exponential("*.")),
        ),
        row(
            "asks for a hundred thousand different paths of four kilobytes",
            "host_call_bytes_max",
            Ends::Faults("host-limit"),
            "bytes of columns in one call (host_call_bytes_max)",
            filter().data(1024, &"x".repeat(4096)).forever(
                "(i32.store (i32.const 2000) (i32.add (i32.const 0x61616161) (i32.and (local.get $i) (i32.const 0x0f0f0f0f))))
                 (i32.store (i32.const 2004) (i32.add (i32.const 0x61616161)
                    (i32.and (i32.shr_u (local.get $i) (i32.const 4)) (i32.const 0x0f0f0f0f))))
                 (local.set $i (i32.add (local.get $i) (i32.const 1)))
                 (call $strings (i32.const 1024) (i32.const 4096) (i32.const 512))
                 (global.set $next (i32.const 65536))",
            ),
        )
        .with(|spec| {
            spec.limits.host_calls_max = 100_000;
            spec.limits.call_time_max = std::time::Duration::from_secs(10);
        }),
        row("asks for a path that is no UTF-8", "the interface", Ends::Faults("wrong-answer"), "utf-8", filter().item(r#"(data (i32.const 1024) "\ff\fe")"#).call("(call $json (i32.const 1024) (i32.const 2) (i32.const 512))")),
        row("asks for a path beyond its memory", "the interface", Ends::Faults("wrong-answer"), "out of bounds", filter().call("(call $strings (i32.const -8) (i32.const 100) (i32.const 512))")),
        row("takes a column to an address beyond its memory", "the interface", Ends::Faults("wrong-answer"), "out of bounds", filter().call("(call $strings (i32.const 16) (i32.const 7) (i32.const -8))")),
        row("reads what it may not read", "the grant", Ends::Faults("grant"), r#"reading "user.email" was not granted (read = "message")"#, asks("strings", "user.email"))
            .with(|spec| spec.reads = "message".into()),
        row("reads all of an object of which it may read a part", "the grant", Ends::Faults("grant"), r#"reading all of "user" was not granted"#, asks("json", "user"))
            .with(|spec| spec.reads = "** && !user.email".into()),
        row("reads by `*` the element that its grant leaves out", "the grant", Ends::Faults("grant"), r#"reading "extra.list.*" was not granted"#, asks("strings", "extra.list.*"))
            .with(|spec| spec.reads = "** && !extra.list.0".into()),
        row("climbs out of its grant with parentheses", "the grant", PATH, "')' is not expected here", asks("leaves", "a) || (**"))
            .with(|spec| spec.reads = "message".into()),
        row(
            "calls the host from allocation, while it gets a column",
            "no re-entry",
            Ends::Faults("trap"),
            "cannot leave component instance",
            filter()
                .item("(global $asked (mut i32) (i32.const 0))")
                .realloc("(if (global.get $asked) (then (drop (call $len)))) (call $alloc (local.get $size))")
                .call("(global.set $asked (i32.const 1)) (call $strings (i32.const 16) (i32.const 7) (i32.const 512))"),
        ),
        row(
            "calls its own export from allocation, while it gets a column",
            "no re-entry",
            Ends::Faults("trap"),
            "cannot leave component instance",
            filter()
                .item("(global $asked (mut i32) (i32.const 0))")
                .realloc("(if (global.get $asked) (then (drop (call $call)))) (call $alloc (local.get $size))")
                .call("(global.set $asked (i32.const 1)) (call $strings (i32.const 16) (i32.const 7) (i32.const 512))"),
        ),
        row(
            "lets the host list a million values under ever new spellings of a path",
            "host_call_bytes_max",
            Ends::Faults("host-limit"),
            "bytes of columns in one call (host_call_bytes_max)",
            respelled("counts", "extra.list", ""),
        )
        .event(|| large(&vec!["1"; 1_000_000].join(","))),
        row(
            "lets the host list nothing in a million lists, under ever new spellings",
            "host_call_bytes_max",
            Ends::Faults("host-limit"),
            "bytes of columns in one call (host_call_bytes_max)",
            respelled("strings", "extra.list", ".*.x.*.y"),
        )
        .event(|| large(&vec!["{}"; 1_000_000].join(","))),
        row(
            "lets the host look up all members of many objects, under ever new spellings",
            "host_call_bytes_max",
            Ends::Faults("host-limit"),
            "bytes of columns in one call (host_call_bytes_max)",
            respelled("strings", "extra.list", ".*.\u{1}"),
        )
        .event(|| {
            let objects: Vec<String> = (0..100_000).map(|n| format!(r#"{{"{}":0}}"#, n % 64)).collect();
            large(&objects.join(","))
        }),
        row(
            "asks for a million values with hundreds of numbered alternatives",
            "selector_steps_max",
            Ends::Faults("host-limit"),
            "(selector_steps_max)",
            asks("leaves", &(0..200).map(|n| format!("extra.list.{n}")).collect::<Vec<_>>().join("||")),
        )
        .event(|| large(&vec![r#""a""#; 1_000_000].join(","))),
        row(
            "asks for values four hundred levels deep with hundreds of `**`",
            "selector_steps_max",
            Ends::Faults("host-limit"),
            "(selector_steps_max)",
            asks("leaves", &vec![format!("**.{}b", "a.".repeat(200)); 9].join("||")),
        )
        .event(|| {
            let keys: Vec<String> = (0..60_000).map(|n| format!(r#""{n:x}":"""#)).collect();
            large(&format!("{}{{{}}}{}", r#"{"a":"#.repeat(400), keys.join(","), "}".repeat(400)))
        }),
        row("uses the batch in `init`, where it is empty", "the interface", Ends::Contained, "", filter().init("(if (call $len) (then unreachable)) (call $edit (i32.const 0)) (call $strings (i32.const 16) (i32.const 7) (i32.const 512))")),
    ]
}

/// An event with a list of these elements.
fn large(elements: &str) -> String {
    format!(r#"{{"message":"hé","extra":{{"list":[{elements}]}}}}"#)
}

/// A filter that calls with a path, with backslashes in its quotes, which mean nothing, in ever other places, and with something behind
/// it. It does so twice for each spelling, with an `a` and a `b` at the end.
fn respelled(function: &str, path: &str, behind: &str) -> Guest {
    let (first, second) = path.split_once('.').unwrap();
    // A letter has a backslash or not: a bit of the number each.
    let letters = format!("{first}{second}");
    let (split, count, size) = (first.len(), letters.len(), behind.len());
    let twice = behind.ends_with('\u{1}');
    let end = if twice {
        "(i32.store8 (i32.sub (local.get $p) (i32.const 1)) (i32.add (i32.const 97) (i32.and (global.get $asks) (i32.const 1))))"
    } else {
        ""
    };
    let step = if twice { "(i32.shr_u (global.get $asks) (i32.const 1))" } else { "(global.get $asks)" };
    let guest = filter()
        .pages("4")
        .data(1024, &letters)
        .data(1100, behind)
        .item("(global $asks (mut i32) (i32.const 0))");
    guest.forever(&format!(
        "(local.set $p (i32.const 2048)) (local.set $i (i32.const 0))
         (i32.store8 (local.get $p) (i32.const 0x27)) (local.set $p (i32.add (local.get $p) (i32.const 1)))
         (loop $letter
            (if (i32.and (i32.const 1) (i32.shr_u {step} (local.get $i))) (then
                (i32.store8 (local.get $p) (i32.const 0x5c)) (local.set $p (i32.add (local.get $p) (i32.const 1)))))
            (i32.store8 (local.get $p) (i32.load8_u offset=1024 (local.get $i)))
            (local.set $p (i32.add (local.get $p) (i32.const 1)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (if (i32.eq (local.get $i) (i32.const {split})) (then
                (i32.store8 (local.get $p) (i32.const 0x27)) (i32.store8 offset=1 (local.get $p) (i32.const 0x2e))
                (i32.store8 offset=2 (local.get $p) (i32.const 0x27))
                (local.set $p (i32.add (local.get $p) (i32.const 3)))))
            (br_if $letter (i32.lt_u (local.get $i) (i32.const {count}))))
         (i32.store8 (local.get $p) (i32.const 0x27)) (local.set $p (i32.add (local.get $p) (i32.const 1)))
         (memory.copy (local.get $p) (i32.const 1100) (i32.const {size}))
         (local.set $p (i32.add (local.get $p) (i32.const {size})))
         {end}
         (global.set $asks (i32.add (global.get $asks) (i32.const 1)))
         (call ${function} (i32.const 2048) (i32.sub (local.get $p) (i32.const 2048)) (i32.const 512))
         (global.set $next (i32.const 65536))"
    ))
}

pub fn logs() -> Vec<Row> {
    let writes = |text: &str, times: u32| {
        filter().data(1024, text).call(format!(
            "(local.set $i (i32.const {times}))
             (loop $l (call $log (i32.const 2) (i32.const 1024) (i32.const {}))
                (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))",
            text.len()
        ))
    };
    let forged = "fine\r\n2026-11-22T00:00:00Z ERROR tamis: the store is gone\u{1b}[2K";
    vec![
        row("writes ten thousand lines", "log_lines_per_second_max", Ends::Contained, "", writes("x", 10_000)).counted(Counted::LogLines),
        row("writes a message of a thousand lines", "log_lines_per_second_max", Ends::Contained, "", writes(&"x\n".repeat(1000), 1)).counted(Counted::LogLines),
        row(
            "writes a line of four megabytes",
            "log_line_bytes_max",
            Ends::Contained,
            "",
            filter().pages("70").call("(memory.fill (i32.const 131072) (i32.const 120) (i32.const 4194304)) (call $log (i32.const 0) (i32.const 131072) (i32.const 4194304))"),
        ),
        row(
            "writes for as long as it may",
            "call_time_max",
            Ends::Faults("deadline"),
            "no answer within ",
            filter().data(1024, "chatter").forever("(call $log (i32.const 1) (i32.const 1024) (i32.const 7))"),
        )
        .hurried(),
        row(
            "writes a line that looks like the host's, and traps",
            "escapes",
            Ends::Faults("trap"),
            "; it wrote: fine\n  | 2026-11-22T00:00:00Z ERROR tamis: the store is gone\\u{1b}[2K",
            filter().data(1024, forged).call(format!("(call $log (i32.const 0) (i32.const 1024) (i32.const {})) unreachable", forged.len())),
        ),
        row("writes a line that is no UTF-8", "the interface", Ends::Faults("wrong-answer"), "utf-8", filter().item(r#"(data (i32.const 1024) "\ff\fe")"#).call("(call $log (i32.const 0) (i32.const 1024) (i32.const 2))")),
        row("writes at a level that is not there", "the interface", Ends::Faults("wrong-answer"), "discriminant", filter().call("(call $log (i32.const 77) (i32.const 16) (i32.const 7))")),
        row(
            "gives functions names of a megabyte, and traps",
            "cut names",
            Ends::Faults("trap"),
            "; in nnnnnnnnnn",
            filter().item(format!("(func ${} unreachable)", "n".repeat(1_000_000))).call(format!("(call ${})", "n".repeat(1_000_000))),
        ),
    ]
}
