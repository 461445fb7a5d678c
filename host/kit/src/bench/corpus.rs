//! Events to measure with where the author has none: errors and transactions in the shapes that clients send, no two the same.

use host_event::{Category, Doc, Event, EventId, Meta};
use serde_json::{Value, json};

/// 2026-11-22 18:40:00 UTC.
const BEGIN_SECONDS: i64 = 1_795_372_800;
const ENVIRONMENTS: [&str; 3] = ["production", "production", "staging"];
const ROUTES: [&str; 5] = ["/api/orders", "/api/orders/{id}", "/checkout/pay", "/healthz", "/admin/reports"];
const LEVELS: [&str; 4] = ["error", "error", "fatal", "warning"];
const PLATFORMS: [(&str, &str, &str); 4] = [
    ("python", "sentry.python", "py"),
    ("javascript", "sentry.javascript.browser", "js"),
    ("java", "sentry.java.spring-boot", "java"),
    ("go", "sentry.go", "go"),
];
const ERRORS: [(&str, &str); 6] = [
    ("ValueError", "invalid literal for int() with base 10"),
    ("TypeError", "Cannot read properties of undefined (reading 'total')"),
    ("ConnectionError", "connection to db-7.internal:5432 timed out after 3000 ms"),
    ("KeyError", "'customer_id'"),
    ("NullPointerException", "Cannot invoke \"Order.getTotal()\" because \"order\" is null"),
    ("PermissionError", "user ada@example.com may not see order"),
];
const MODULES: [&str; 6] = [
    "shop.orders",
    "shop.cart.pricing",
    "shop.payments.card",
    "requests.adapters",
    "urllib3.pool",
    "django.core",
];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
];

/// Picks by a number, so that lists of other lengths go out of step with each other.
fn pick<T: Copy>(from: &[T], at: usize) -> T {
    from[at % from.len()]
}

pub(super) fn errors(count: usize) -> Vec<Event> {
    (0..count).map(|at| event(Category::Error, at, error(at))).collect()
}

pub(super) fn transactions(count: usize) -> Vec<Event> {
    (0..count).map(|at| event(Category::Transaction, at, transaction(at))).collect()
}

fn event(category: Category, at: usize, payload: Value) -> Event {
    let trace = json!({
        "trace_id": format!("{:032x}", at / 3 + 1),
        "release": payload["release"],
        "environment": payload["environment"],
        "transaction": payload["transaction"],
        "sample_rate": "1.0",
    });
    let (_, sdk, _) = pick(&PLATFORMS, at);
    let meta = Meta {
        project_id: 1 + (at % 5) as u64,
        received_at: (BEGIN_SECONDS + at as i64) * 1000,
        sent_at: None,
        event_id: EventId(at as u128 + 1),
        environment: pick(&ENVIRONMENTS, at).to_owned(),
        client_ip: format!("198.51.100.{}", at % 250),
        user_agent: pick(&AGENTS, at).to_owned(),
        sdk: format!("{sdk}/2.{}.0", at % 9),
        trace: trace.to_string().into(),
    };
    let doc = Doc::parse(payload.to_string()).expect("what serde_json writes is JSON");
    Event { offset: at as u64, queued_at: meta.received_at, category, meta, doc }
}

/// What errors and transactions share.
fn head(at: usize) -> Value {
    let (platform, sdk, _) = pick(&PLATFORMS, at);
    json!({
        "event_id": format!("{:032x}", at + 1),
        "timestamp": BEGIN_SECONDS + at as i64,
        "platform": platform,
        "release": format!("shop@4.{}.{}", at % 12, at % 7),
        "environment": pick(&ENVIRONMENTS, at),
        "server_name": format!("web-{}", at % 12),
        "transaction": pick(&ROUTES, at),
        "sdk": { "name": sdk, "version": format!("2.{}.0", at % 9) },
        "tags": { "region": pick(&["eu-central", "us-east", "ap-south"], at), "tier": pick(&["free", "pro"], at / 2),
            "tenant": format!("t{}", at % 40) },
        "user": { "id": (at % 5000).to_string(), "email": format!("ada.{}@example.com", at % 5000),
            "ip_address": format!("198.51.100.{}", at % 250) },
        "contexts": {
            "trace": { "trace_id": format!("{:032x}", at / 3 + 1), "span_id": format!("{:016x}", at + 7), "op": "http.server" },
            "runtime": { "name": platform, "version": format!("3.{}.1", at % 14) },
            "os": { "name": "Linux", "kernel_version": "6.12.48" },
        },
        "request": {
            "url": format!("https://shop.example.com{}?page={}", pick(&ROUTES, at), at % 20),
            "method": pick(&["GET", "GET", "POST"], at),
            "headers": [["Host", "shop.example.com"], ["User-Agent", pick(&AGENTS, at)], ["Accept", "*/*"],
                ["Cookie", format!("sid={:032x}; theme=dark", at * 7919)]],
        },
    })
}

