//! The proof of a round of release: what it says of offsets that were in quarantine until then, and of no others.

use host_event::Outcome;

use super::{Bits, BreachKind, OutcomeRow, Proof, Table};
use crate::ledger::each_of;
use crate::store::StoreError;

impl Proof<'_> {
    /// `held` are the offsets of the chunk that are in quarantine before this round, and then those that are after it.
    ///
    /// All other offsets count as settled from the start, as they are: by the chunk itself, an earlier round, or quarantine. So what holds
    /// for a chunk holds here, too: no offset may be settled again, and every released one must be, once.
    pub(in crate::verify) fn run_round(mut self, held: &mut Bits) -> Result<(), StoreError> {
        let Some(length) = self.length() else { return Ok(()) };
        let (start, range) = (self.chunk.ledger.start, self.chunk.ledger.range());
        let Some(round) = self.chunk.ledger.release.clone() else { return Ok(()) };
        let listed: u64 = round.offsets.iter().map(|(_, n)| *n).fold(0, u64::saturating_add);
        let mut released = Bits::new(length);
        let mut count = 0;
        for offset in each_of(&round.offsets, &range) {
            count += 1;
            if released.set(offset - start) == Some(true) || !held.unset(offset - start) {
                let what = "it was not in quarantine, or was released before".into();
                self.breach_at(BreachKind::Duplicate, Table::Outcomes, offset, what);
            }
        }
        if count != listed || count == 0 {
            self.breach(
                BreachKind::OutOfRange,
                format!("{count} of {listed} released offsets are of its chunk"),
            );
        }
        self.findings.report.rounds += 1;
        self.findings.report.released += count;
        self.settled = released.inverse();
        self.taken_back = Bits::new(length);
        let quarantined = self.read_outcomes(length)?;
        if self.taken_back != released {
            let what = "what it releases is not what it takes back".into();
            self.breach(BreachKind::Conservation, what);
        }
        self.read_tables(&quarantined)
    }

    /// A row that takes back the outcome of an item that was in quarantine.
    pub(super) fn take_back(&mut self, row: &OutcomeRow<'_>) {
        let place = row.offset.map(|offset| offset.wrapping_sub(self.chunk.ledger.start));
        let is_item = row.quantity == -1 && row.is_item && row.outcome == Outcome::Quarantined.as_str();
        let is_fine = is_item && self.chunk.ledger.release.is_some();
        if !is_fine || place.is_none_or(|place| self.taken_back.set(place) != Some(false)) {
            let what = format!("{} of {} can not be taken back", row.quantity, row.outcome);
            self.breach(BreachKind::Conservation, what);
        }
    }
}

impl Bits {
    fn inverse(&self) -> Bits {
        let mut inverse = Bits { words: self.words.iter().map(|word| !word).collect(), length: self.length };
        // Behind the end nothing is set, as in all others.
        let behind = inverse.words.len() as u64 * 64 - self.length;
        if let Some(last) = inverse.words.last_mut() {
            *last &= u64::MAX >> behind;
        }
        inverse
    }
}
