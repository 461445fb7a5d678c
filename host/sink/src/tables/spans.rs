//! `spans`: what took how long. Transactions of older SDKs and span containers of newer ones give the same rows.

use host_event::{Doc, Kind, NodeRef};

use crate::columns::{Int, MaybeFlag, MaybePayload, MaybeReal, MaybeText, MaybeTime, Real, Text, Time};
use crate::nested::{NumberMap, TextMap};
use crate::schema::table;
use crate::tables::{Origin, SortKey, push_or, push_origin};
use crate::wire::{attribute_value as value, fields, near_micros, plausible_micros, span_id, trace_id};

/// Children of one transaction that become rows. SDKs stop at 1,000; a hostile client could make a hundred bytes of memory of each
/// byte that it sends.
const CHILDREN_MAX: usize = 10_000;

table! {
    /// Spans, a row for each. A transaction is its segment span (`is_segment`, with the transaction's payload) and a row for each of
    /// its children (the first 10,000; what goes beyond stays in the payload); the span containers of newer SDKs give the same rows.
    struct Spans {
        /// The project, as in the DSN.
        project_id: Int,
        /// The id of the transaction, the same for its children; for a span that came by itself the id that Tamis gave to the record.
        event_id: Text,
        /// When it began, by the client's clock; `received_at` where that can not be read or is more than ten years off.
        timestamp: Time,
        /// When it ended.
        end_timestamp: MaybeTime,
        /// How long it took, in milliseconds; null unless both times can be read.
        duration_ms: MaybeReal,
        /// When Tamis received it.
        received_at: Time,
        /// The trace it belongs to.
        trace_id: MaybeText,
        /// Its own id, 16 digits.
        span_id: MaybeText,
        /// The span that it is a part of, 16 digits.
        parent_span_id: MaybeText,
        /// The segment that it is a part of, 16 digits: the span id of the transaction.
        segment_id: MaybeText,
        /// Whether it is the root of a segment, in other words a transaction.
        is_segment: MaybeFlag,
        /// The kind of work, e.g. `http.server` or `db.query`.
        op: MaybeText,
        /// What it did, e.g. the query or URL; for a segment its name.
        description: MaybeText,
        /// The name of the segment.
        transaction: MaybeText,
        /// `ok`, `error`, or Sentry's finer statuses.
        status: MaybeText,
        /// What made the span: `manual`, `auto.http.django`, ...
        origin: MaybeText,
        /// The platform of the SDK.
        platform: MaybeText,
        /// The environment that the transaction or span names, else that of the DSN key.
        environment: MaybeText,
        /// The release.
        release: MaybeText,
        /// The distribution within the release.
        dist: MaybeText,
        /// `user.id`.
        user_id: MaybeText,
        /// The name of the SDK.
        sdk_name: MaybeText,
        /// The version of the SDK.
        sdk_version: MaybeText,
        /// Tags of the transaction or child.
        tags: TextMap,
        /// `data` of the child or of the transaction's trace context, or the attributes of the span, values as text.
        attributes: TextMap,
        /// `measurements` of the transaction or child, without their units, and those attributes that are numbers, as numbers.
        measurements: NumberMap,
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
        /// The offset of its record in that partition: a transaction and its children share one.
        offset: Int,
        /// The whole transaction or span as JSON, after scrubbing; null for children, which the payload of their segment contains.
        payload: MaybePayload,
    }
}

fields! {
    struct TransactionFields {
        start_timestamp = b"start_timestamp",
        timestamp = b"timestamp",
        transaction = b"transaction",
        platform = b"platform",
        environment = b"environment",
        release = b"release",
        dist = b"dist",
        user = b"user",
        sdk = b"sdk",
        contexts = b"contexts",
        tags = b"tags",
        measurements = b"measurements",
        spans = b"spans",
    }
}

fields! {
    struct SpanFields {
        trace_id = b"trace_id",
        span_id = b"span_id",
        parent_span_id = b"parent_span_id",
        op = b"op",
        description = b"description",
        name = b"name",
        status = b"status",
        origin = b"origin",
        start_timestamp = b"start_timestamp",
        timestamp = b"timestamp",
        end_timestamp = b"end_timestamp",
        is_segment = b"is_segment",
        tags = b"tags",
        data = b"data",
        measurements = b"measurements",
        attributes = b"attributes",
    }
}

fields! {
    struct AttributeFields {
        op = b"sentry.op",
        origin = b"sentry.origin",
        segment_id = b"sentry.segment.id",
        segment_name = b"sentry.segment.name",
        platform = b"sentry.platform",
        environment = b"sentry.environment",
        release = b"sentry.release",
        dist = b"sentry.dist",
        user_id = b"user.id",
        sdk_name = b"sentry.sdk.name",
        sdk_version = b"sentry.sdk.version",
    }
}

/// What all spans of one record share.
struct Common<'a> {
    origin: Origin<'a>,
    segment_id: Option<String>,
    transaction: Option<NodeRef<'a>>,
    platform: Option<NodeRef<'a>>,
    environment: Option<NodeRef<'a>>,
    release: Option<NodeRef<'a>>,
    dist: Option<NodeRef<'a>>,
    user_id: Option<NodeRef<'a>>,
    sdk_name: Option<NodeRef<'a>>,
    sdk_version: Option<NodeRef<'a>>,
}

/// What each span says for itself.
#[derive(Default)]
struct One<'a> {
    start: Option<NodeRef<'a>>,
    end: Option<NodeRef<'a>>,
    trace_id: Option<u128>,
    span_id: Option<String>,
    parent_span_id: Option<String>,
    is_segment: bool,
    op: Option<NodeRef<'a>>,
    description: Option<NodeRef<'a>>,
    status: Option<NodeRef<'a>>,
    span_origin: Option<NodeRef<'a>>,
}

