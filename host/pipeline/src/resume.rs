//! Where a partition is gone on with, when others than Tamis can set its committed offset, make its log anew or cut it off.
//!
//! The chain of chunks in the store says where; the log's committed offset only says which chunk is the last one, in the note beside it. A
//! commit without a note of ours was made by somebody else. Decided here, without asking anybody: who calls has asked.

use host_event::Offset;
use host_queue::Shared;

use crate::sink::{Mark, Tail};

/// What a note begins with. What follows is the path of the ledger of the chunk that ends at the committed offset.
const NOTE_BEGIN: &str = "tamis1 ";

/// What stands beside a commit of ours.
pub fn note_of(ledger_path: &str) -> String {
    format!("{NOTE_BEGIN}{ledger_path}")
}

/// The ledger that a note names. `None` for notes of others.
pub fn ledger_of(note: &str) -> Option<&str> {
    note.strip_prefix(NOTE_BEGIN)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Begin {
    At(Start),
    /// The note names a chunk that does not end there, so it is not what it was taken for: the store has to be searched.
    Search,
    /// Going on could lose or double records: what is wrong, and what to do.
    Refuse(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Start {
    pub(crate) epoch: u32,
    pub(crate) next: Offset,
    /// The record before `next` must be this one.
    pub(crate) before: Option<Mark>,
    /// The chain begins here, although older records are gone.
    pub(crate) begins: bool,
    /// Somebody set the committed offset back, and is not obeyed.
    pub(crate) reset_from: Option<Offset>,
}

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowed {
    /// A new epoch of the chain, where the old one can not go on, or where somebody set the group to.
    pub reprocess: bool,
}

/// `searched`: the tail was looked for in the whole store, and not taken from the note.
pub(crate) fn begin(shared: &Shared, tail: Option<&Tail>, searched: bool, allowed: Allowed) -> Begin {
    let Some(tail) = tail else { return without_chain(shared, searched) };
    let committed = shared.committed.unwrap_or(tail.end);
    if committed != tail.end && !searched {
        return Begin::Search;
    }
    // A commit of ours that is behind is one that was lost: whoever always starts with the permission must not double for it.
    let is_set = committed != tail.end && ledger_of(&shared.note).is_none();
    if allowed.reprocess && (is_set || !is_inside(tail.end, shared)) {
        return Begin::At(anew(shared, tail));
    }
    if committed > tail.end {
        return Begin::Refuse(format!(
            "the group is committed at {committed}, and the last chunk in the store ends at {}: what is between them would be in no \
             chunk. If that is meant, start once with --allow-reprocess",
            tail.end
        ));
    }
    go_on(shared, tail, committed)
}

/// A new epoch: where somebody set the group to, otherwise with the oldest record. An offset of ours says nothing of a log that is
/// another one; to begin there would pass over what was never worked off.
pub(crate) fn anew(shared: &Shared, tail: &Tail) -> Start {
    let set = shared.committed.filter(|_| ledger_of(&shared.note).is_none());
    let next = set.map_or(shared.oldest, |set| set.clamp(shared.oldest, shared.end.max(shared.oldest)));
    Start { epoch: tail.epoch + 1, next, ..Start::default() }
}

fn is_inside(next: Offset, shared: &Shared) -> bool {
    (shared.oldest..=shared.end).contains(&next)
}

fn go_on(shared: &Shared, tail: &Tail, committed: Offset) -> Begin {
    let Shared { oldest, end, .. } = *shared;
    let Tail { path, epoch, end: next, last } = tail;
    if *next > end {
        return Begin::Refuse(format!(
            "the log ends at {end}, and the last chunk ({path}) at {next}: the topic was made anew, or lost records that were \
             acknowledged. Use another topic name, or start once with --allow-reprocess"
        ));
    }
    if *next < oldest {
        return Begin::Refuse(format!(
            "the log begins at {oldest}, and the last chunk ({path}) ends at {next}: {} records were deleted before they were \
             written. To go on without them, start once with --allow-reprocess",
            oldest - next
        ));
    }
    // The record before the first one that is left can not be looked at.
    let before = last.filter(|_| *next > oldest);
    let reset_from = Some(committed).filter(|committed| committed < next && shared.committed.is_some());
    Begin::At(Start { epoch: *epoch, next: *next, before, begins: false, reset_from })
}

/// The first time that this store sees the partition.
fn without_chain(shared: &Shared, searched: bool) -> Begin {
    let Shared { committed, note, oldest, end } = shared;
    if let Some(path) = ledger_of(note) {
        return Begin::Refuse(format!(
            "the group is committed behind {path}, and the store has no such file: is it another store? With another \
             `queue.kafka.group` everything that the topic still has is processed anew"
        ));
    }
    if !searched {
        return Begin::Search;
    }
    let next = committed.unwrap_or(*oldest);
    if !(*oldest..=*end).contains(&next) {
        return Begin::Refuse(format!(
            "the group is committed at {next}, and the log has {oldest} to {end}: reset the group's offset"
        ));
    }
    Begin::At(Start { next, begins: next > 0, ..Start::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTED: &str = "tamis1 outcomes/a.parquet";

    fn shared(committed: Option<Offset>, note: &str, oldest: Offset, end: Offset) -> Shared {
        Shared { committed, note: note.into(), oldest, end }
    }

    fn tail(end: Offset) -> Tail {
        let last = Some(Mark { queued_at: 1, crc: 2 });
        Tail { path: "outcomes/a.parquet".into(), epoch: 0, end, last }
    }

    #[test]
    fn a_chain_goes_on_where_it_ends() {
        let mark = tail(9).last;
        let at =
            |next, before, reset_from| Begin::At(Start { epoch: 0, next, before, begins: false, reset_from });
        for (told, searched, want) in [
            (shared(Some(9), NOTED, 0, 20), false, at(9, mark, None)),
            (shared(Some(9), NOTED, 9, 20), false, at(9, None, None)),
            (shared(Some(5), NOTED, 0, 20), false, Begin::Search),
            (shared(Some(5), "", 0, 20), true, at(9, mark, Some(5))),
            (shared(None, "", 0, 20), true, at(9, mark, None)),
        ] {
            assert_eq!(begin(&told, Some(&tail(9)), searched, Allowed::default()), want, "{told:?}");
        }
    }

    #[test]
    fn a_partition_that_is_new_begins_with_its_oldest_record() {
        let start = |next, begins| Begin::At(Start { next, begins, ..Start::default() });
        for (told, searched, want) in [
            (shared(None, "", 0, 0), false, Begin::Search),
            (shared(None, "", 0, 0), true, start(0, false)),
            (shared(None, "", 7, 9), true, start(7, true)),
            (shared(Some(8), "", 7, 9), true, start(8, true)),
        ] {
            assert_eq!(begin(&told, None, searched, Allowed::default()), want, "{told:?}");
        }
    }

    #[test]
    fn what_could_lose_or_double_is_refused_or_a_new_epoch() {
        let epoch = |next| Begin::At(Start { epoch: 1, next, ..Start::default() });
        for (told, tail, word, allowed) in [
            (shared(Some(12), "", 0, 20), Some(tail(9)), "would be in no chunk", Some(epoch(12))),
            (shared(Some(9), NOTED, 0, 4), Some(tail(9)), "made anew", Some(epoch(0))),
            (shared(Some(9), "", 0, 4), Some(tail(9)), "made anew", Some(epoch(4))),
            (shared(Some(3), "", 0, 4), Some(tail(9)), "made anew", Some(epoch(3))),
            (shared(None, "", 0, 4), Some(tail(9)), "made anew", Some(epoch(0))),
            (shared(Some(9), NOTED, 15, 20), Some(tail(9)), "6 records were deleted", Some(epoch(15))),
            (shared(Some(9), NOTED, 0, 20), None, "another store", None),
            (shared(Some(9), "", 0, 5), None, "reset the group's offset", None),
        ] {
            let refused = begin(&told, tail.as_ref(), true, Allowed::default());
            assert!(matches!(&refused, Begin::Refuse(what) if what.contains(word)), "{refused:?}");
            let anyway = begin(&told, tail.as_ref(), true, Allowed { reprocess: true });
            assert_eq!(anyway, allowed.unwrap_or(refused));
        }
        let back = shared(Some(5), "", 0, 20);
        let allowed = Allowed { reprocess: true };
        assert_eq!(begin(&back, Some(&tail(9)), true, allowed), epoch(5));
        let lost = shared(Some(5), NOTED, 0, 20);
        let goes_on = begin(&lost, Some(&tail(9)), true, allowed);
        assert_eq!(
            goes_on,
            begin(&lost, Some(&tail(9)), true, Allowed::default()),
            "a commit of ours was lost"
        );
    }
}
