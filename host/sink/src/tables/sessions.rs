//! `sessions`: release health, single updates and aggregates.

use host_event::{Doc, NodeRef};

use crate::columns::{Int, MaybeFlag, MaybeInt, MaybeReal, MaybeText, MaybeTime, Payload, Text, Time};
use crate::schema::table;
use crate::tables::{Origin, SortKey, push_or};
use crate::wire::{fields, finite, near_micros, plausible_micros, trace_id};

table! {
    /// Session updates, a row for each item: either one session's (`session_id`), or aggregates of many (`exited`, `errored`, ...).
    struct Sessions {
        /// The project, as in the DSN.
        project_id: Int,
        /// The id that Tamis gave to the record.
        event_id: Text,
        /// When the update was made, by the client's clock; `received_at` where that can not be read or is more than ten years off.
        timestamp: Time,
        /// When Tamis received it.
        received_at: Time,
        /// The session; null for aggregates.
        session_id: MaybeText,
        /// The user or device that the client names (`did`).
        distinct_id: MaybeText,
        /// `ok`, `exited`, `crashed`, `abnormal`, ...
        status: MaybeText,
        /// A number that grows with each update of a session.
        seq: MaybeInt,
        /// Whether this is the first update of the session.
        init: MaybeFlag,
        /// When the session began; for aggregates the earliest.
        started: MaybeTime,
        /// Seconds that it lasted.
        duration: MaybeReal,
        /// Errors that happened during it.
        errors: MaybeInt,
        /// Aggregates: sessions that ended well.
        exited: MaybeInt,
        /// Aggregates: sessions with errors.
        errored: MaybeInt,
        /// Aggregates: sessions that crashed.
        crashed: MaybeInt,
        /// Aggregates: sessions that ended in another way.
        abnormal: MaybeInt,
        /// The release.
        release: MaybeText,
        /// The environment that the session names, else that of the DSN key.
        environment: MaybeText,
        /// The generation of the pipeline at that time.
        generation: Int,
        /// The partition of the queue it came from.
        partition: Int,
        /// Its offset in that partition.
        offset: Int,
        /// The whole item as JSON.
        payload: Payload,
    }
}

fields! {
    struct SessionFields {
        sid = b"sid",
        did = b"did",
        status = b"status",
        seq = b"seq",
        init = b"init",
        timestamp = b"timestamp",
        started = b"started",
        duration = b"duration",
        errors = b"errors",
        attrs = b"attrs",
        aggregates = b"aggregates",
    }
}

impl Sessions {
    pub(crate) fn push(&mut self, origin: Origin<'_>, doc: &Doc) -> SortKey {
        let f = SessionFields::of(doc.root());
        let buckets = || f.aggregates.into_iter().flat_map(|a| a.items());
        let sum = |key| {
            let counts = buckets().filter_map(|b| b.get(key)?.as_i64());
            f.aggregates.map(|_| counts.fold(0, i64::saturating_add))
        };
        let earliest =
            || buckets().filter_map(|b| near_micros(b.get("started"), origin.meta.received_at)).min();
        let timestamp = plausible_micros(f.timestamp, origin.meta.received_at);
        self.project_id.push(origin.project());
        self.event_id.push_id(origin.meta.event_id.0);
        self.timestamp.push(timestamp);
        self.received_at.push(origin.received_micros());
        self.session_id.push_id(trace_id(f.sid));
        self.distinct_id.push_node(f.did);
        self.status.push_node(f.status);
        self.seq.push(f.seq.and_then(NodeRef::as_i64));
        self.init.push(f.init.and_then(NodeRef::as_bool));
        self.started.push(near_micros(f.started, origin.meta.received_at).or_else(earliest));
        self.duration.push(finite(f.duration));
        self.errors.push(f.errors.and_then(NodeRef::as_i64));
        self.exited.push(sum("exited"));
        self.errored.push(sum("errored"));
        self.crashed.push(sum("crashed"));
        self.abnormal.push(sum("abnormal"));
        self.release.push_node(f.attrs.and_then(|a| a.get("release")));
        let environment = f.attrs.and_then(|a| a.get("environment"));
        push_or(&mut self.environment, environment, Some(&origin.meta.environment));
        self.generation.push(origin.generation);
        self.partition.push(origin.partition);
        self.offset.push(origin.offset);
        self.payload.push(doc.text().clone());
        SortKey { project: origin.project(), group: 0, timestamp }
    }
}
