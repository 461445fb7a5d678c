//! `check_ins`: what cron monitors report.

use host_event::Doc;

use crate::columns::{Int, MaybeReal, MaybeText, Payload, Text, Time};
use crate::schema::table;
use crate::tables::{Origin, SortKey, push_or};
use crate::wire::{fields, finite, trace_id};

table! {
    /// Check-ins of cron monitors, a row for each.
    struct CheckIns {
        /// The project, as in the DSN.
        project_id: Int,
        /// The id that Tamis gave to the record.
        event_id: Text,
        /// When Tamis received it: check-ins carry no time of their own.
        timestamp: Time,
        /// The check-in: the same id for `in_progress` and what follows it.
        check_in_id: MaybeText,
        /// The name of the monitor.
        monitor_slug: MaybeText,
        /// `in_progress`, `ok` or `error`.
        status: MaybeText,
        /// Seconds that the job took.
        duration: MaybeReal,
        /// The environment that the check-in names, else that of the DSN key.
        environment: MaybeText,
        /// The release.
        release: MaybeText,
        /// The trace it belongs to.
        trace_id: MaybeText,
        /// The generation of the pipeline at that time.
        generation: Int,
        /// The partition of the queue it came from.
        partition: Int,
        /// Its offset in that partition.
        offset: Int,
        /// The whole check-in as JSON, with the monitor's configuration where the client sent it.
        payload: Payload,
    }
}

fields! {
    struct CheckInFields {
        check_in_id = b"check_in_id",
        monitor_slug = b"monitor_slug",
        status = b"status",
        duration = b"duration",
        environment = b"environment",
        release = b"release",
        contexts = b"contexts",
    }
}

impl CheckIns {
    pub(crate) fn push(&mut self, origin: Origin<'_>, doc: &Doc) -> SortKey {
        let f = CheckInFields::of(doc.root());
        let timestamp = origin.received_micros();
        self.project_id.push(origin.project());
        self.event_id.push_id(origin.meta.event_id.0);
        self.timestamp.push(timestamp);
        self.check_in_id.push_id(trace_id(f.check_in_id));
        self.monitor_slug.push_node(f.monitor_slug);
        self.status.push_node(f.status);
        self.duration.push(finite(f.duration));
        push_or(&mut self.environment, f.environment, Some(&origin.meta.environment));
        self.release.push_node(f.release);
        let trace = f.contexts.and_then(|c| c.dig(&["trace", "trace_id"]));
        self.trace_id.push_id(trace_id(trace));
        self.generation.push(origin.generation);
        self.partition.push(origin.partition);
        self.offset.push(origin.offset);
        self.payload.push(doc.text().clone());
        SortKey { project: origin.project(), group: 0, timestamp }
    }
}