fn error(at: usize) -> Value {
    let mut event = head(at);
    let chain = 1 + at % 2;
    let exceptions: Vec<Value> = (0..chain)
        .map(|link| {
            let (kind, message) = pick(&ERRORS, at + link);
            let frames: Vec<Value> = (0..6 + at % 14).map(|depth| frame(at, depth)).collect();
            json!({ "type": kind, "value": format!("{message} {}", at * 31 % 100_003), "module": pick(&MODULES, at + link),
                "mechanism": { "type": "generic", "handled": at.is_multiple_of(3) }, "stacktrace": { "frames": frames } })
        })
        .collect();
    let breadcrumbs: Vec<Value> = (0..4 + at % 12)
        .map(|step| {
            json!({ "timestamp": BEGIN_SECONDS + at as i64 - step as i64, "category": pick(&["http", "query", "log"], step),
                "message": format!("SELECT * FROM orders WHERE customer = {}", at * 17 + step) })
        })
        .collect();
    event["level"] = pick(&LEVELS, at).into();
    event["exception"] = json!({ "values": exceptions });
    event["breadcrumbs"] = json!({ "values": breadcrumbs });
    event
}

fn frame(at: usize, depth: usize) -> Value {
    let (_, _, extension) = pick(&PLATFORMS, at);
    let module = pick(&MODULES, at / 4 + depth);
    let file = format!("{}.{extension}", module.replace('.', "/"));
    let mut frame = json!({
        "function": pick(&["handle", "dispatch", "load_order", "charge", "send", "render"], at + depth * 5),
        "module": module, "filename": file, "abs_path": format!("/srv/shop/current/{file}"),
        "lineno": 10 + at * 13 % 400 + depth, "in_app": module.starts_with("shop"),
        "context_line": format!("    result = gateway.send(order, retry={})", depth % 3),
    });
    if depth.is_multiple_of(3) {
        frame["vars"] =
            json!({ "order_id": (at * 97).to_string(), "token": format!("tok_{:016x}", at * 104_729) });
    }
    frame
}

fn transaction(at: usize) -> Value {
    let mut event = head(at);
    let spans: Vec<Value> = (0..8 + at % 25)
        .map(|step| {
            json!({ "span_id": format!("{:016x}", at * 100 + step), "parent_span_id": format!("{:016x}", at + 7),
                "trace_id": format!("{:032x}", at / 3 + 1), "op": pick(&["db", "http.client", "template.render"], step),
                "description": format!("SELECT * FROM orders WHERE id = {}", at * 17 + step),
                "start_timestamp": BEGIN_SECONDS + at as i64, "timestamp": BEGIN_SECONDS + at as i64 + 1, "status": "ok" })
        })
        .collect();
    event["type"] = "transaction".into();
    event["start_timestamp"] = (BEGIN_SECONDS + at as i64 - 1).into();
    event["transaction_info"] = json!({ "source": "route" });
    event["measurements"] = json!({ "lcp": { "value": 800 + at * 37 % 4000, "unit": "millisecond" } });
    event["spans"] = spans.into();
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_events_are_the_same_and_all_have_the_usual_fields() {
        for (events, special) in [
            (errors(300), "exception.values.0.stacktrace.frames.-1.module"),
            (transactions(300), "spans.0.op"),
        ] {
            let mut texts: Vec<_> = events.iter().map(|event| event.doc.text().clone()).collect();
            texts.sort();
            texts.dedup();
            assert_eq!(texts.len(), 300);
            let sizes: Vec<usize> = texts.iter().map(|text| text.len()).collect();
            let median = {
                let mut s = sizes.clone();
                s.sort_unstable();
                s[150]
            };
            assert!((2_000..12_000).contains(&median), "{median} bytes");
            let mut columns = crate::batch_of(events);
            for path in [
                special,
                "release",
                "environment",
                "transaction",
                "user.email",
                "tags.region",
                "$trace.trace_id",
            ] {
                let texts = columns.strings(path).unwrap();
                assert!(texts.presence.iter().all(|present| *present == 1), "{path}");
            }
        }
    }
}
