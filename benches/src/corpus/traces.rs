//! Transactions with their spans, single spans in the second format, and logs.

use super::Moment;
use super::errors::{platform_of, sentence};
use super::json::Json;
use super::random::Random;
use super::words::{FIRST_NAMES, NOUNS, QUERIES};

/// Spans of one transaction.
const SPANS_MIN: u64 = 20;
const SPANS_MAX: u64 = 200;

pub(super) fn transaction(json: &mut Json, at: &Moment<'_>, random: &mut Random) {
    let request = at.request;
    let spans = SPANS_MIN + random.below(SPANS_MAX - SPANS_MIN + 1);
    let begin = 40 + spans * 7;
    json.object(|j| {
        j.string("type", "transaction");
        j.hex128("event_id", at.event_id);
        j.string("transaction", request.route);
        j.object_at("transaction_info", |j| j.string("source", "route"));
        j.decimal("start_timestamp", at.ago(begin));
        j.decimal("timestamp", at.ago(30));
        j.format("release", format_args!("shop@4.{}.0", request.release));
        j.string("environment", request.environment);
        j.string("platform", platform_of(request.project).sdk.split('.').nth(1).unwrap_or("other"));
        j.object_at("contexts", |j| {
            j.object_at("trace", |j| {
                j.hex128("trace_id", request.trace_id);
                j.hex64("span_id", request.span_id);
                j.string("op", "http.server");
                j.string("status", if random.chance(0.97) { "ok" } else { "internal_error" });
                j.string("origin", "auto.http");
            });
        });
        j.object_at("tags", |j| j.format("tenant", format_args!("t{}", request.user % 40)));
        j.object_at("user", |j| j.format("id", format_args!("{}", request.user)));
        j.object_at("measurements", |j| {
            j.object_at("cart_size", |j| {
                j.integer("value", random.below(40));
                j.string("unit", "none");
            });
        });
        j.list_at("spans", |j| {
            let mut parent = request.span_id;
            for n in 0..spans {
                parent = child(j, at, parent, begin - n * 7, random);
            }
        });
    });
}

/// Writes one span; gives the parent of the next, which is this span or its parent.
fn child(j: &mut Json, at: &Moment<'_>, parent: u64, begin: u64, random: &mut Random) -> u64 {
    let id = random.next();
    j.object(|j| {
        j.hex64("span_id", id);
        j.hex64("parent_span_id", parent);
        j.hex128("trace_id", at.request.trace_id);
        j.decimal("start_timestamp", at.ago(begin));
        j.decimal("timestamp", at.ago(begin - 1 - random.below(6)));
        let (op, description) = operation(random);
        j.string("op", op);
        j.string("description", &description);
        j.string("status", "ok");
        j.string("origin", "auto.db");
        j.object_at("data", |j| {
            j.integer("thread.id", 140_000 + random.below(64));
            j.string("server.address", "db-1.internal");
        });
    });
    if random.chance(0.3) { id } else { parent }
}

fn operation(random: &mut Random) -> (&'static str, String) {
    match random.below(4) {
        0 => (
            "http.client",
            format!("GET https://{}.internal/v1/{}", random.pick(&NOUNS), random.below(10_000)),
        ),
        1 => ("cache.get", format!("{}:{}", random.pick(&NOUNS), random.below(10_000))),
        _ => ("db", random.pick(&QUERIES).to_owned()),
    }
}

pub(super) fn span(json: &mut Json, at: &Moment<'_>, random: &mut Random) {
    let request = at.request;
    let is_segment = random.chance(0.1);
    json.object(|j| {
        j.hex128("trace_id", request.trace_id);
        j.hex64("span_id", if is_segment { request.span_id } else { random.next() });
        if !is_segment {
            j.hex64("parent_span_id", request.span_id);
        }
        let (op, description) = operation(random);
        j.string("name", if is_segment { request.route } else { &description });
        j.string("status", if random.chance(0.98) { "ok" } else { "error" });
        j.boolean("is_segment", is_segment);
        let begin = 30 + random.below(400);
        j.decimal("start_timestamp", at.ago(begin));
        j.decimal("end_timestamp", at.ago(begin - 1 - random.below(29)));
        j.object_at("attributes", |j| {
            j.attribute("sentry.op", if is_segment { "http.server" } else { op });
            j.attribute("sentry.environment", request.environment);
            j.attribute("sentry.segment.name", request.route);
            j.attribute("sentry.sdk.name", "sentry.javascript.node");
            j.attribute_integer("thread.id", random.below(64));
            if random.chance(0.02) {
                j.attribute("user.email", &format!("{}@example.com", random.pick(&FIRST_NAMES)));
            }
        });
    });
}

pub(super) fn log(json: &mut Json, at: &Moment<'_>, random: &mut Random) {
    let request = at.request;
    let (level, number) = random.pick(&[("info", 9), ("info", 9), ("debug", 5), ("warn", 13), ("error", 17)]);
    json.object(|j| {
        j.decimal("timestamp", at.ago(25));
        j.hex128("trace_id", request.trace_id);
        j.hex64("span_id", request.span_id);
        j.string("level", level);
        j.integer("severity_number", number);
        match random.below(20) {
            0 => j.format(
                "body",
                format_args!("{} for {}@example.com", sentence(random), random.pick(&FIRST_NAMES)),
            ),
            _ => j.string("body", &sentence(random)),
        }
        j.object_at("attributes", |j| {
            j.attribute("sentry.environment", request.environment);
            j.object_at("sentry.release", |j| {
                j.format("value", format_args!("shop@4.{}.0", request.release));
                j.string("type", "string");
            });
            j.attribute("server.address", "web-3");
            j.attribute_integer("request.items", random.below(50));
        });
    });
}
