use tamis_plugin::testing::{self, Input};

use super::*;

fn scrub(config: &str, event: &str) -> String {
    testing::scrub::<PiiScrubber>(config, &[event]).unwrap().remove(0)
}

fn value(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_defaults_on_an_event() {
    let event = r#"{"logentry":{"formatted":"mail a@b.com"},"user":{"email":"keep@me.com","ip_address":"1.2.3.4"},
        "extra":{"password":"hunter2","pin":1234,"card":"pay 4111 1111 1111 1111 now","my_api_key":{"inner":5}},
        "exception":{"values":[{"value":"for a@b.com"}]},"request":{"cookies":{"a":"b"},"headers":[["Authorization","Bearer abcdefghijk"]],
        "url":"https://u:p@h/"}}"#;
    let scrubbed = value(&scrub("{}", event));
    assert_eq!(scrubbed["logentry"]["formatted"], "mail [email]");
    assert_eq!(scrubbed["user"], value(r#"{"email":"keep@me.com","ip_address":null}"#));
    assert_eq!(scrubbed["extra"]["password"], "[Filtered]");
    assert_eq!(scrubbed["extra"]["pin"], 1234);
    assert_eq!(scrubbed["extra"]["card"], "pay [Filtered] now");
    assert_eq!(scrubbed["extra"]["my_api_key"]["inner"], "[Filtered]");
    assert_eq!(scrubbed["exception"]["values"][0]["value"], "for a@b.com");
    assert_eq!(scrubbed["request"]["cookies"]["a"], "[Filtered]");
    assert_eq!(scrubbed["request"]["headers"][0][1], "[Filtered]");
    assert_eq!(scrubbed["request"]["url"], "https://[Filtered]@h/");
    let meta = &scrubbed["_meta"];
    assert_eq!(meta["logentry"]["formatted"][""], value(r#"{"rem":[["@email:replace","s",5,12]],"len":12}"#));
    assert_eq!(meta["extra"]["password"][""], value(r#"{"rem":[["@password:filter","s",0,10]],"len":7}"#));
    assert_eq!(meta["user"]["ip_address"][""], value(r#"{"rem":[["@anything:remove","x"]]}"#));
}

#[test]
fn rules_and_redactions() {
    let cases = [
        (r#"{"$string":["@email"]}"#, "[email] b 1"),
        (r#"{"$string":["@email:mask"]}"#, "******* b 1"),
        (r#"{"$string":["@email:remove"]}"#, " b 1"),
        (r#"{"$string":["digits"]}"#, "a@b.com b #"),
        (r#"{"$string":["both"]}"#, "X b X"),
        (r#"{"$string":["second"]}"#, "a@b.com _ 1"),
        (r#"{"m":["@anything:filter"]}"#, "[Filtered]"),
        (r#"{"other":["@email"]}"#, "a@b.com b 1"),
    ];
    for (applications, want) in cases {
        let config = format!(
            r##"{{"defaults":false,"applications":{applications},"rules":{{
            "digits":{{"type":"pattern","pattern":"[0-9]+","redaction":{{"method":"replace","text":"#"}}}},
            "second":{{"type":"pattern","pattern":"com (b)","replaceGroups":[1],"redaction":{{"method":"replace","text":"_"}}}},
            "both":{{"type":"multiple","rules":["@email","digits"],"redaction":{{"method":"replace","text":"X"}}}}}}}}"##
        );
        let scrubbed = value(&scrub(&config, r#"{"m":"a@b.com b 1"}"#));
        assert_eq!(scrubbed["m"], want, "{applications}");
    }
}

#[test]
fn of_overlapping_rules_the_first_wins() {
    let config = r#"{"defaults":false,"applications":{"$string":["@email","@anything_else"]},"rules":{
        "@anything_else":{"type":"pattern","pattern":"b.com now|x","redaction":{"method":"remove"}}}}"#;
    assert_eq!(value(&scrub(config, r#"{"m":"a@b.com now x"}"#))["m"], "[email] now ");
}

#[test]
fn projects_have_settings_of_their_own() {
    let config = r#"{"projects":{"7":{"defaults":false,"applications":{"m":["@ip"]}},"8":{"sensitive_fields":["kitten"],"exclude_fields":["password"]}}}"#;
    let event = r#"{"m":"1.2.3.4","password":"p","kitten":"k"}"#;
    let inputs = [1, 7, 8].map(|project_id| Input { event, project_id, ..Input::default() });
    let all: Vec<_> =
        testing::scrub::<PiiScrubber>(config, &inputs).unwrap().iter().map(|j| value(j)).collect();
    let of = |i: usize| {
        [&all[i]["m"], &all[i]["password"], &all[i]["kitten"]].map(|v| v.as_str().unwrap().to_owned())
    };
    assert_eq!(of(0), ["[ip]", "[Filtered]", "k"]);
    assert_eq!(of(1), ["[ip]", "p", "k"]);
    assert_eq!(of(2), ["[ip]", "p", "[Filtered]"]);
}

#[test]
fn wrong_configurations_are_refused_by_name() {
    let cases = [
        (r#"{"applications":{"a":["@emial"]}}"#, "there is no rule \"@emial\"; did you mean \"@email\"?"),
        (r#"{"applications":{"a":["@email:burn"]}}"#, "there is no rule \"@email:burn\""),
        (r#"{"applications":{"a":["r"]},"rules":{"r":{"type":"pattern"}}}"#, "needs \"pattern\""),
        (r#"{"applications":{"a":["r"]},"rules":{"r":{"type":"pattern","pattern":"(?=x)"}}}"#, "look-around"),
        (r#"{"applications":{"a":["r"]},"rules":{"r":{"type":"alias","rule":"r"}}}"#, "leads back to itself"),
        (r#"{"applications":{"a":["r"]},"rules":{"r":{"type":"mail"}}}"#, "there is no type \"mail\""),
        (r#"{"projects":{"x":{}}}"#, "\"x\" is no project id"),
        (r#"{"default":true}"#, "default"),
    ];
    for (config, want) in cases {
        let error = testing::scrub::<PiiScrubber>(config, &["{}"]).unwrap_err();
        assert!(error.contains(want), "{config}: {error}");
    }
}
