//! Guests whose answers are wrong.

use super::{Ends, Row, filter, fingerprinter, row, sampler, scrubber};
use crate::guests::Guest;

const WRONG: Ends = Ends::Faults("wrong-answer");
const INTERFACE: &str = "the interface";

pub fn rows() -> Vec<Row> {
    let mut all = of_any_kind();
    all.extend(of_filters());
    all.extend(of_samplers());
    all.extend(of_fingerprinters());
    all.extend(of_scrubbers());
    all
}

fn of_any_kind() -> Vec<Row> {
    let result = |at: &str| filter().call(format!("(return (i32.const {at}))"));
    let list =
        |at: &str, count: &str| filter().call(format!("(call $list (i32.const 0) (i32.const {at}) {count})"));
    let outside = "out of bounds of memory";
    vec![
        row("gives a list of 4 GiB", INTERFACE, WRONG, outside, list("65536", "(i32.const -1)")),
        row("gives a list of 4 GiB of edits", INTERFACE, WRONG, outside, scrubber().call("(call $list (i32.const 0) (i32.const 0) (i32.const 1073741823))")),
        row(
            "gives all of its memory as an answer",
            "answer_bytes_max",
            Ends::Faults("answer-too-large"),
            "more than 4194304 bytes of an answer or of arguments (answer_bytes_max)",
            filter().pages("100").call("(call $list (i32.const 0) (i32.const 65536) (i32.const 1600000))"),
        ),
        row(
            "gives a megabyte a million times",
            "answer_bytes_max",
            Ends::Faults("answer-too-large"),
            "(answer_bytes_max)",
            // The same text again and again: small in the guest, large in the host.
            filter().pages("170").call(
                "(local.set $p (call $alloc (i32.const 8000000)))
                 (loop $l
                    (i32.store (i32.add (local.get $p) (i32.mul (local.get $i) (i32.const 8))) (i32.const 65536))
                    (i32.store offset=4 (i32.add (local.get $p) (i32.mul (local.get $i) (i32.const 8))) (i32.const 1048576))
                    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))
                 (call $list (i32.const 1) (local.get $p) (i32.const 100000))",
            ),
        ),
        row("gives its answer outside of its memory", INTERFACE, WRONG, outside, result("-16")),
        row("gives its answer at an odd address", INTERFACE, WRONG, "not aligned", result("257")),
        row("gives a list at an odd address", INTERFACE, WRONG, "not aligned", list("65537", "(local.get $n)")),
        row("gives a list beyond its memory", INTERFACE, WRONG, outside, filter().call(
                "(call $list (i32.const 0) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8)) (i32.const 3))",
            )),
        row(
            "allocates outside of its memory",
            INTERFACE,
            Ends::Init("wrong-answer"),
            "beyond end of memory",
            filter().realloc("(i32.const -65536)"),
        ),
        row(
            "allocates at odd addresses",
            INTERFACE,
            WRONG,
            "not aligned",
            filter().realloc("(i32.or (call $alloc (local.get $size)) (i32.const 1))").call("(call $strings (i32.const 16) (i32.const 7) (i32.const 512))"),
        ),
    ]
}

/// A filter that drops everything for a reason.
fn reason(at: u32, size: u32) -> Guest {
    filter().call(format!(
        "(call $text (i32.const 0) (i32.const {at}) (i32.const {size}))
         (call $list (i32.const 0) (call $all32 (local.get $n) (i32.const 1)) (local.get $n))
         (call $list (i32.const 1) (i32.const 640) (i32.const 1))"
    ))
}

