//! Checks a guest's answer in full and turns it into the pipeline's; merges the answers of parts of a batch.

use host_event::{Columns, Doc, Edit, EditOp, Kind, NodeRef, Reason, Selector};
use host_pipeline::{Answer, Fingerprint, Rates, Verdicts};

use crate::failure::Objection;
use crate::limits::{
    EDIT_TEXT_BYTES_MAX, EDITS_MAX, FINGERPRINT_BYTES_MAX, FINGERPRINTS_MAX, NAME_BYTES_MAX, NAMES_MAX,
};
use crate::v0_1;

/// Where a scrubber may edit.
pub(crate) struct WriteGrant {
    pub(crate) text: String,
    pub(crate) selector: Selector,
}

/// What is left of the limits on edits. The parts of a batch that is asked about in parts share those of the whole, or a guest that
/// fails on purpose could leave the host with a thousand answers of the largest size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EditRoom {
    edits: usize,
    text_bytes: usize,
}

impl Default for EditRoom {
    fn default() -> EditRoom {
        EditRoom { edits: EDITS_MAX, text_bytes: EDIT_TEXT_BYTES_MAX }
    }
}

impl EditRoom {
    pub(crate) fn without(self, answer: &Answer) -> EditRoom {
        let Answer::Scrub(rows) = answer else { return self };
        let edits = || rows.iter().flatten();
        let bytes: usize = edits().map(|edit| edit.rule.len() + text_of(&edit.op).len()).sum();
        // An answer that was accepted fits.
        EditRoom { edits: self.edits - edits().count(), text_bytes: self.text_bytes - bytes }
    }
}

type Checked<T> = Result<T, Objection>;

macro_rules! ensure {
    ($holds:expr, $($message:tt)*) => {
        if !$holds {
            return Err(Objection::Answer(format!($($message)*)));
        }
    };
}

pub(crate) fn filter(answer: v0_1::Verdicts, columns: &Columns) -> Checked<Answer> {
    let v0_1::Verdicts { verdicts, reasons } = answer;
    length("verdicts", verdicts.len(), columns.len())?;
    names("reasons", &reasons)?;
    indices("verdicts", &verdicts, reasons.len())?;
    let (verdicts, reasons) = only_used(verdicts, reasons);
    Ok(Answer::Filter(Verdicts { verdicts, reasons: reasons.into_iter().map(Reason::from).collect() }))
}

pub(crate) fn sample(answer: v0_1::Rates, columns: &Columns) -> Checked<Answer> {
    let v0_1::Rates { rates, decided_by, rules } = answer;
    length("rates", rates.len(), columns.len())?;
    length("decided-by", decided_by.len(), columns.len())?;
    names("rules", &rules)?;
    indices("decided-by", &decided_by, rules.len())?;
    let wrong = rates.iter().position(|rate| !(0.0..=1.0).contains(rate));
    if let Some(row) = wrong {
        return Err(Objection::Answer(format!("rates[{row}] is {}, not between 0 and 1", rates[row])));
    }
    let (decided_by, rules) = only_used(decided_by, rules);
    Ok(Answer::Sample(Rates { rates, decided_by, rules }))
}

pub(crate) fn scrub(
    answer: &v0_1::Edits,
    columns: &Columns,
    writes: &WriteGrant,
    room: EditRoom,
) -> Checked<Answer> {
    let count = answer.leaf.len();
    ensure!(count <= room.edits, "{count} edits, more than {EDITS_MAX} in a batch (edits_max)");
    length("op", answer.op.len(), count)?;
    for (name, list) in
        [("start", &answer.start), ("end", &answer.end), ("text", &answer.text), ("rule", &answer.rule)]
    {
        length(name, list.len(), count)?;
    }
    let mut rows = vec![Vec::new(); columns.len()];
    let mut bytes = 0;
    for at in 0..count {
        let leaf = answer.leaf[at];
        let Some((row, node)) = columns.leaf(leaf) else {
            return Err(Objection::Answer(format!("leaf[{at}] is {leaf}, which no call of leaves gave")));
        };
        let text = |index: u32| answer.strings.get(index as usize).map(String::as_str);
        let rule = text(answer.rule[at]).filter(|rule| (1..=NAME_BYTES_MAX).contains(&rule.len()));
        let rule = rule.ok_or_else(|| {
            Objection::Answer(format!(
                "rule[{at}] names no string of 1 to {NAME_BYTES_MAX} bytes (name_bytes_max)"
            ))
        })?;
        let op = op(answer.op[at], text(answer.text[at]))
            .map_err(|what| Objection::Answer(format!("op[{at}] is {}: {what}", answer.op[at])))?;
        // One long string may stand in many edits.
        bytes += rule.len() + text_of(&op).len();
        ensure!(
            bytes <= room.text_bytes,
            "more than {EDIT_TEXT_BYTES_MAX} bytes of new text in all edits of a batch (edit_text_bytes_max)"
        );
        let range = Some((answer.start[at], answer.end[at])).filter(|range| *range != (0, u32::MAX));
        rows[row].push(Edit { node, range, op, rule: rule.to_owned() });
    }
    for (row, edits) in rows.iter_mut().enumerate().filter(|(_, edits)| !edits.is_empty()) {
        edits.sort_by_key(|edit| (edit.node, edit.range));
        edits_of_event(&columns.event(row).doc, edits, writes)?;
    }
    Ok(Answer::Scrub(rows))
}

