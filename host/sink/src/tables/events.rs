//! `events`: errors and messages.

use host_event::{Doc, NodeRef};
use host_group::{Group, Headline, Member, Rollups, headline};

use crate::columns::{Int, MaybeFlag, MaybeText, Payload, Real, Text, Time};
use crate::nested::{Exceptions, Fingerprints, TextMap};
use crate::schema::table;
use crate::tables::{Origin, SortKey, millis_of, push_or, push_origin};
use crate::wire::{fields, plausible_micros, span_id, trace_id};

table! {
    /// Errors and messages, a row for each that was accepted.
    struct Events {
        /// The project, as in the DSN.
        project_id: Int,
        /// The event's id, given by the client.
        event_id: Text,
        /// When it happened, by the client's clock; `received_at` where that can not be read or is more than ten years off.
        timestamp: Time,
        /// When Tamis received it.
        received_at: Time,
        /// `fatal`, `error`, `warning`, `info` or `debug`; `error` where the client says nothing.
        level: MaybeText,
        /// The platform of the SDK: `python`, `javascript`, `native`, ...
        platform: MaybeText,
        /// The environment that the event names, else that of the DSN key.
        environment: MaybeText,
        /// The release, e.g. `app@1.2.3`.
        release: MaybeText,
        /// The distribution within the release.
        dist: MaybeText,
        /// The transaction or route in which it happened.
        transaction: MaybeText,
        /// `type: value` of the exception that the event is about, or the message; at most 256 bytes.
        title: MaybeText,
        /// Where it happened: the transaction, else module and function of the innermost frame of the application.
        culprit: MaybeText,
        /// The type of the exception that the event is about (the last of the chain).
        r#type: MaybeText,
        /// The first line of its value, or of the message; at most 256 bytes.
        value: MaybeText,
        /// The message, formatted.
        message: MaybeText,
        /// Whether the code caught it; false as soon as one exception of the chain was not handled.
        handled: MaybeFlag,
        /// The name of the logger.
        logger: MaybeText,
        /// The host name of the machine.
        server_name: MaybeText,
        /// `user.id`.
        user_id: MaybeText,
        /// `user.username`.
        user_name: MaybeText,
        /// `user.email`.
        user_email: MaybeText,
        /// `user.ip_address`, as it is after scrubbing; null for `{{auto}}`.
        user_ip: MaybeText,
        /// `request.method`.
        request_method: MaybeText,
        /// `request.url`.
        request_url: MaybeText,
        /// The name of the SDK.
        sdk_name: MaybeText,
        /// The version of the SDK.
        sdk_version: MaybeText,
        /// The trace it belongs to.
        trace_id: MaybeText,
        /// The span in which it happened, 16 digits.
        span_id: MaybeText,
        /// The group: a function of project and first fingerprint.
        group_id: MaybeText,
        /// All fingerprints; the first one gave the group.
        fingerprints: Fingerprints,
        /// Tags. A key that was sent twice has its last value.
        tags: TextMap,
        /// The chain of exceptions, in the client's order (the outermost last), each with its frames (the innermost last).
        exceptions: Exceptions,
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
        /// The whole event as JSON, after scrubbing, with `_meta` telling what was taken out.
        payload: Payload,
    }
}

fields! {
    struct EventFields {
        timestamp = b"timestamp",
        level = b"level",
        platform = b"platform",
        environment = b"environment",
        release = b"release",
        dist = b"dist",
        transaction = b"transaction",
        logentry = b"logentry",
        message = b"message",
        logger = b"logger",
        server_name = b"server_name",
        user = b"user",
        request = b"request",
        sdk = b"sdk",
        contexts = b"contexts",
        tags = b"tags",
        exception = b"exception",
    }
}

fields! {
    struct UserFields {
        id = b"id",
        username = b"username",
        email = b"email",
        ip_address = b"ip_address",
    }
}

impl Events {
    pub(crate) fn push(
        &mut self,
        origin: Origin<'_>,
        doc: &Doc,
        group: Option<&Group>,
        rollups: &mut Rollups,
    ) -> SortKey {
        let f = EventFields::of(doc.root());
        let timestamp = plausible_micros(f.timestamp, origin.meta.received_at);
        let level = f.level.map_or_else(|| Some("error".into()), NodeRef::as_str);
        let level = level.as_deref();
        self.project_id.push(origin.project());
        self.event_id.push_id(origin.meta.event_id.0);
        self.timestamp.push(timestamp);
        self.received_at.push(origin.received_micros());
        self.level.push(level);
        self.platform.push_node(f.platform);
        push_or(&mut self.environment, f.environment, Some(&origin.meta.environment));
        self.release.push_node(f.release);
        self.dist.push_node(f.dist);
        self.transaction.push_node(f.transaction);
        self.push_headline(doc, group);
        self.push_message(f);
        self.logger.push_node(f.logger);
        self.server_name.push_node(f.server_name);
        self.push_people(f);
        self.push_sdk(origin, f.sdk);
        let trace = f.contexts.and_then(|c| c.get("trace"));
        self.trace_id.push_id(trace_id(trace.and_then(|t| t.get("trace_id"))));
        self.span_id.push(span_id(trace.and_then(|t| t.get("span_id"))).as_deref());
        self.tags.push(f.tags);
        let handled = self.exceptions.push(f.exception);
        self.handled.push(handled);
        push_origin!(self, origin);
        self.payload.push(doc.text().clone());
        if let Some(group) = group {
            let member = Member {
                project_id: origin.meta.project_id,
                event_id: origin.meta.event_id,
                seen: millis_of(timestamp),
                level: level.unwrap_or_default(),
                sample_rate: origin.sample_rate(),
            };
            rollups.add(group, member);
        }
        SortKey { project: origin.project(), group: group.map_or(0, |g| g.id.0), timestamp }
    }

    fn push_headline(&mut self, doc: &Doc, group: Option<&Group>) {
        let own;
        let Headline { title, culprit, kind, value } = match group {
            Some(group) => &group.headline,
            None => {
                own = headline(doc);
                &own
            }
        };
        self.title.push(Some(title));
        self.culprit.push(Some(culprit));
        self.r#type.push(Some(kind));
        self.value.push(Some(value));
        self.group_id.push_id(group.map(|g| g.id.0));
        self.fingerprints.push(group.map_or(&[], |g| &g.fingerprints));
    }

    fn push_message(&mut self, f: EventFields<'_>) {
        let entry = f.logentry.or(f.message);
        let formatted = entry.and_then(|e| e.get("formatted").or_else(|| e.get("message")));
        self.message.push_node(formatted.or(entry));
    }

    fn push_people(&mut self, f: EventFields<'_>) {
        let user = UserFields::of(f.user);
        self.user_id.push_node(user.id);
        self.user_name.push_node(user.username);
        self.user_email.push_node(user.email);
        self.user_ip.push_node(user.ip_address.filter(|ip| !ip.is(b"{{auto}}")));
        self.request_method.push_node(f.request.and_then(|r| r.get("method")));
        self.request_url.push_node(f.request.and_then(|r| r.get("url")));
    }

    fn push_sdk(&mut self, origin: Origin<'_>, sdk: Option<NodeRef<'_>>) {
        let (name, version) = origin.sdk();
        push_or(&mut self.sdk_name, sdk.and_then(|s| s.get("name")), name);
        push_or(&mut self.sdk_version, sdk.and_then(|s| s.get("version")), version);
    }
}
