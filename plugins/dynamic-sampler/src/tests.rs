use tamis_plugin::testing::{Input, sample};

use super::*;

const TRACE: &str = r#"{"trace_id":"a","release":"1.0","environment":"prod","transaction":"/payments/charge","sample_rate":"1"}"#;

fn rate(config: &str, input: Input<'_>) -> (f64, String) {
    let input =
        Input { category: if input.category == "error" { "transaction" } else { input.category }, ..input };
    let rate = sample::<DynamicSampler>(config, &[input]).unwrap().remove(0);
    // As people write it: floating point makes 0.30000000000000004 of 0.1 + 0.2.
    ((rate.rate * 1e9).round() / 1e9, rate.rule.unwrap_or_default().into_owned())
}

fn rules(rules: &[&str]) -> String {
    format!(r#"{{"rules":[{}]}}"#, rules.join(","))
}

fn want(rate: f64, rule: &str) -> (f64, String) {
    (rate, rule.to_owned())
}

const HALF: &str = r#"{"id":1000,"type":"trace","samplingValue":{"type":"sampleRate","value":0.5}}"#;
const DOUBLE: &str = r#"{"id":1004,"type":"trace","samplingValue":{"type":"factor","value":2.0},
    "condition":{"op":"eq","name":"trace.environment","value":"prod"}}"#;
const FIFTH: &str = r#"{"id":1500,"type":"transaction","samplingValue":{"type":"factor","value":0.2},
    "condition":{"op":"glob","name":"event.transaction","value":"/pay*"}}"#;
const NEVER: &str = r#"{"id":7,"type":"transaction","samplingValue":{"type":"sampleRate","value":0},
    "condition":{"op":"or","inner":[]}}"#;
const TRIPLE: &str = r#"{"id":3,"type":"transaction","samplingValue":{"type":"factor","value":3}}"#;
const ALL: &str = r#"{"id":4,"type":"transaction","samplingValue":{"type":"sampleRate","value":1}}"#;