pub(crate) fn fingerprint(answer: &v0_1::Fingerprints, columns: &Columns) -> Checked<Answer> {
    let v0_1::Fingerprints { counts, kind, offsets, data, kinds } = answer;
    length("counts", counts.len(), columns.len())?;
    names("kinds", kinds)?;
    let over = counts.iter().find(|count| **count > FINGERPRINTS_MAX);
    ensure!(over.is_none(), "more than {FINGERPRINTS_MAX} fingerprints of one event (fingerprints_max)");
    let total: usize = counts.iter().map(|count| *count as usize).sum();
    length("kind", kind.len(), total)?;
    // An author who gives nothing may leave the first offset out.
    ensure!(
        offsets.len() == total + 1 || (total == 0 && offsets.is_empty()),
        "offsets has {} entries, not {}",
        offsets.len(),
        total + 1
    );
    let mut all = Vec::with_capacity(counts.len());
    let mut next = 0;
    for count in counts {
        let of_event = next..next + *count as usize;
        next = of_event.end;
        let read = of_event.map(|at| one_fingerprint(at, kind[at], offsets, data, kinds));
        all.push(read.collect::<Checked<Vec<_>>>()?);
    }
    Ok(Answer::Fingerprint(all))
}

fn one_fingerprint(
    at: usize,
    kind: u32,
    offsets: &[u32],
    data: &[u8],
    kinds: &[String],
) -> Checked<Fingerprint> {
    let bytes = data.get(offsets[at] as usize..offsets[at + 1] as usize);
    let hash = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let hash = hash.filter(|hash| (1..=FINGERPRINT_BYTES_MAX).contains(&hash.len()));
    match (hash, kinds.get(kind as usize)) {
        (Some(hash), Some(kind)) => Ok(Fingerprint { kind: kind.clone(), hash: hash.to_owned() }),
        (None, _) => Err(Objection::Answer(format!(
            "fingerprint {at} is not 1 to {FINGERPRINT_BYTES_MAX} bytes of UTF-8 inside of data (fingerprint_bytes_max)"
        ))),
        (_, None) => Err(Objection::Answer(format!("kind[{at}] is {kind}, of {} kinds", kinds.len()))),
    }
}

fn length(list: &str, got: usize, want: usize) -> Checked<()> {
    ensure!(got == want, "{list} has {got} entries, not {want}");
    Ok(())
}

/// 0 is nothing, `n` is entry `n - 1` of a list.
fn indices(list: &str, values: &[u32], entries: usize) -> Checked<()> {
    let wrong = values.iter().position(|value| *value as usize > entries);
    match wrong {
        None => Ok(()),
        Some(row) => {
            Err(Objection::Answer(format!("{list}[{row}] is {}, of {entries} entries", values[row])))
        }
    }
}

fn names(list: &str, names: &[String]) -> Checked<()> {
    ensure!(
        names.len() <= NAMES_MAX,
        "{list} has {} entries, more than {NAMES_MAX} (names_max)",
        names.len()
    );
    let wrong = names.iter().position(|name| name.is_empty() || name.len() > NAME_BYTES_MAX);
    ensure!(
        wrong.is_none(),
        "{list}[{}] is not of 1 to {NAME_BYTES_MAX} bytes (name_bytes_max)",
        wrong.unwrap_or_default()
    );
    Ok(())
}

