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
fn remarks_as_sentry_makes_them() {
    let cases = [
        ("@email", "hi [email] bye", r#"{"rem":[["@email","s",3,10]],"len":14}"#),
        ("@email:replace", "hi [email] bye", r#"{"rem":[["@email:replace","s",3,10]],"len":14}"#),
        ("@email:mask", "hi ******* bye", r#"{"rem":[["@email:mask","m",3,10]],"len":14}"#),
        ("@email:remove", "hi  bye", r#"{"rem":[["@email:remove","x",3,3]],"len":14}"#),
        (
            "@email:hash",
            "hi 61B3201A382D592BE35539FDC89B1D3DD75CE6E1 bye",
            r#"{"rem":[["@email:hash","p",3,43]],"len":14}"#,
        ),
    ];
    for (rule, text, note) in cases {
        let config = format!(r#"{{"defaults":false,"applications":{{"m":["{rule}"]}}}}"#);
        let scrubbed = value(&scrub(&config, r#"{"m":"hi a@b.com bye"}"#));
        assert_eq!(scrubbed["_meta"]["m"][""], value(note), "{rule}");
        assert_eq!(scrubbed["m"], text, "{rule}");
    }
}

/// What each rule does by itself, and each variant of it.
#[test]
fn every_builtin_rule_in_every_variant() {
    let texts = [
        ("email", "a@b.com", "[email]"),
        ("ip", "10.0.0.1", "[ip]"),
        ("creditcard", "4111111111111111", "[creditcard]"),
        ("iban", "GB82WEST12345698765432", "[iban]"),
        ("imei", "490154203237518", "[imei]"),
        ("mac", "4a:00:04:10:9b:50", "*****************"),
        ("uuid", "ceee0822-ed8f-4622-b2a3-789e73e75cd1", "************************************"),
        ("usssn", "078-05-1120", "***********"),
        ("bearer", "abcdefgh", "[token]"),
        ("userpath", "jane", "[user]"),
        ("urlauth", "u:p", "[auth]"),
        ("pemkey", "MIIE", "[pemkey]"),
    ];
    for (kind, secret, alone) in texts {
        let text = match kind {
            "bearer" => format!("Bearer {secret}"),
            "userpath" => format!("/home/{secret}"),
            "urlauth" => format!("x://{secret}@h"),
            "pemkey" => format!("-----BEGIN KEY-----{secret}-----END KEY-----"),
            _ => secret.to_owned(),
        };
        let with = |rule: &str| {
            let config = format!(r#"{{"defaults":false,"applications":{{"m":["{rule}"]}}}}"#);
            value(&scrub(&config, &format!(r#"{{"m":"{text}"}}"#)))["m"].as_str().unwrap().to_owned()
        };
        assert_eq!(with(&format!("@{kind}")), text.replace(secret, alone), "{kind}");
        assert_eq!(with(&format!("@{kind}:filter")), text.replace(secret, "[Filtered]"), "{kind}");
        assert_eq!(with(&format!("@{kind}:remove")), text.replace(secret, ""), "{kind}");
        assert_eq!(with(&format!("@{kind}:mask")), text.replace(secret, &"*".repeat(secret.len())), "{kind}");
        assert_eq!(with(&format!("@{kind}:hash")).len(), text.len() - secret.len() + 40, "{kind}");
        assert!(with(&format!("@{kind}:replace")).contains('['), "{kind}");
    }
    let config = |rule: &str| format!(r#"{{"defaults":false,"applications":{{"**":["{rule}"]}}}}"#);
    let event = r#"{"m":"a@b.com 10.0.0.1 4111111111111111","password":"p"}"#;
    let common = value(&scrub(&config("@common"), event));
    assert_eq!(common["m"], "[email] [ip] [creditcard]");
    assert_eq!(common["password"], value("null"));
    let filter = value(&scrub(&config("@common:filter"), event));
    assert_eq!(
        (&filter["m"], &filter["password"]),
        (&"a@b.com 10.0.0.1 [Filtered]".into(), &"[Filtered]".into())
    );
    let anything = |rule: &str| value(&scrub(&config(rule), r#"{"m":"ab"}"#))["m"].clone();
    assert_eq!(anything("@anything"), "[Filtered]");
    assert_eq!(anything("@anything:mask"), "**");
    assert_eq!(anything("@anything:remove"), value("null"));
}

#[test]
fn secrets_in_every_shape() {
    let event = r#"{
        "message":"mail a@b.com",
        "logentry":{"message":"to a@b.com","params":["4111 1111 1111 1111",4111111111111111]},
        "request":{"query_string":"page=2&password=hunter2","url":"https://h/?auth_token=abc&x=1",
            "data":"{\"user\":\"jane\",\"password\":\"hunter2\"}",
            "headers":{"X-Api-Key":"k","User-Agent":"UA 1.2.3.4","X-Forwarded-For":"1.2.3.4","Cookie":"a=b"},
            "env":{"REMOTE_ADDR":"1.2.3.4"}},
        "extra":{"list":[["x",{"deep":["4111111111111111"]}]],"token":"t","apiKey":["a","b"],"otp":123456,"author_id":7,
            "input_tokens":12,"used":{"gen_ai.usage.input_tokens":12}},
        "breadcrumbs":[{"message":"GET https://u:p@h/?token=x","data":{"url":"http://h/?password=y"}}],
        "exception":{"values":[{"value":"token=kept","stacktrace":{"frames":[{"filename":"/home/jane/a.py",
            "context_line":"password = 'kept'","vars":{"db_password":"'x'","url":"'redis://:pw@h'","n":4111111111111111}}]}}]},
        "contexts":{"trace":{"trace_id":"t","data":{"http.url":"https://u:p@h","gen_ai.prompt":"mail a@b.com"}}},
        "spans":[{"description":"GET /?secret=s","data":{"http.request.header.cookie":"a=b"}}]}"#;
    let got = value(&scrub("{}", event));
    let at = |pointer: &str| got.pointer(pointer).unwrap_or_else(|| panic!("{pointer}")).clone();
    for (pointer, want) in [
        ("/message", "mail [email]"),
        ("/logentry/message", "to [email]"),
        ("/logentry/params/0", "[Filtered]"),
        ("/logentry/params/1", "[Filtered]"),
        ("/request/query_string", "page=2&password=[Filtered]"),
        ("/request/url", "https://h/?auth_token=[Filtered]&x=1"),
        ("/request/data", r#"{"user":"jane","password":"[Filtered]"}"#),
        ("/request/headers/X-Api-Key", "[Filtered]"),
        ("/request/headers/User-Agent", "UA 1.2.3.4"),
        ("/request/headers/X-Forwarded-For", "[ip]"),
        ("/request/headers/Cookie", "[Filtered]"),
        ("/extra/list/0/1/deep/0", "[Filtered]"),
        ("/extra/token", "[Filtered]"),
        ("/extra/apiKey/1", "[Filtered]"),
        ("/extra/otp", "[Filtered]"),
        ("/breadcrumbs/0/message", "GET https://[Filtered]@h/?token=[Filtered]"),
        ("/breadcrumbs/0/data/url", "http://h/?password=[Filtered]"),
        ("/exception/values/0/value", "token=kept"),
        ("/exception/values/0/stacktrace/frames/0/filename", "/home/jane/a.py"),
        ("/exception/values/0/stacktrace/frames/0/context_line", "password = 'kept'"),
        ("/exception/values/0/stacktrace/frames/0/vars/db_password", "[Filtered]"),
        ("/exception/values/0/stacktrace/frames/0/vars/url", "'redis://[Filtered]@h'"),
        ("/exception/values/0/stacktrace/frames/0/vars/n", "[Filtered]"),
        ("/contexts/trace/trace_id", "t"),
        ("/contexts/trace/data/http.url", "https://[Filtered]@h"),
        ("/contexts/trace/data/gen_ai.prompt", "mail [email]"),
        ("/spans/0/description", "GET /?secret=[Filtered]"),
        ("/spans/0/data/http.request.header.cookie", "[Filtered]"),
    ] {
        assert_eq!(at(pointer), want, "{pointer}");
    }
    assert_eq!(at("/request/env/REMOTE_ADDR"), value("null"));
    assert_eq!(at("/extra/input_tokens"), 12, "a count is no secret");
    assert_eq!(at("/extra/used/gen_ai.usage.input_tokens"), 12);
}

#[test]
fn logs_and_spans_of_the_second_format() {
    let log = r#"{"body":"mail a@b.com","attributes":{"client.address":{"value":"1.2.3.4","type":"string"},
        "sentry.message.parameter.0":{"value":"4111111111111111","type":"string"},"db.password":{"value":"x","type":"string"}}}"#;
    let got = value(&scrub("{}", log));
    assert_eq!(got["body"], "mail [email]");
    assert_eq!(got["attributes"]["client.address"]["value"], value("null"));
    assert_eq!(got["attributes"]["sentry.message.parameter.0"]["value"], "[Filtered]");
    assert_eq!(got["attributes"]["db.password"]["value"], "[Filtered]");
}

#[test]
fn fields_of_ones_own_and_exemptions() {
    let event = r#"{"extra":{"kitten":"k","auth_info":{"name":"n"},"token":"t"},"pairs":"kitten=x"}"#;
    let config = r#"{"sensitive_fields":["Kitten",""," "],"exclude_fields":["auth_info",""]}"#;
    let got = value(&scrub(config, event));
    assert_eq!(
        got["extra"],
        value(r#"{"kitten":"[Filtered]","auth_info":{"name":"n"},"token":"[Filtered]"}"#)
    );
    assert_eq!(got["pairs"], "kitten=[Filtered]");
    assert_eq!(got["_meta"]["extra"]["kitten"][""]["rem"][0][0], "strip-fields");
    let alone = value(&scrub(r#"{"defaults":false,"sensitive_fields":["kitten"]}"#, event));
    assert_eq!(alone["extra"], value(r#"{"kitten":"[Filtered]","auth_info":{"name":"n"},"token":"t"}"#));
}

#[test]
fn rules_by_key_and_rules_that_hide_others() {
    let config = r#"{"defaults":false,"applications":{"**":["pair","all"]},"rules":{
        "pair":{"type":"redact_pair","keyPattern":"^Kitten$","redaction":{"method":"replace","text":"K"}},
        "all":{"type":"multiple","rules":["@ip","@email"],"hideInner":true,"redaction":{"method":"default"}}}}"#;
    let got = value(&scrub(config, r#"{"a":{"kitten":"x"},"kittens":"1.2.3.4","q":"kitten=y&z=a@b.com"}"#));
    assert_eq!((&got["a"]["kitten"], &got["kittens"]), (&"K".into(), &"[ip]".into()));
    assert_eq!(got["q"], "kitten=K&z=[email]");
    assert_eq!(got["_meta"]["kittens"][""]["rem"][0][0], "all");
}

/// Each of them takes milliseconds; where every match is compared with every other, minutes.
#[test]
fn hostile_texts_take_linear_time() {
    for unit in ["a@b.co ", "1.1.1.1 ", "token=x&", "4111111111111111 ", "http://a:b@c ", "a", "@", "é"] {
        let event = format!(r#"{{"m":"{}","message":"{0}"}}"#, unit.repeat((1 << 20) / unit.len()));
        let begun = std::time::Instant::now();
        scrub(r#"{"applications":{"**":["@email","@ip","@uuid","@mac","@imei","@userpath"]}}"#, &event);
        assert!(begun.elapsed().as_secs() < 10, "{unit}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_text_full_of_secrets_goes_as_a_whole() {
    let event = format!(r#"{{"message":"{}"}}"#, "a@b.co ".repeat(MATCHES_MAX + 1));
    let got = value(&scrub("{}", &event));
    assert_eq!(got["message"], "[email]");
}

#[test]
fn many_projects_share_what_is_the_same() {
    let own = |i: usize| format!(r#""{i}":{{"exclude_fields":["field_{}"]}}"#, i % 3);
    let config = format!(r#"{{"projects":{{{}}}}}"#, (1..=1000).map(own).collect::<Vec<_>>().join(","));
    let plan = Plan::new(&serde_json::from_str(&config).unwrap()).unwrap();
    assert_eq!((plan.tables(), plan.selectors.len()), (1001, 4), "no walk more than without projects");
    assert_eq!(plan.sets_len(), 4 + 3);
}

#[test]
fn paths_are_remembered_however_many_there_were() {
    let mut decided = Decided::default();
    assert_eq!(decided.get(0, 7, || Whole::Exempt), Whole::Exempt);
    assert_eq!(decided.get(0, 7, || Whole::No), Whole::Exempt);
    let far = DECIDED_PATHS_MAX as u32 * 3;
    assert_eq!(decided.get(1, far, || Whole::Rule(2)), Whole::Rule(2));
    assert_eq!(decided.get(1, far, || Whole::No), Whole::Rule(2));
    assert_eq!(decided.get(0, 7, || Whole::No), Whole::No, "forgotten");
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
        (
            r#"{"applications":{"a":["r"]},"rules":{"r":{"type":"pattern","pattern":"x","replaceGroup":[1]}}}"#,
            "replaceGroup",
        ),
        (
            r#"{"applications":{"a":["r"]},"rules":{"r":{"type":"email","redaction":{"method":"mask","text":"x"}}}}"#,
            "rule \"r\": \"text\" says nothing to this method",
        ),
    ];
    for (config, want) in cases {
        let error = testing::scrub::<PiiScrubber>(config, &["{}"]).unwrap_err();
        assert!(error.contains(want), "{config}: {error}");
    }
}