fn of_filters() -> Vec<Row> {
    let count = |count: &str| {
        filter().call(format!("(call $list (i32.const 0) (call $alloc (i32.const 400)) {count})"))
    };
    let all = |value: &str| {
        filter().call(format!(
            "(call $list (i32.const 0) (call $all32 (local.get $n) (i32.const {value})) (local.get $n))"
        ))
    };
    vec![
        row("answers for one event more", INTERFACE, WRONG, "verdicts has ", count("(i32.add (local.get $n) (i32.const 1))")),
        row("answers for no event", INTERFACE, WRONG, "verdicts has 0 entries, not ", count("(i32.const 0)")),
        row("drops for a reason that it does not give", INTERFACE, WRONG, "verdicts[0] is 1, of 0 entries", all("1")),
        row("drops for reason number four billion", INTERFACE, WRONG, "verdicts[0] is 4294967295, of 0 entries", all("-1")),
        row("gives a reason that is no UTF-8", INTERFACE, WRONG, "utf-8", reason(1024, 4).item(r#"(data (i32.const 1024) "ab\ff\fe")"#)),
        row("gives half of a character as a reason", INTERFACE, WRONG, "utf-8", reason(1024, 1).data(1024, "é")),
        row("gives an empty reason", "name_bytes_max", WRONG, "reasons[0] is not of 1 to 512 bytes", reason(1024, 0)),
        row("gives a reason of a kilobyte", "name_bytes_max", WRONG, "reasons[0] is not of 1 to 512 bytes", reason(1024, 1000).data(1024, &"x".repeat(1000))),
        row(
            "gives reasons by the hundred thousand",
            "names_max",
            WRONG,
            "reasons has 100000 entries, more than 65536",
            filter().pages("20").call(
                "(local.set $p (call $alloc (i32.const 800000)))
                 (loop $l
                    (i32.store (i32.add (local.get $p) (i32.mul (local.get $i) (i32.const 8))) (i32.const 40))
                    (i32.store offset=4 (i32.add (local.get $p) (i32.mul (local.get $i) (i32.const 8))) (i32.const 4))
                    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))
                 (call $list (i32.const 1) (local.get $p) (i32.const 100000))",
            ),
        ),
        row(
            "gives a new heap of reasons for every part of a batch",
            "the rows that use them",
            Ends::Contained,
            "",
            // Kept for every part, they would be megabytes an event.
            filter().pages("20").call(
                "(if (i32.gt_u (local.get $n) (i32.const 1)) (then unreachable))
                 (local.set $p (call $alloc (i32.const 480000)))
                 (loop $l
                    (i32.store (i32.add (local.get $p) (i32.mul (local.get $i) (i32.const 8))) (i32.const 1024))
                    (i32.store offset=4 (i32.add (local.get $p) (i32.mul (local.get $i) (i32.const 8))) (i32.const 20))
                    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 60000))))
                 (call $list (i32.const 1) (local.get $p) (i32.const 60000))",
            ).data(1024, "a reason of 20 bytes"),
        ),
    ]
}

fn of_samplers() -> Vec<Row> {
    let rate =
        |rate: &str| sampler().call(format!("(f64.store (i32.load (i32.const 256)) (f64.const {rate}))"));
    vec![
        row(
            "samples at a rate of NaN",
            INTERFACE,
            WRONG,
            "rates[0] is NaN, not between 0 and 1",
            rate("nan"),
        ),
        row(
            "samples at an infinite rate",
            INTERFACE,
            WRONG,
            "rates[0] is inf, not between 0 and 1",
            rate("inf"),
        ),
        row(
            "samples at a negative rate",
            INTERFACE,
            WRONG,
            "rates[0] is -0.5, not between 0 and 1",
            rate("-0.5"),
        ),
        row("samples at a rate of two", INTERFACE, WRONG, "rates[0] is 2, not between 0 and 1", rate("2")),
        row(
            "samples by a rule that it does not give",
            INTERFACE,
            WRONG,
            "decided-by[0] is 7, of 0 entries",
            sampler().call("(i32.store (i32.load (i32.const 264)) (i32.const 7))"),
        ),
    ]
}

