use tamis_plugin::testing;

use super::*;

fn group(config: &str, event: &str) -> Vec<(String, String)> {
    testing::fingerprint::<SentryGrouping>(config, &[event]).unwrap().remove(0)
}

fn kinds(event: &str) -> Vec<String> {
    group("{}", event).into_iter().map(|(kind, _)| kind).collect()
}

fn md5(text: &str) -> String {
    hash_of([text])
}

#[test]
fn the_same_hashes_as_sentry() {
    let event = r#"{"platform":"python","exception":{"values":[
        {"type":"ValueError","value":"hello world","stacktrace":{"frames":[{"filename":"foo/baz.py","in_app":true}]}},
        {"type":"ValueError","value":"hello world","stacktrace":{"frames":[{"filename":"foo/baz.py","in_app":false}]}}]}}"#;
    let hashes = group("{}", event);
    assert_eq!(hashes[0], ("app".into(), md5("ValueErrorbaz.pyValueErrorhello world")));
    assert!(hashes[0].1.starts_with("beb01c07"), "{hashes:?}");
    assert_eq!(hashes[1].0, "system");
    assert!(hashes[1].1.starts_with("8c527d09"), "{hashes:?}");
    let without_type = group("{}", r#"{"exception":{"values":[{"value":"hello world"}]}}"#);
    assert!(without_type[0].1.starts_with("5eb63bbb"), "{without_type:?}");
    assert_eq!(group("{}", "{}"), [("fallback".into(), "d41d8cd98f00b204e9800998ecf8427e".into())]);
}

#[test]
fn precedence() {
    let md = "0123456789ABCDEF0123456789abcdef";
    assert_eq!(group("{}", &format!(r#"{{"checksum":"{md}"}}"#)), [("checksum".into(), md.to_lowercase())]);
    assert_eq!(group("{}", r#"{"checksum":"x"}"#), [("hashed_checksum".into(), md5("x"))]);
    let event =
        r#"{"fingerprint":["a","b"],"exception":{"values":[{"type":"E","value":"v"}]},"tags":{"t":"u"}}"#;
    assert_eq!(group("{}", event), [("custom_client_fingerprint".into(), md5("ab"))]);
    let config =
        r#"{"fingerprinting":"type:X -> no\ntype:E tags.t:u* -> down {{ type }} {{ tags.t }} title=\"x\""}"#;
    assert_eq!(group(config, event), [("custom_server_fingerprint".into(), md5("downEu"))]);
    let hybrid = r#"{"fingerprint":["{{ default }}","x"],"message":"m"}"#;
    assert_eq!(group("{}", hybrid), [("default".into(), md5("mx"))]);
    let default = r#"{"fingerprint":["{{default}}"],"message":"m"}"#;
    assert_eq!(group("{}", default), [("default".into(), md5("m"))]);
    let chunk = r#"{"platform":"javascript","fingerprint":["{{ default }}","x"],"exception":{"values":[{"type":"ChunkLoadError","value":"5"}]}}"#;
    assert_eq!(group("{}", chunk), [("built_in_fingerprint".into(), md5("chunkloaderror"))]);
}

#[test]
fn variants_of_stack_traces() {
    let stack = |in_app: [bool; 2]| {
        format!(
            r#"{{"platform":"go","exception":{{"values":[{{"type":"E","value":"v","stacktrace":{{"frames":[
            {{"module":"main","function":"run","in_app":{}}},{{"module":"dep","function":"do","in_app":{}}}]}}}}]}}}}"#,
            in_app[0], in_app[1]
        )
    };
    assert_eq!(kinds(&stack([true, false])), ["app", "system"]);
    assert_eq!(kinds(&stack([false, false])), ["system"]);
    assert_eq!(kinds(&stack([true, true])), ["app"], "both hashes are the same");
    assert_eq!(group("{}", &stack([true, false]))[0].1, md5("Emainrun"));
    let config = r#"{"enhancements":"stack.module:main -group\nstack.module:dep +app"}"#;
    assert_eq!(group(config, &stack([true, false]))[0].1, md5("Edepdo"));
}

