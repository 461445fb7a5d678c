use serde_json::json;
use tamis_plugin::testing::{Input, filter};
use tamis_plugin::{Filter, Verdict};

use super::*;

/// Drops what the condition holds for.
struct Holds(Condition);

impl Filter for Holds {
    type Config = Condition;
    fn init(condition: Condition) -> Result<Self, String> {
        Ok(Holds(condition))
    }
    fn filter(&mut self, event: &Event<'_>) -> Verdict {
        if self.0.matches(event) { Verdict::drop("holds") } else { Verdict::Keep }
    }
}

const EVENT: &str = r#"{
    "release": "App@1.2.3", "environment": "prod", "level": "error", "dist": null, "platform": "python",
    "timestamp": "2026-11-22T19:00:01.5Z", "start_timestamp": 1795374000.0,
    "transaction": "/checkout", "transaction_info": {"source": "route"}, "logentry": {"formatted": "it broke"},
    "user": {"id": 42, "email": "Me@Example.com", "geo": {"country_code": "DE"}},
    "request": {"url": "https://x.y/z", "headers": [["User-Agent", "curl/8"], ["X-N", "7"]]},
    "tags": [["my.tag", "1"], ["count", "12"], ["on", "true"]],
    "contexts": {"os": {"name": "Linux"}, "app": {"in_foreground": true}},
    "measurements": {"lcp": {"value": 2500.5}},
    "exception": {"values": [{"type": "A", "value": "first", "stacktrace": {"frames": [{"function": "f"}, {"function": "g"}]}},
        {"type": "B", "value": "second"}]}
}"#;
const TRACE: &str = r#"{"trace_id":"a","environment":"Prod","sample_rate":"0.25","user_id":"u1"}"#;

fn holds(condition: Value) -> bool {
    let input = Input { event: EVENT, trace: Some(TRACE), client_ip: "10.0.0.1", ..Input::default() };
    filter::<Holds>(&condition.to_string(), &[input]).unwrap() == [Verdict::drop("holds")]
}

#[test]
fn fields_and_values() {
    for (op, name, value, want) in [
        ("eq", "event.release", json!("App@1.2.3"), true),
        ("eq", "event.release", json!("app@1.2.3"), false),
        ("eq", "event.release", json!(["x", "App@1.2.3", "y"]), true),
        ("eq", "event.release", json!([]), false),
        ("eq", "event.dist", json!(null), true),
        ("eq", "event.dist", json!("x"), false),
        ("eq", "event.nothing", json!([null, "x"]), true),
        ("eq", "event.exception", json!(null), false),
        ("eq", "event.user.id", json!("42"), true),
        ("eq", "event.user.id", json!(42), true),
        ("eq", "event.user.geo.country_code", json!("DE"), true),
        ("eq", "event.contexts.app.in_foreground", json!(true), true),
        ("eq", "event.tags.my.tag", json!("1"), true),
        ("eq", "event.tags.count", json!(12), true),
        ("eq", "event.request.headers.user-agent", json!("curl/8"), true),
        ("eq", "event.request.url", json!("https://x.y/z"), true),
        ("eq", "event.message", json!("it broke"), true),
        ("eq", "event.transaction.source", json!("route"), true),
        ("eq", "event.client_ip", json!("10.0.0.1"), true),
        ("eq", "event.duration", json!(1500), true),
        ("gt", "event.duration", json!(1500), false),
        ("gte", "event.duration", json!(1500), true),
        ("lt", "event.duration", json!(1500.5), true),
        ("gte", "event.measurements.lcp.value", json!(2500), true),
        ("lte", "event.measurements.lcp.value", json!(2500), false),
        ("gt", "event.measurements.none.value", json!(0), false),
        ("gt", "event.tags.count", json!(9), true),
        ("gt", "event.release", json!("App@1.2"), true),
        ("lt", "trace.sample_rate", json!(0.3), true),
        ("eq", "trace.environment", json!("Prod"), true),
        ("eq", "trace.user.id", json!("u1"), true),
        ("eq", "trace.release", json!(null), true),
        ("eq", "$meta.category", json!("error"), true),
        ("glob", "event.release", json!("app@1.*"), true),
        ("glob", "event.release", json!(["2.*", "*@1.[0-9].?"]), true),
        ("glob", "event.nothing", json!("*"), false),
    ] {
        let condition = json!({"op": op, "name": name, "value": value});
        assert_eq!(holds(condition.clone()), want, "{condition}");
    }
}