impl Spans {
    /// A transaction and its children.
    pub(crate) fn push_transaction(&mut self, origin: Origin<'_>, doc: &Doc, keys: &mut Vec<SortKey>) {
        let f = TransactionFields::of(doc.root());
        let trace = SpanFields::of(f.contexts.and_then(|c| c.get("trace")));
        let common = Common {
            origin,
            segment_id: span_id(trace.span_id),
            transaction: f.transaction,
            platform: f.platform,
            environment: f.environment,
            release: f.release,
            dist: f.dist,
            user_id: f.user.and_then(|u| u.get("id")),
            sdk_name: f.sdk.and_then(|s| s.get("name")),
            sdk_version: f.sdk.and_then(|s| s.get("version")),
        };
        let segment = One {
            start: f.start_timestamp,
            end: f.timestamp,
            description: trace.description.or(f.transaction),
            is_segment: true,
            ..one_of(trace)
        };
        let segment_trace = segment.trace_id;
        keys.push(self.push_one(&common, segment));
        self.tags.push(f.tags);
        self.attributes.push(trace.data);
        self.measurements.push(trace.data, f.measurements);
        self.payload.push(Some(doc.text().clone()));
        let children = f.spans.iter().flat_map(|l| l.items()).filter(|n| n.kind() == Kind::Object);
        for node in children.take(CHILDREN_MAX) {
            let child = SpanFields::of(node);
            let one = one_of(child);
            keys.push(self.push_one(&common, One { trace_id: one.trace_id.or(segment_trace), ..one }));
            self.tags.push(child.tags);
            self.attributes.push(child.data);
            self.measurements.push(child.data, child.measurements);
            self.payload.push(None);
        }
    }

    /// A span that came by itself, from a span container.
    pub(crate) fn push_span(&mut self, origin: Origin<'_>, doc: &Doc, keys: &mut Vec<SortKey>) {
        let f = SpanFields::of(doc.root());
        let a = AttributeFields::of(f.attributes);
        let mut one = one_of(f);
        one.is_segment = f.is_segment.and_then(NodeRef::as_bool).unwrap_or(f.parent_span_id.is_none());
        one.op = value(a.op).or(f.op);
        one.span_origin = value(a.origin).or(f.origin);
        let own_segment = one.is_segment.then(|| one.span_id.clone()).flatten();
        let own_name = one.description.filter(|_| one.is_segment);
        let common = Common {
            origin,
            segment_id: span_id(value(a.segment_id)).or(own_segment),
            transaction: value(a.segment_name).or(own_name),
            platform: value(a.platform),
            environment: value(a.environment),
            release: value(a.release),
            dist: value(a.dist),
            user_id: value(a.user_id),
            sdk_name: value(a.sdk_name),
            sdk_version: value(a.sdk_version),
        };
        keys.push(self.push_one(&common, one));
        self.tags.push(f.tags);
        match f.attributes {
            Some(_) => self.attributes.push_attributes(f.attributes),
            None => self.attributes.push(f.data),
        }
        self.measurements.push(f.data, f.attributes);
        self.payload.push(Some(doc.text().clone()));
    }

    /// All columns but tags, attributes, measurements and payload.
    fn push_one(&mut self, common: &Common<'_>, one: One<'_>) -> SortKey {
        let origin = common.origin;
        let timestamp = plausible_micros(one.start, origin.meta.received_at);
        let start = near_micros(one.start, origin.meta.received_at);
        let end = near_micros(one.end, origin.meta.received_at);
        let duration = start.zip(end).map(|(start, end)| (end.saturating_sub(start)) as f64 / 1e3);
        let (sdk_name, sdk_version) = origin.sdk();
        self.project_id.push(origin.project());
        self.event_id.push_id(origin.meta.event_id.0);
        self.timestamp.push(timestamp);
        self.end_timestamp.push(end);
        self.duration_ms.push(duration);
        self.received_at.push(origin.received_micros());
        self.trace_id.push_id(one.trace_id);
        self.span_id.push(one.span_id.as_deref());
        self.parent_span_id.push(one.parent_span_id.as_deref());
        self.segment_id.push(common.segment_id.as_deref());
        self.is_segment.push(Some(one.is_segment));
        self.op.push_node(one.op);
        self.description.push_node(one.description);
        self.transaction.push_node(common.transaction);
        self.status.push_node(one.status);
        self.origin.push_node(one.span_origin);
        self.platform.push_node(common.platform);
        push_or(&mut self.environment, common.environment, Some(&origin.meta.environment));
        self.release.push_node(common.release);
        self.dist.push_node(common.dist);
        self.user_id.push_node(common.user_id);
        push_or(&mut self.sdk_name, common.sdk_name, sdk_name);
        push_or(&mut self.sdk_version, common.sdk_version, sdk_version);
        push_origin!(self, origin);
        SortKey { project: origin.project(), group: 0, timestamp }
    }
}

fn one_of(f: SpanFields<'_>) -> One<'_> {
    One {
        start: f.start_timestamp,
        end: f.end_timestamp.or(f.timestamp),
        trace_id: trace_id(f.trace_id),
        span_id: span_id(f.span_id),
        parent_span_id: span_id(f.parent_span_id),
        is_segment: false,
        op: f.op,
        description: f.name.or(f.description),
        status: f.status,
        span_origin: f.origin,
    }
}
