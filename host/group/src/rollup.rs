//! What one chunk says of each group: an issue list over a month reads only these rows.

use hashbrown::HashMap;
use host_event::{EventId, Millis, ProjectId};

use crate::{Group, GroupId};

/// One group within one chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup {
    pub project_id: ProjectId,
    pub group: Group,
    pub level: String,
    pub count: u64,
    /// The sum of `1 / sample_rate`: how many there were before anything was sampled.
    pub weighted_count: f64,
    pub first_seen: Millis,
    pub last_seen: Millis,
    /// The event that was seen last.
    pub sample_event_id: EventId,
}

/// An event as its group sees it.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    pub project_id: ProjectId,
    pub event_id: EventId,
    /// The event's own time.
    pub seen: Millis,
    pub level: &'a str,
    /// The product of the client's and the server's rate.
    pub sample_rate: f64,
}

#[derive(Debug, Default)]
pub struct Rollups(HashMap<GroupId, Rollup>);

impl Rollups {
    pub fn add(&mut self, group: &Group, member: Member<'_>) {
        let weight = 1.0 / member.sample_rate;
        let Some(rollup) = self.0.get_mut(&group.id) else {
            self.0.insert(group.id, Rollup::first(group, member, weight));
            return;
        };
        rollup.count += 1;
        rollup.weighted_count += weight;
        rollup.first_seen = rollup.first_seen.min(member.seen);
        if member.seen >= rollup.last_seen {
            rollup.last_seen = member.seen;
            rollup.sample_event_id = member.event_id;
        }
    }

    /// All rollups, sorted by project and group.
    pub fn into_sorted(self) -> Vec<Rollup> {
        let mut all: Vec<_> = self.0.into_values().collect();
        all.sort_unstable_by_key(|r| (r.project_id, r.group.id));
        all
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Rollup {
    fn first(group: &Group, member: Member<'_>, weight: f64) -> Rollup {
        Rollup {
            project_id: member.project_id,
            group: group.clone(),
            level: member.level.to_owned(),
            count: 1,
            weighted_count: weight,
            first_seen: member.seen,
            last_seen: member.seen,
            sample_event_id: member.event_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headline;

    #[test]
    fn counts_weights_and_times() {
        let group = |p, hash: &str| Group {
            id: GroupId::of(p, hash),
            fingerprints: vec![("app".into(), hash.into())],
            headline: Headline::default(),
        };
        let member = |project_id, event, seen, sample_rate| Member {
            project_id,
            event_id: EventId(event),
            seen,
            level: "error",
            sample_rate,
        };
        let mut rollups = Rollups::default();
        rollups.add(&group(2, "a"), member(2, 1, 50, 0.5));
        rollups.add(&group(2, "a"), member(2, 2, 40, 0.25));
        rollups.add(&group(1, "a"), member(1, 3, 60, 1.0));
        let rows = rollups.into_sorted();
        let seen: Vec<_> = rows
            .iter()
            .map(|r| (r.project_id, r.count, r.weighted_count, r.first_seen, r.last_seen))
            .collect();
        assert_eq!(seen, [(1, 1, 1.0, 60, 60), (2, 2, 6.0, 40, 50)]);
        assert_eq!(rows[1].sample_event_id, EventId(1));
    }
}