#[test]
fn logic_lists_and_options() {
    let yes = || json!({"op": "eq", "name": "event.level", "value": "error"});
    let no = || json!({"op": "eq", "name": "event.level", "value": "info"});
    let typed = |t: &str| json!({"op": "eq", "name": "ty", "value": t});
    let lettered = || json!({"op": "glob", "name": "type", "value": "[AB]"});
    for (condition, want) in [
        (json!({"op": "and", "inner": []}), true),
        (json!({"op": "or", "inner": []}), false),
        (json!({"op": "and", "inner": [yes(), yes()]}), true),
        (json!({"op": "and", "inner": [yes(), no()]}), false),
        (json!({"op": "or", "inner": [no(), yes()]}), true),
        (json!({"op": "not", "inner": yes()}), false),
        (json!({"op": "not", "inner": no()}), true),
        (json!({"op": "any", "name": "event.exceptions", "inner": typed("B")}), true),
        (json!({"op": "any", "name": "event.exceptions", "inner": typed("C")}), false),
        (json!({"op": "all", "name": "event.exceptions", "inner": typed("B")}), false),
        (json!({"op": "all", "name": "event.exceptions", "inner": lettered()}), true),
        (json!({"op": "all", "name": "event.threads", "inner": lettered()}), false),
        (
            json!({"op": "any", "name": "event.exceptions", "inner":
                {"op": "any", "name": "stacktrace.frames", "inner": {"op": "eq", "name": "function", "value": "g"}}}),
            true,
        ),
        (
            json!({"op": "eq", "name": "event.user.email", "value": "ME@example.COM", "options": {"ignoreCase": true}}),
            true,
        ),
        (json!({"op": "eq", "name": "event.user.email", "value": "ME@example.COM"}), false),
        (
            json!({"op": "glob", "name": "event.release", "value": "app*", "options": {"ignoreCase": false}}),
            false,
        ),
    ] {
        assert_eq!(holds(condition.clone()), want, "{condition}");
    }
}

