//! Checks a guest's answer in full and turns it into the pipeline's; merges the answers of parts of a batch.

use host_event::{Columns, Doc, Edit, EditOp, Kind, NodeRef, Reason, Selector};
use host_pipeline::{Answer, Fingerprint, Rates, Verdicts};

use crate::failure::Objection;
use crate::limits::{
    EDIT_TEXT_BYTES_MAX, EDITS_MAX, FINGERPRINT_BYTES_MAX, FINGERPRINTS_MAX, NAME_BYTES_MAX,
};
use crate::v0_1;

/// Where a scrubber may edit.
pub(crate) struct WriteGrant {
    pub(crate) text: String,
    pub(crate) selector: Selector,
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
    Ok(Answer::Sample(Rates { rates, decided_by, rules }))
}

pub(crate) fn scrub(answer: &v0_1::Edits, columns: &Columns, writes: &WriteGrant) -> Checked<Answer> {
    let count = answer.leaf.len();
    ensure!(count <= EDITS_MAX, "{count} edits, more than {EDITS_MAX} (edits_max)");
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
            Objection::Answer(format!("rule[{at}] names no string of 1 to {NAME_BYTES_MAX} bytes"))
        })?;
        let op = op(answer.op[at], text(answer.text[at]))
            .map_err(|what| Objection::Answer(format!("op[{at}] is {}: {what}", answer.op[at])))?;
        // One long string may stand in many edits.
        bytes += rule.len() + text_of(&op).len();
        ensure!(
            bytes <= EDIT_TEXT_BYTES_MAX,
            "more than {EDIT_TEXT_BYTES_MAX} bytes of new text in all edits"
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
    ensure!(over.is_none(), "more than {FINGERPRINTS_MAX} fingerprints of one event");
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
            "fingerprint {at} is not 1 to {FINGERPRINT_BYTES_MAX} bytes of UTF-8 inside of data"
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
    let wrong = names.iter().position(|name| name.is_empty() || name.len() > NAME_BYTES_MAX);
    ensure!(wrong.is_none(), "{list}[{}] is not of 1 to {NAME_BYTES_MAX} bytes", wrong.unwrap_or_default());
    Ok(())
}

/// Edits of one event, sorted by value and range, must lie inside of their values and not touch the same bytes. An object
/// and its member are the same bytes.
fn edits_of_event(doc: &Doc, edits: &[Edit], writes: &WriteGrant) -> Checked<()> {
    let mut free_from = 0;
    for of_value in edits.chunk_by(|a, b| a.node == b.node) {
        let node = of_value[0].node;
        let value = doc.node(node).ok_or_else(|| Objection::Answer("an edit of no value".to_owned()))?;
        let (from, to) = value.span();
        ensure!(from >= free_from, "edits overlap at byte {from} of the event");
        free_from = to;
        if !writes.selector.is_everything() && !writes.selector.grants_node(doc, node) {
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