/// Forgets the names that no row speaks of, where there are more names than rows: the answers for the parts of a batch are kept until
/// all are there.
fn only_used(indices: Vec<u32>, names: Vec<String>) -> (Vec<u32>, Vec<String>) {
    if names.len() <= indices.len() {
        return (indices, names);
    }
    let mut places = vec![0u32; names.len()];
    for index in &indices {
        if let Some(at) = index.checked_sub(1) {
            places[at as usize] = 1;
        }
    }
    let mut kept = 0;
    for place in places.iter_mut().filter(|place| **place == 1) {
        kept += 1;
        *place = kept;
    }
    let indices = indices.iter().map(|index| index.checked_sub(1).map_or(0, |at| places[at as usize]));
    let names_kept = names.into_iter().zip(&places).filter(|(_, place)| **place > 0).map(|(name, _)| name);
    (indices.collect(), names_kept.collect())
}

/// Edits of one event, sorted by value and range, must lie inside of their values and not touch the same bytes. An object
/// and its member are the same bytes.
fn edits_of_event(doc: &Doc, edits: &[Edit], writes: &WriteGrant) -> Checked<()> {
    let (mut free_from, mut grants) = (0, writes.selector.grants_in(doc));
    for of_value in edits.chunk_by(|a, b| a.node == b.node) {
        let node = of_value[0].node;
        let value = doc.node(node).ok_or_else(|| Objection::Answer("an edit of no value".to_owned()))?;
        let (from, to) = value.span();
        ensure!(from >= free_from, "edits overlap at byte {from} of the event");
        free_from = to;
        if !grants.node(node) {
            let what = format!("writing the value at byte {from} of the event");
            return Err(Objection::Grant { what, which: "write", granted: writes.text.clone() });
        }
        edits_of_value(value, of_value)?;
    }
    Ok(())
}

fn edits_of_value(value: NodeRef<'_>, edits: &[Edit]) -> Checked<()> {
    if let [Edit { range: None, .. }] = edits {
        return Ok(());
    }
    let byte = value.span().0;
    ensure!(
        value.kind() == Kind::String,
        "an edit of a part of the value at byte {byte} of the event, which is no string"
    );
    let text = value.as_text().unwrap_or_default();
    let mut free_from = 0;
    for edit in edits {
        let Some((start, end)) = edit.range else {
            return Err(Objection::Answer(format!("edits overlap in the text at byte {byte} of the event")));
        };
        ensure!(
            start <= end && text.get(start as usize..end as usize).is_some(),
            "an edit of bytes {start}..{end}, which are no characters of the text of {} bytes at byte {byte}",
            text.len()
        );
        ensure!(start >= free_from, "edits overlap in the text at byte {byte} of the event");
        free_from = end;
    }
    Ok(())
}

fn op(op: u8, text: Option<&str>) -> Result<EditOp, &'static str> {
    let text = || text.ok_or("text is no index of strings");
    match op {
        0 => Ok(EditOp::Remove),
        1 => Ok(EditOp::Replace(text()?.to_owned())),
        2 => Ok(EditOp::Mask(text()?.chars().next().unwrap_or('*'))),
        3 => Ok(EditOp::Hash(text()?.to_owned())),
        _ => Err("there is no such op"),
    }
}

fn text_of(op: &EditOp) -> &str {
    match op {
        EditOp::Replace(text) | EditOp::Hash(text) => text,
        EditOp::Remove | EditOp::Mask(_) => "",
    }
}

/// Puts the answer for the rows that follow behind those of the rows before.
pub(crate) fn append(whole: &mut Answer, part: Answer) {
    match (whole, part) {
        (Answer::Filter(whole), Answer::Filter(part)) => {
            let base = whole.reasons.len() as u32;
            whole.verdicts.extend(part.verdicts.iter().map(|verdict| shift(*verdict, base)));
            whole.reasons.extend(part.reasons);
        }
        (Answer::Sample(whole), Answer::Sample(part)) => {
            let base = whole.rules.len() as u32;
            whole.rates.extend(part.rates);
            whole.decided_by.extend(part.decided_by.iter().map(|rule| shift(*rule, base)));
            whole.rules.extend(part.rules);
        }
        (Answer::Scrub(whole), Answer::Scrub(part)) => whole.extend(part),
        (Answer::Fingerprint(whole), Answer::Fingerprint(part)) => whole.extend(part),
        _ => unreachable!("the parts of a batch are answered by one stage"),
    }
}