#[test]
fn errors_name_the_place() {
    let deep =
        (0..40).fold(json!({"op": "and", "inner": []}), |inner, _| json!({"op": "not", "inner": inner}));
    for (condition, want) in [
        (json!(1), "a condition is an object with `op`, not a number"),
        (json!({}), "`op` is missing; it is one of eq, gte, lte, gt, lt, glob, and, or, not, any, all"),
        (json!({"op": "custom", "name": "x"}), "op: operator \"custom\" is not known"),
        (json!({"op": "eq", "value": 1}), "`eq` needs a `name`"),
        (json!({"op": "eq", "name": "release", "value": 1}), "name: name \"release\" is not known"),
        (json!({"op": "eq", "name": "event.", "value": 1}), "name: name \"event.\" is not known"),
        (
            json!({"op": "eq", "name": "event.a..b", "value": 1}),
            "name: name \"event.a..b\": a part between dots is empty",
        ),
        (
            json!({"op": "eq", "name": "event.tags.'a'b'", "value": 1}),
            "name: name \"event.tags.'a'b'\": a dot is missing",
        ),
        (
            json!({"op": "eq", "name": "event.a.'b", "value": 1}),
            "name: name \"event.a.'b\": a quote is not closed",
        ),
        (
            json!({"op": "eq", "name": "event.a'b", "value": 1}),
            "name: name \"event.a'b\": a quote stands in the middle",
        ),
        (
            json!({"op": "eq", "name": "$meta.ip", "value": 1}),
            "name: name \"$meta.ip\": there is no $meta.ip; there are",
        ),
        (
            json!({"op": "eq", "name": "$trace.a.b", "value": 1}),
            "name: name \"$trace.a.b\": what the host knows has one",
        ),
        (
            json!({"op": "any", "name": "event.exceptions", "inner": {"op": "eq", "name": "a.", "value": 1}}),
            "inner.name: name \"a.\": a part between dots is empty",
        ),
        (
            json!({"op": "not", "inner": {"op": "or", "inner": [{"op": "gt", "name": "event.x", "value": []}]}}),
            "inner.inner[0].value: expected a number or a text, not a list",
        ),
        (
            json!({"op": "glob", "name": "event.x", "value": ["a", 1]}),
            "value[1]: expected a pattern, not a number",
        ),
        (json!({"op": "glob", "name": "event.x", "value": "[a"}), "value: pattern \"[a\": `[` is not closed"),
        (
            json!({"op": "eq", "name": "event.x", "value": 1, "option": {}}),
            "option: unknown key; `eq` has op, name, value, options",
        ),
        (
            json!({"op": "eq", "name": "event.x", "value": 1, "options": {"ignorecase": true}}),
            "options.ignorecase: unknown option",
        ),
        (json!({"op": "any", "name": "trace.x", "inner": {}}), "name: this is no list"),
        (json!({"op": "and", "inner": {}}), "inner: expected a list of conditions, not an object"),
        (deep, "inner.inner.inner.inner"),
    ] {
        let got = Condition::compile(&condition).unwrap_err().to_string();
        assert!(got.starts_with(want), "{condition}: {got}");
    }
    let nested = filter::<Holds>(r#"{"op":"not","inner":{"op":"eq"}}"#, &[EVENT]).unwrap_err();
    assert_eq!(nested, "inner: `eq` needs a `name`");
}

#[test]
fn spans_have_attributes() {
    let span = r#"{"name":"GET /","start_timestamp":1.0,"end_timestamp":1.25,
        "attributes":{"sentry.release":{"value":"2.0"},"sentry.segment.name":{"value":"/x"},"http.status":{"value":500}}}"#;
    for (name, value) in [
        ("event.release", json!("2.0")),
        ("event.transaction", json!("/x")),
        ("span.name", json!("GET /")),
        ("span.duration", json!(250)),
        ("span.attributes.http.status", json!(500)),
    ] {
        let condition = json!({"op": "eq", "name": name, "value": value});
        let input = Input { category: "span", ..Input::from(span) };
        assert_eq!(
            filter::<Holds>(&condition.to_string(), &[input]).unwrap(),
            [Verdict::drop("holds")],
            "{name}"
        );
    }
}

#[test]
fn conditions_on_the_trace_alone() {
    let beyond = |json| Condition::compile(&json).unwrap().beyond_trace().map(str::to_owned);
    let trace = json!({"op": "eq", "name": "trace.release", "value": "1"});
    let event = json!({"op": "eq", "name": "event.release", "value": "1"});
    assert_eq!(beyond(trace.clone()), None);
    assert_eq!(beyond(json!({"op": "and", "inner": [trace, event]})), Some("event.release".into()));
}

/// A name that is taken is one that the host takes too: evaluating it would panic otherwise.
#[test]
fn names_that_are_taken() {
    for name in [
        "event.tags.my tag",
        "event.tags.it's",
        "event.tags.'a.b'",
        "event.'a b'.c",
        "event.a b",
        "event.a.0.-1.b",
        "event.extra.'it\\'s'",
        "trace.a.b",
        "$trace.'a.b'",
        "event.request.headers.X-Y",
        "span.attributes.a.b",
        "event.contexts.é",
    ] {
        assert!(holds(json!({"op": "eq", "name": name, "value": null})), "{name}");
    }
}