/// A fingerprinter that gives every event one fingerprint, by instructions that follow, after four good lists.
fn fingerprints(then: &str) -> Guest {
    fingerprinter().data(1024, &"0123456789".repeat(8)).call(format!(
        "(call $list (i32.const 0) (call $all32 (local.get $n) (i32.const 1)) (local.get $n))
             (call $list (i32.const 1) (call $all32 (local.get $n) (i32.const 0)) (local.get $n))
             (local.set $p (call $all32 (i32.add (local.get $n) (i32.const 1)) (i32.const 0)))
             (loop $l
                (i32.store (i32.add (local.get $p) (i32.mul (local.get $i) (i32.const 4))) (local.get $i))
                (br_if $l (i32.le_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
             (call $list (i32.const 2) (local.get $p) (i32.add (local.get $n) (i32.const 1)))
             (call $list (i32.const 3) (i32.const 1024) (local.get $n))
             (call $text (i32.const 0) (i32.const 40) (i32.const 4))
             (call $list (i32.const 4) (i32.const 640) (i32.const 1))
             {then}"
    ))
}

fn of_fingerprinters() -> Vec<Row> {
    let counts =
        |count: &str| fingerprints(&format!("(i32.store (i32.load (i32.const 256)) (i32.const {count}))"));
    let first = "fingerprint 0 is not 1 to 64 bytes of UTF-8 inside of data";
    vec![
        row("gives 65 fingerprints of one event", "fingerprints_max", WRONG, "more than 64 fingerprints of one event", counts("65")),
        row("gives four billion fingerprints of one event", "fingerprints_max", WRONG, "more than 64 fingerprints of one event", counts("-1")),
        row("gives fewer kinds than fingerprints", INTERFACE, WRONG, "kind has ", counts("9")),
        row(
            "gives a fingerprint of 65 bytes",
            "fingerprint_bytes_max",
            WRONG,
            first,
            fingerprints(
                "(memory.fill (local.get $p) (i32.const 0) (i32.const 4))
                 (loop $l
                    (i32.store offset=4 (i32.add (local.get $p) (i32.mul (local.get $i) (i32.const 4))) (i32.const 65))
                    (br_if $l (i32.ne (i32.const -1) (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))
                 (call $list (i32.const 3) (i32.const 1024) (i32.const 65))",
            ),
        ),
        row("gives an empty fingerprint", "fingerprint_bytes_max", WRONG, first, fingerprints("(i32.store (local.get $p) (i32.const 1))")),
        row("gives offsets that run backwards", INTERFACE, WRONG, first, fingerprints("(i32.store (local.get $p) (i32.const 9))")),
        row("gives offsets of four billion", INTERFACE, WRONG, first, fingerprints("(i32.store offset=4 (local.get $p) (i32.const -1))")),
        row("gives too few offsets", INTERFACE, WRONG, "offsets has ", fingerprints("(call $list (i32.const 2) (local.get $p) (local.get $n))")),
        row("gives a fingerprint that is no UTF-8", INTERFACE, WRONG, first, fingerprints("(i32.store8 (i32.const 1024) (i32.const 0xff))")),
        row("gives a fingerprint of kind number 9", INTERFACE, WRONG, "kind[0] is 9, of 1 kinds", fingerprints("(i32.store (i32.load (i32.const 264)) (i32.const 9))")),
    ]
}

/// A scrubber that removes its first leaf, by instructions that follow after six good lists.
fn edits(count: u32, then: &str) -> Guest {
    scrubber().call(format!("(call $edit (i32.const {count})) {then}"))
}

/// Sets the first entry of a list.
fn first(slot: u32, value: i64) -> String {
    format!("(i32.store (i32.load (i32.const {})) (i32.const {value}))", 256 + 8 * slot)
}

fn of_scrubbers() -> Vec<Row> {
    let range = |start, end| first(2, start) + &first(3, end);
    let same_leaf = "(i32.store offset=4 (i32.load (i32.const 256)) (i32.load (i32.load (i32.const 256))))";
    let mut rows = vec![
        row("edits what it may not edit", "the grant", Ends::Faults("grant"), r#"was not granted (write = "user.email")"#, edits(1, ""))
            .with(|spec| spec.writes = "user.email".into()),
        row("edits a leaf twice", INTERFACE, WRONG, "edits overlap in the text", edits(2, same_leaf)),
        row(
            "edits an object and what is in it",
            INTERFACE,
            WRONG,
            "edits overlap at byte",
            scrubber().data(48, "$object || user.*").call(
                "(call $edit (i32.const 2))
                 (call $leaves (i32.const 48) (i32.const 17) (i32.const 512))
                 (call $list (i32.const 0) (i32.load (i32.const 520)) (i32.const 2))",
            ),
        ),
        row("splits a character", INTERFACE, WRONG, "an edit of bytes 0..2, which are no characters", edits(1, &range(0, 2))),
        row("edits beyond the end of a text", INTERFACE, WRONG, "an edit of bytes 0..4000, which are no characters", edits(1, &range(0, 4000))),
        row("edits backwards", INTERFACE, WRONG, "an edit of bytes 3..1, which are no characters", edits(1, &range(3, 1))),
        row("edits a leaf that it was not given", INTERFACE, WRONG, "leaf[0] is 4000000, which no call of leaves gave", edits(1, &first(0, 4_000_000))),
        row("edits by an operation that is not there", INTERFACE, WRONG, "op[0] is 9: there is no such op", edits(1, "(i32.store8 (i32.load (i32.const 264)) (i32.const 9))")),
        row("edits by a rule that it does not give", "name_bytes_max", WRONG, "rule[0] names no string of 1 to 512 bytes", edits(1, &first(5, 8))),
        row("gives lists of edits of different lengths", INTERFACE, WRONG, "end has 0 entries, not 1", edits(1, "(call $list (i32.const 3) (i32.const 0) (i32.const 0))")),
        row(
            "puts a long text into many edits",
            "edit_text_bytes_max",
            WRONG,
            "more than 67108864 bytes of new text in all edits of a batch",
            // A megabyte in each of the edits of nothing in the first leaf.
            edits(
                100,
                "(local.set $p (i32.load (i32.load (i32.const 256))))
                 (call $list (i32.const 0) (call $all32 (i32.const 100) (local.get $p)) (i32.const 100))
                 (call $list (i32.const 1) (call $all32 (i32.const 100) (i32.const 0x01010101)) (i32.const 100))
                 (call $list (i32.const 3) (call $all32 (i32.const 100) (i32.const 0)) (i32.const 100))
                 (call $text (i32.const 0) (call $alloc (i32.const 1000000)) (i32.const 1000000))
                 (memory.fill (i32.load (i32.const 640)) (i32.const 120) (i32.const 1000000))
                 (call $text (i32.const 1) (i32.const 40) (i32.const 4))
                 (call $list (i32.const 5) (call $all32 (i32.const 100) (i32.const 1)) (i32.const 100))
                 (call $list (i32.const 6) (i32.const 640) (i32.const 2))",
            ),
        ),
        row(
            "makes 300,000 edits of nothing",
            "edits_max",
            WRONG,
            "300000 edits, more than 262144 in a batch",
            edits(300_000, ""),
        )
        .with(|spec| spec.limits.answer_bytes_max = 32 << 20),
    ];
    rows.push(
        row(
            "leaves ten megabytes of edits for every event alone",
            "edit_text_bytes_max",
            Ends::SomeFaults("wrong-answer"),
            "more than 67108864 bytes of new text in all edits of a batch",
            edits(
                10,
                "(if (i32.gt_u (local.get $n) (i32.const 1)) (then unreachable))
                 (local.set $p (i32.load (i32.load (i32.const 256))))
                 (call $list (i32.const 0) (call $all32 (i32.const 10) (local.get $p)) (i32.const 10))
                 (call $list (i32.const 1) (call $all32 (i32.const 10) (i32.const 0x01010101)) (i32.const 10))
                 (call $list (i32.const 3) (call $all32 (i32.const 10) (i32.const 0)) (i32.const 10))
                 (call $text (i32.const 0) (call $alloc (i32.const 1000000)) (i32.const 1000000))
                 (memory.fill (i32.load (i32.const 640)) (i32.const 120) (i32.const 1000000))
                 (call $text (i32.const 1) (i32.const 40) (i32.const 4))
                 (call $list (i32.const 5) (call $all32 (i32.const 10) (i32.const 1)) (i32.const 10))
                 (call $list (i32.const 6) (i32.const 640) (i32.const 2))",
            ),
        )
        .with(|spec| spec.limits.isolated_faults_max = 64),
    );
    rows
}