#[test]
fn factors_multiply_until_the_first_rate() {
    let pay = r#"{"transaction":"/pay"}"#;
    for (given, event, trace, expected) in [
        (&[][..], pay, Some(TRACE), want(1.0, "")),
        (&[HALF], pay, Some(TRACE), want(0.5, "1000")),
        (&[HALF, DOUBLE], pay, Some(TRACE), want(0.5, "1000")),
        (&[DOUBLE, HALF], pay, Some(TRACE), want(1.0, "1004,1000")),
        (&[DOUBLE, FIFTH, HALF], pay, Some(TRACE), want(0.2, "1500,1004,1000")),
        (&[DOUBLE, FIFTH, HALF], r#"{"transaction":"/other"}"#, Some(TRACE), want(1.0, "1004,1000")),
        (&[DOUBLE, HALF], pay, Some(r#"{"trace_id":"a","environment":"dev"}"#), want(0.5, "1000")),
        (&[HALF], pay, None, want(1.0, "")),
        (&[FIFTH], pay, Some(TRACE), want(1.0, "")),
        (&[NEVER, HALF], pay, Some(TRACE), want(0.5, "1000")),
        (&[TRIPLE, ALL], pay, None, want(1.0, "3,4")),
        (&[HALF, ALL], pay, Some(TRACE), want(1.0, "4")),
    ] {
        let input = Input { trace, ..Input::from(event) };
        assert_eq!(rate(&rules(given), input), expected, "{given:?} {event} {trace:?}");
    }
}

#[test]
fn times_and_decay() {
    let rule = |range: &str, decay: &str| {
        rules(&[&format!(
            r#"{{"id":1,"type":"transaction","samplingValue":{{"type":"sampleRate","value":1.0}},"timeRange":{range}{decay}}}"#
        )])
    };
    let linear = r#","decayingFn":{"type":"linear","decayedValue":0.2}"#;
    let both = r#"{"start":"1970-01-01T00:00:10Z","end":"1970-01-01T00:00:20Z"}"#;
    for (range, decay, received_at, expected) in [
        (both, "", 9_999, want(1.0, "")),
        (both, "", 10_000, want(1.0, "1")),
        (both, "", 19_999, want(1.0, "1")),
        (both, "", 20_000, want(1.0, "")),
        (r#"{"start":"1970-01-01T00:00:10Z"}"#, "", 99_999, want(1.0, "1")),
        (r#"{"end":"1970-01-01T00:00:10Z"}"#, "", 99_999, want(1.0, "")),
        (both, linear, 10_000, want(1.0, "1")),
        (both, linear, 15_000, want(0.6, "1")),
        (both, linear, 19_000, want(0.28, "1")),
        (both, r#","decayingFn":{"type":"constant"}"#, 15_000, want(1.0, "1")),
    ] {
        let input = Input { received_at, ..Input::default() };
        assert_eq!(rate(&rule(range, decay), input), expected, "{range} {decay} {received_at}");
    }
}

#[test]
fn the_short_form() {
    let short = r#"{"rates":{"*payments*":1.0,"*":0.1}}"#;
    let fields = r#"{"rates":{"release:1.*":0.2,"environment:dev":0.0,"project:42":0.3,"/a/*":0.4,"/a/b*":0.5,"/users/{id}":0.6,
        "http://x:80/*":0.7}}"#;
    let none = None;
    for (config, event, trace, project_id, expected) in [
        (short, r#"{"transaction":"/payments/charge"}"#, none, 1, want(1.0, "*payments*")),
        (short, r#"{"transaction":"/other"}"#, none, 1, want(0.1, "*")),
        (short, r#"{"transaction":"/other"}"#, Some(TRACE), 1, want(1.0, "*payments*")),
        (short, "{}", none, 1, want(0.1, "*")),
        (fields, r#"{"release":"1.5"}"#, none, 1, want(0.2, "release:1.*")),
        (fields, r#"{"environment":"dev","release":"1.5"}"#, none, 1, want(0.0, "environment:dev")),
        (fields, r#"{"transaction":"/a/x"}"#, none, 42, want(0.4, "/a/*")),
        (fields, "{}", none, 42, want(0.3, "project:42")),
        (fields, r#"{"transaction":"/a/bc"}"#, none, 1, want(0.5, "/a/b*")),
        (fields, r#"{"transaction":"/users/{id}"}"#, none, 1, want(0.6, "/users/{id}")),
        (fields, r#"{"transaction":"http://x:80/y"}"#, none, 1, want(0.7, "http://x:80/*")),
        (fields, r#"{"transaction":"/z"}"#, none, 1, want(1.0, "")),
    ] {
        let input = Input { trace, project_id, ..Input::from(event) };
        assert_eq!(rate(config, input), expected, "{config} {event} {trace:?}");
    }
    let mixed = format!(r#"{{"rules":[{FIFTH}],"rates":{{"*":0.5}}}}"#);
    assert_eq!(rate(&mixed, Input::from(r#"{"transaction":"/pay"}"#)), want(0.1, "1500,*"));
}

#[test]
fn projects_and_categories() {
    let config = r#"{"rates":{"*":0.1},"projects":{"42":{"rates":{"*":0.9}},"43":{}}}"#;
    for (project_id, expected) in [(1, want(0.1, "*")), (42, want(0.9, "*")), (43, want(1.0, ""))] {
        assert_eq!(rate(config, Input { project_id, ..Input::default() }), expected, "{project_id}");
    }
    let all = r#"{"categories":["error","log_item"],"rates":{"*":0.1}}"#;
    for (config, category, expected) in [
        (config, "span", 0.1),
        (config, "transaction", 0.1),
        (config, "error", 1.0),
        (config, "log_item", 1.0),
        (all, "error", 0.1),
        (all, "log_item", 0.1),
        (all, "span", 1.0),
    ] {
        let rates = sample::<DynamicSampler>(config, &[Input { category, ..Input::default() }]).unwrap();
        assert_eq!(rates[0].rate, expected, "{category}");
    }
}

#[test]
fn many_combinations_are_named() {
    let factor = |i: usize| {
        format!(
            r#"{{"id":{i},"type":"transaction","samplingValue":{{"type":"factor","value":1}},"condition":{{"op":"eq","name":"event.b{i}","value":1}}}}"#
        )
    };
    let all: Vec<String> = (0..13).map(factor).collect();
    let config = format!(r#"{{"rules":[{}],"rates":{{"*":0.5}}}}"#, all.join(","));
    let event = |n: usize| {
        let bits: Vec<String> = (0..13).filter(|i| n >> i & 1 == 1).map(|i| format!(r#""b{i}":1"#)).collect();
        format!("{{{}}}", bits.join(","))
    };
    let events: Vec<String> = (0..5000).map(event).collect();
    let inputs: Vec<_> = events.iter().map(|e| Input { category: "span", ..Input::from(e) }).collect();
    for (n, rate) in sample::<DynamicSampler>(&config, &inputs).unwrap().into_iter().enumerate() {
        let ids: Vec<String> =
            (0..13).filter(|i| n >> i & 1 == 1).map(|i| i.to_string()).chain(["*".into()]).collect();
        assert_eq!(rate.rule.unwrap(), ids.join(","));
    }
}

#[test]
fn mistakes_in_the_configuration() {
    let rule = |more: &str| rules(&[&format!(r#"{{"id":9,"type":"trace",{more}}}"#)]);
    let value = r#""samplingValue":{"type":"sampleRate","value":0.5}"#;
    for (config, want) in [
        (
            r#"{"rate":{}}"#.to_owned(),
            "rate: unknown field `rate`, expected one of `categories`, `rules`, `rates`, `projects`",
        ),
        (r#"{"rates":{"*":2}}"#.to_owned(), "rates.*: this is 2; a rate is between 0 and 1"),
        (r#"{"rates":{"[":0.5}}"#.to_owned(), "rates.[: pattern \"[\": `[` is not closed"),
        (r#"{"rates":{"a":"all"}}"#.to_owned(), "rates.a: invalid type: string \"all\", expected f64"),
        (r#"{"categories":["errors"]}"#.to_owned(), "categories: unknown category \"errors\""),
        (r#"{"projects":{"x":{}}}"#.to_owned(), "projects.x: \"x\" is not the id of a project"),
        (
            rule(r#""samplingValue":{"type":"sampleRate","value":1.5}"#),
            "rules[0]: rule 9: samplingValue.value is 1.5; a rate is between 0 and 1",
        ),
        (
            rule(r#""samplingValue":{"type":"factor","value":-1}"#),
            "rules[0]: rule 9: samplingValue.value is -1; a factor is 0 or more",
        ),
        (
            rule(r#""samplingValue":{"type":"reservoir","value":1}"#),
            "rules[0].samplingValue.type: unknown variant `reservoir`",
        ),
        (
            rule(&format!(r#"{value},"condition":{{"op":"eq","name":"event.release","value":"1"}}"#)),
            "rules[0]: rule 9: a rule of type trace can only look at `trace.` names, not at \"event.release\"",
        ),
        (
            rule(&format!(r#"{value},"condition":{{"op":"and","inner":[1]}}"#)),
            "rules[0].condition: inner[0]: a condition is an object",
        ),
        (
            rule(&format!(r#"{value},"timeRange":{{"start":"soon"}}"#)),
            "rules[0].timeRange.start: \"soon\" is no time",
        ),
        (
            rule(&format!(r#"{value},"timeRange":{{"start":"2026-01-02","end":"2026-01-01"}}"#)),
            "rules[0]: rule 9: timeRange ends before it starts",
        ),
        (
            rule(&format!(r#"{value},"decayingFn":{{"type":"linear"}}"#)),
            "rules[0]: rule 9: decayingFn linear needs a decayedValue",
        ),
        (
            rule(&format!(r#"{value},"decayingFn":{{"type":"linear","decayedValue":0.1}}"#)),
            "rules[0]: rule 9: decayingFn linear needs a timeRange",
        ),
        (
            rule(&format!(r#"{value},"decayingFn":{{"type":"constant","decayedValue":0.1}}"#)),
            "rules[0]: rule 9: decayingFn constant has no decayedValue",
        ),
        (rule(r#""id2":1"#), "rules[0].id2: unknown field `id2`"),
    ] {
        let got = sample::<DynamicSampler>(&config, &["{}"]).unwrap_err();
        assert!(got.starts_with(want), "{config}: {got}");
    }
}
