//! `groups`: what one chunk says of each group.

use host_event::{Offset, Partition};
use host_group::Rollup;

use crate::columns::{Int, MaybeText, Real, Text, Time};
use crate::nested::Fingerprints;
use crate::schema::table;
use crate::tables::{SortKey, signed};
use crate::wire::micros_of_millis;

table! {
    /// A row per chunk and group: sum `count` and `weighted_count`, take `min(first_seen)` and `max(last_seen)`, and an issue list over a
    /// month reads only this.
    struct Groups {
        /// The project, as in the DSN.
        project_id: Int,
        /// The group.
        group_id: Text,
        /// `type: value`, or the message, of the first event of the chunk.
        title: MaybeText,
        /// Where it happened.
        culprit: MaybeText,
        /// The type of the exception.
        r#type: MaybeText,
        /// Its value, or the message.
        value: MaybeText,
        /// The level of the first event of the chunk.
        level: MaybeText,
        /// Events of the group in this chunk.
        count: Int,
        /// The sum of `1 / sample_rate`: how many there were before anybody sampled.
        weighted_count: Real,
        /// The earliest `timestamp`, to the millisecond.
        first_seen: Time,
        /// The latest `timestamp`, to the millisecond.
        last_seen: Time,
        /// The event that was seen last.
        sample_event_id: Text,
        /// All fingerprints of the first event of the chunk.
        fingerprints: Fingerprints,
        /// The newest generation of the pipeline that decided about an event of the chunk.
        generation: Int,
        /// The partition of the queue it came from.
        partition: Int,
        /// The first offset of the chunk.
        chunk_start: Int,
    }
}

impl Groups {
    pub(crate) fn push(
        &mut self,
        rollup: &Rollup,
        generation: u64,
        partition: Partition,
        chunk_start: Offset,
    ) -> SortKey {
        let headline = &rollup.group.headline;
        let project = signed(rollup.project_id);
        let last_seen = micros_of_millis(rollup.last_seen);
        self.project_id.push(project);
        self.group_id.push_id(rollup.group.id.0);
        self.title.push(Some(&headline.title));
        self.culprit.push(Some(&headline.culprit));
        self.r#type.push(Some(&headline.kind));
        self.value.push(Some(&headline.value));
        self.level.push(Some(&rollup.level));
        self.count.push(signed(rollup.count));
        self.weighted_count.push(rollup.weighted_count);
        self.first_seen.push(micros_of_millis(rollup.first_seen));
        self.last_seen.push(last_seen);
        self.sample_event_id.push_id(rollup.sample_event_id.0);
        self.fingerprints.push(&rollup.group.fingerprints);
        self.generation.push(signed(generation));
        self.partition.push(i64::from(partition));
        self.chunk_start.push(signed(chunk_start));
        SortKey { project, group: rollup.group.id.0, timestamp: last_seen }
    }
}
