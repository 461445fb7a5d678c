//! `logs`: structured log lines.

use host_event::{Doc, NodeRef};

use crate::columns::{Int, MaybeInt, MaybeText, Payload, Real, Text, Time};
use crate::nested::{NumberMap, TextMap};
use crate::schema::table;
use crate::tables::{Origin, SortKey, push_or, push_origin};
use crate::wire::{attribute_value as value, fields, plausible_micros, span_id, trace_id};

table! {
    /// Log lines, a row for each that was accepted.
    struct Logs {
        /// The project, as in the DSN.
        project_id: Int,
        /// The id that Tamis gave to the record.
        event_id: Text,
        /// When it was written, by the client's clock; `received_at` where that can not be read or is more than ten years off.
        timestamp: Time,
        /// When Tamis received it.
        received_at: Time,
        /// `trace`, `debug`, `info`, `warn`, `error` or `fatal`.
        level: MaybeText,
        /// The same as OpenTelemetry's number, 1 to 24.
        severity_number: MaybeInt,
        /// The text.
        body: MaybeText,
        /// The trace it belongs to.
        trace_id: MaybeText,
        /// The span in which it was written, 16 digits.
        span_id: MaybeText,
        /// The environment that the line names, else that of the DSN key.
        environment: MaybeText,
        /// The release.
        release: MaybeText,
        /// The name of the SDK.
        sdk_name: MaybeText,
        /// The version of the SDK.
        sdk_version: MaybeText,
        /// The attributes, values as text.
        attributes: TextMap,
        /// Those attributes that are numbers, as numbers.
        numbers: NumberMap,
        /// The rate at which the client sampled; 1 where it says nothing.
        client_sample_rate: Real,
        /// The rate at which the pipeline sampled; 1 where no stage did.
        server_sample_rate: Real,
        /// The product of both.
        sample_rate: Real,
        /// The generation of the pipeline that decided about it.
        generation: Int,
        /// The partition of the queue it came from.
        partition: Int,
        /// Its offset in that partition.
        offset: Int,
        /// The whole log line as JSON, after scrubbing.
        payload: Payload,
    }
}

fields! {
    struct LogFields {
        timestamp = b"timestamp",
        level = b"level",
        severity_number = b"severity_number",
        body = b"body",
        trace_id = b"trace_id",
        span_id = b"span_id",
        attributes = b"attributes",
    }
}

fields! {
    struct LogAttributes {
        environment = b"sentry.environment",
        release = b"sentry.release",
        parent_span_id = b"sentry.trace.parent_span_id",
        sdk_name = b"sentry.sdk.name",
        sdk_version = b"sentry.sdk.version",
    }
}

impl Logs {
    pub(crate) fn push(&mut self, origin: Origin<'_>, doc: &Doc) -> SortKey {
        let f = LogFields::of(doc.root());
        let a = LogAttributes::of(f.attributes);
        let (sdk_name, sdk_version) = origin.sdk();
        let timestamp = plausible_micros(f.timestamp, origin.meta.received_at);
        self.project_id.push(origin.project());
        self.event_id.push_id(origin.meta.event_id.0);
        self.timestamp.push(timestamp);
        self.received_at.push(origin.received_micros());
        self.level.push_node(f.level);
        self.severity_number.push(f.severity_number.and_then(NodeRef::as_i64));
        self.body.push_node(f.body);
        self.trace_id.push_id(trace_id(f.trace_id));
        self.span_id.push(span_id(f.span_id.or(value(a.parent_span_id))).as_deref());
        push_or(&mut self.environment, value(a.environment), Some(&origin.meta.environment));
        self.release.push_node(value(a.release));
        push_or(&mut self.sdk_name, value(a.sdk_name), sdk_name);
        push_or(&mut self.sdk_version, value(a.sdk_version), sdk_version);
        self.attributes.push_attributes(f.attributes);
        self.numbers.push(None, f.attributes);
        push_origin!(self, origin);
        self.payload.push(doc.text().clone());
        SortKey { project: origin.project(), group: 0, timestamp }
    }
}