#[test]
fn frames_that_repeat_or_say_nothing() {
    let event = r#"{"platform":"python","exception":{"values":[{"type":"R","stacktrace":{"frames":[
        {"module":"m","function":"f","lineno":1,"in_app":true,"context_line":"  f()"},{"module":"m","function":"f","lineno":1,"in_app":true,"context_line":"  f()"},
        {"module":"m","function":"<unknown>","lineno":2,"in_app":true}]}}]}}"#;
    assert_eq!(group("{}", event)[0].1, md5("Rmf  f()m"));
    let js = r#"{"platform":"javascript","exception":{"values":[{"type":"T","stacktrace":{"frames":[
        {"abs_path":"http://h/a/app.js","filename":"http://h/a/app.js","module":"a/app","function":"Foo.bar","in_app":true},
        {"abs_path":"http://h/a/x.js","filename":"/a/X.js","function":"eval","in_app":true}]}}]}}"#;
    assert_eq!(group("{}", js)[0].1, md5("Ta/appbarx.js"));
}

#[test]
fn messages_are_parameterized() {
    let of =
        |message: &str| group("{}", &format!(r#"{{"logentry":{{"formatted":"{message}"}}}}"#))[0].1.clone();
    assert_eq!(of("user 42 not found"), of("user 7 not found"));
    assert_eq!(of("user 42 not found"), md5("user <int> not found"));
    assert_ne!(of("user x not found"), of("user y not found"));
    assert_eq!(kinds(r#"{"message":"x"}"#), ["default"]);
}

#[test]
fn exception_groups() {
    let child = |id: i32, kind: &str| {
        format!(r#"{{"type":"{kind}","value":"v","mechanism":{{"exception_id":{id},"parent_id":0}}}}"#)
    };
    let group_of = |children: &[String]| {
        let root = r#"{"type":"ExceptionGroup","value":"all","mechanism":{"exception_id":0,"is_exception_group":true}}"#;
        format!(r#"{{"exception":{{"values":[{},{root}]}}}}"#, children.join(","))
    };
    let same = group("{}", &group_of(&[child(1, "A"), child(2, "A")]));
    assert_eq!(same, [("app".into(), md5("Av"))]);
    let different = group("{}", &group_of(&[child(2, "B"), child(1, "A")]));
    assert_eq!(different, [("app".into(), md5("AvBvExceptionGroupall"))]);
}

#[test]
fn threads_and_reports() {
    let threads = r#"{"threads":{"values":[{"stacktrace":{"frames":[{"module":"a","in_app":true}]}},
        {"crashed":true,"stacktrace":{"frames":[{"module":"b","in_app":true}]}}]}}"#;
    assert_eq!(group("{}", threads), [("app".into(), md5("b"))]);
    let csp = r#"{"csp":{"effective_directive":"img-src","blocked_uri":"https://evil.example/x.png"}}"#;
    assert_eq!(group("{}", csp), [("default".into(), md5("img-srcevil.example"))]);
}

#[test]
fn only_errors_and_only_right_rules() {
    let input = testing::Input { event: r#"{"message":"m"}"#, category: "transaction", ..Default::default() };
    assert_eq!(testing::fingerprint::<SentryGrouping>("{}", &[input]).unwrap(), [vec![]]);
    for (config, want) in [
        (r#"{"fingerprinting":"type:x"}"#, "fingerprinting, line 1: \"type:x\" has no `->`"),
        (r#"{"fingerprinting":"\ntipe:x -> y"}"#, "line 2: there is no matcher \"tipe\""),
        (r#"{"enhancements":"family:native +up"}"#, "there is no action \"+up\""),
        (r#"{"enhancements":"function:\"x +app"}"#, "a quote is not closed"),
        (r#"{"projects":{"a":{}}}"#, "\"a\" is no project id"),
    ] {
        let error = testing::fingerprint::<SentryGrouping>(config, &["{}"]).unwrap_err();
        assert!(error.contains(want), "{config}: {error}");
    }
}

#[test]
fn projects_have_rules_of_their_own() {
    let config = r#"{"projects":{"7":{"fingerprinting":"message:* -> all"}}}"#;
    let inputs = [1, 7].map(|project_id| testing::Input {
        event: r#"{"message":"m"}"#,
        project_id,
        ..Default::default()
    });
    let hashes = testing::fingerprint::<SentryGrouping>(config, &inputs).unwrap();
    assert_eq!([&hashes[0][0].0, &hashes[1][0].0], ["default", "custom_server_fingerprint"]);
}