fn shift(index: u32, base: u32) -> u32 {
    if index == 0 { 0 } else { index + base }
}

#[cfg(test)]
mod tests {
    use host_event::{Category, Doc, Event, Meta};

    use super::*;

    const EVENT: &str = r#"{"message":"né","user":{"email":"a\n@b","age":7},"extra":{"k":"v"}}"#;

    /// Two events, and the leaves of `**` and the numbers named.
    fn columns() -> Columns {
        let event = || Event {
            offset: 0,
            queued_at: 0,
            category: Category::Error,
            meta: Meta::default(),
            doc: Doc::parse(EVENT).unwrap(),
        };
        let mut columns = Columns::default();
        columns.load(vec![event(), event()]);
        columns.leaves("**").unwrap();
        columns
    }

    const ROOM: EditRoom = EditRoom { edits: EDITS_MAX, text_bytes: EDIT_TEXT_BYTES_MAX };

    fn grant(text: &str) -> WriteGrant {
        WriteGrant { text: text.into(), selector: Selector::parse(text).unwrap() }
    }

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    fn message<T: std::fmt::Debug>(result: Checked<T>) -> String {
        result.map_or_else(|e| e.to_string(), |ok| format!("{ok:?}"))
    }

    #[test]
    fn wrong_verdicts() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let table = [
            (vec![0, 1], vec!["r"], "Filter(Verdicts { verdicts: [0, 1], reasons: [\"r\"] })"),
            (vec![0, 0], vec![], "Filter(Verdicts { verdicts: [0, 0], reasons: [] })"),
            (vec![0], vec![], "verdicts has 1 entries, not 2"),
            (vec![0; 3], vec![], "verdicts has 3 entries, not 2"),
            (vec![0, 1], vec![], "verdicts[1] is 1, of 0 entries"),
            (vec![u32::MAX, 1], vec!["r"], "verdicts[0] is 4294967295, of 1 entries"),
            (vec![0, 1], vec!["r", ""], "reasons[1] is not of 1 to 512 bytes (name_bytes_max)"),
            (vec![0, 1], vec![&long], "reasons[0] is not of 1 to 512 bytes (name_bytes_max)"),
        ];
        for (verdicts, reasons, want) in table {
            let answer = v0_1::Verdicts { verdicts, reasons: strings(&reasons) };
            assert_eq!(message(filter(answer, &columns())), want);
        }
    }

    #[test]
    fn names_by_the_million_are_refused_and_unused_ones_forgotten() {
        let with = |verdicts: Vec<u32>, count: usize| {
            let reasons = (1..=count).map(|n| n.to_string()).collect();
            message(filter(v0_1::Verdicts { verdicts, reasons }, &columns()))
        };
        assert_eq!(
            with(vec![0, 65_536], 65_536),
            r#"Filter(Verdicts { verdicts: [0, 1], reasons: ["65536"] })"#
        );
        assert_eq!(with(vec![9, 7], 9), r#"Filter(Verdicts { verdicts: [2, 1], reasons: ["7", "9"] })"#);
        assert_eq!(with(vec![9, 9], 9), r#"Filter(Verdicts { verdicts: [1, 1], reasons: ["9"] })"#);
        assert_eq!(with(vec![0, 1], 2), r#"Filter(Verdicts { verdicts: [0, 1], reasons: ["1", "2"] })"#);
        assert_eq!(with(vec![0, 0], 65_537), "reasons has 65537 entries, more than 65536 (names_max)");
    }

    #[test]
    fn parts_of_a_batch_share_the_room_for_edits() {
        let edit = |rule: &str, op| Edit { node: 2, range: Some((0, 0)), op, rule: rule.into() };
        let part = Answer::Scrub(vec![
            vec![edit("ab", EditOp::Replace("xyz".into())), edit("a", EditOp::Remove)],
            vec![edit("a", EditOp::Hash("key".into()))],
        ]);
        let left = EditRoom { edits: 4, text_bytes: 12 }.without(&part);
        assert_eq!(left, EditRoom { edits: 1, text_bytes: 2 });
        let answer = |count: usize, rule: &str| v0_1::Edits {
            leaf: vec![2; count],
            op: vec![0; count],
            start: vec![0; count],
            end: vec![0; count],
            text: vec![0; count],
            rule: vec![0; count],
            strings: vec![rule.into()],
        };
        let asked = |count, rule| message(scrub(&answer(count, rule), &columns(), &grant("**"), left));
        assert!(asked(1, "ab").starts_with("Scrub("), "{}", asked(1, "ab"));
        assert_eq!(asked(2, "a"), "2 edits, more than 262144 in a batch (edits_max)");
        assert!(asked(1, "abc").ends_with("(edit_text_bytes_max)"), "{}", asked(1, "abc"));
    }

    #[test]
    fn wrong_rates() {
        let table = [
            (vec![0.0, 1.0], vec![0, 1], "Sample("),
            (vec![-0.0, 0.5], vec![0, 0], "Sample("),
            (vec![0.5], vec![0, 0], "rates has 1 entries, not 2"),
            (vec![0.5, 0.5], vec![0], "decided-by has 1 entries, not 2"),
            (vec![0.5, 0.5], vec![0, 2], "decided-by[1] is 2, of 1 entries"),
            (vec![0.5, 1.5], vec![0, 0], "rates[1] is 1.5, not between 0 and 1"),
            (vec![-0.1, 1.0], vec![0, 0], "rates[0] is -0.1, not between 0 and 1"),
            (vec![f64::NAN, 1.0], vec![0, 0], "rates[0] is NaN, not between 0 and 1"),
            (vec![0.0, f64::INFINITY], vec![0, 0], "rates[1] is inf, not between 0 and 1"),
        ];
        for (rates, decided_by, want) in table {
            let answer = v0_1::Rates { rates, decided_by, rules: strings(&["rule"]) };
            let got = message(sample(answer, &columns()));
            assert!(got.starts_with(want), "{got}");
        }
    }

    #[test]
    fn wrong_fingerprints() {
        // (fingerprints of each event, kinds of each, offsets, data, what comes of it)
        type Case = (Vec<u32>, Vec<u32>, Vec<u32>, Vec<u8>, &'static str);
        let table: [Case; 12] = [
            (vec![0, 0], vec![], vec![], vec![], "Fingerprint([[], []])"),
            (vec![0, 1], vec![0], vec![0, 2], b"ab".into(), "Fingerprint([[], [Fingerprint { kind: \"app\""),
            (vec![0], vec![], vec![0], vec![], "counts has 1 entries, not 2"),
            (vec![1, 1], vec![0], vec![0, 1], b"a".into(), "kind has 1 entries, not 2"),
            (vec![0, 1], vec![0], vec![0], b"a".into(), "offsets has 1 entries, not 2"),
            (vec![0, 1], vec![1], vec![0, 1], b"a".into(), "kind[0] is 1, of 1 kinds"),
            (vec![0, 1], vec![0], vec![0, 0], b"a".into(), "fingerprint 0 is not 1 to 64 bytes"),
            (vec![0, 1], vec![0], vec![1, 0], b"a".into(), "fingerprint 0 is not 1 to 64 bytes"),
            (vec![0, 1], vec![0], vec![0, 9], b"a".into(), "fingerprint 0 is not 1 to 64 bytes"),
            (vec![0, 1], vec![0], vec![0, 65], vec![b'a'; 65], "fingerprint 0 is not 1 to 64 bytes"),
            (vec![0, 1], vec![0], vec![0, 1], vec![0xff], "fingerprint 0 is not 1 to 64 bytes"),
            (vec![u32::MAX, 1], vec![], vec![], vec![], "more than 64 fingerprints of one event"),
        ];
        for (counts, kind, offsets, data, want) in table {
            let answer = v0_1::Fingerprints { counts, kind, offsets, data, kinds: strings(&["app"]) };
            let got = message(fingerprint(&answer, &columns()));
            assert!(got.starts_with(want), "{got}, not {want}");
        }
    }

    /// Edits as (place in the event, row, op, start, end, text, rule).
    #[test]
    fn wrong_edits() {
        const ALL: u32 = u32::MAX;
        let mut columns = columns();
        let mut leaf = |path: &str, row: usize| {
            let leaves = columns.leaves("** && ($string || $number)").unwrap();
            let name = |i: usize| {
                let path = leaves.paths[i] as usize;
                let range = leaves.path_offsets[path] as usize..leaves.path_offsets[path + 1] as usize;
                std::str::from_utf8(&leaves.path_data[range]).unwrap()
            };
            let mut found = (0..leaves.ids.len()).filter(|i| name(*i) == path);
            leaves.ids[found.nth(row).unwrap()]
        };
        let (message_0, message_1) = (leaf("message", 0), leaf("message", 1));
        let (email, age, extra) = (leaf("user.email", 0), leaf("user.age", 0), leaf("extra.k", 0));
        type Edit = (u32, u8, u32, u32, u32, u32);
        let table: Vec<(&str, Vec<Edit>, &str)> = vec![
            ("**", vec![], "Scrub([[], []])"),
            (
                "**",
                vec![(message_1, 2, 0, 1, 0, 0)],
                "Scrub([[], [Edit { node: 2, range: Some((0, 1)), op: Mask('t')",
            ),
            (
                "**",
                vec![(age, 0, 0, ALL, 9, 0)],
                "Scrub([[Edit { node: 8, range: None, op: Remove, rule: \"text\" }",
            ),
            (
                "**",
                vec![(email, 1, 2, 4, 0, 0), (email, 0, 0, 2, 0, 0)],
                "Scrub([[Edit { node: 6, range: Some((0, 2))",
            ),
            (
                "**",
                vec![(email, 0, 0, 5, 0, 0)],
                "an edit of bytes 0..5, which are no characters of the text of 4 bytes",
            ),
            ("**", vec![(message_0, 0, 0, 2, 0, 0)], "an edit of bytes 0..2, which are no characters"),
            ("**", vec![(email, 0, 3, 1, 0, 0)], "an edit of bytes 3..1, which are no characters"),
            ("**", vec![(age, 0, 0, 1, 0, 0)], "an edit of a part of the value at byte"),
            ("**", vec![(email, 0, 0, 2, 0, 0), (email, 0, 1, 3, 0, 0)], "edits overlap in the text"),
            ("**", vec![(email, 0, 0, 1, 0, 0), (email, 0, 0, ALL, 0, 0)], "edits overlap in the text"),
            ("**", vec![(9999, 0, 0, 1, 0, 0)], "leaf[0] is 9999, which no call of leaves gave"),
            ("**", vec![(email, 4, 0, 1, 0, 0)], "op[0] is 4: there is no such op"),
            ("**", vec![(email, 1, 0, 1, 7, 0)], "op[0] is 1: text is no index of strings"),
            ("**", vec![(email, 0, 0, 1, 0, 7)], "rule[0] names no string"),
            ("**", vec![(email, 0, 0, 1, 0, 1)], "rule[0] names no string"),
            ("user.**", vec![(email, 0, 0, 1, 0, 0)], "Scrub("),
            ("user.**", vec![(extra, 0, 0, 1, 0, 0)], "writing the value at byte"),
        ];
        for (writes, edits, want) in table {
            let answer = v0_1::Edits {
                leaf: edits.iter().map(|e| e.0).collect(),
                op: edits.iter().map(|e| e.1).collect(),
                start: edits.iter().map(|e| e.2).collect(),
                end: edits.iter().map(|e| e.3).collect(),
                text: edits.iter().map(|e| e.4).collect(),
                rule: edits.iter().map(|e| e.5).collect(),
                strings: strings(&["text", ""]),
            };
            let got = message(scrub(&answer, &columns, &grant(writes), ROOM));
            assert!(got.starts_with(want), "{got}, not {want}");
        }
    }

    #[test]
    fn lists_of_edits_that_differ_in_length() {
        let mut answer = v0_1::Edits {
            leaf: vec![1],
            op: vec![0],
            start: vec![0],
            end: vec![0],
            text: vec![0],
            rule: vec![],
            strings: vec![],
        };
        assert_eq!(message(scrub(&answer, &columns(), &grant("**"), ROOM)), "rule has 0 entries, not 1");
        answer.leaf = vec![0; EDITS_MAX + 1];
        assert_eq!(
            message(scrub(&answer, &columns(), &grant("**"), ROOM)),
            "262145 edits, more than 262144 in a batch (edits_max)"
        );
    }

    /// One long text in many edits would be as many long texts.
    #[test]
    fn a_long_text_in_many_edits() {
        let columns = columns();
        let count = 100;
        let answer = v0_1::Edits {
            leaf: vec![2; count],
            op: vec![1; count],
            start: vec![0; count],
            end: vec![0; count],
            text: vec![1; count],
            rule: vec![0; count],
            strings: vec!["rule".into(), "x".repeat(EDIT_TEXT_BYTES_MAX / 50)],
        };
        let got = message(scrub(&answer, &columns, &grant("**"), ROOM));
        assert_eq!(got, "more than 67108864 bytes of new text in all edits of a batch (edit_text_bytes_max)");
    }
}
