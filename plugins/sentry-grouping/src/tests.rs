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
    let md = "0123456789abcdef0123456789abcdef";
    assert_eq!(group("{}", &format!(r#"{{"checksum":"{md}"}}"#)), [("checksum".into(), md.into())]);
    let upper = md.to_uppercase();
    let hashed = group("{}", &format!(r#"{{"checksum":"{upper}","fingerprint":["a"]}}"#));
    assert_eq!(hashed, [("hashed_checksum".into(), md5(&upper))]);
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

/// The first hash of an event with these frames of an exception T.
fn of_frames(platform: &str, frames: &str) -> String {
    let event = format!(
        r#"{{"platform":"{platform}","exception":{{"values":[{{"type":"T","value":"v","stacktrace":{{"frames":[{frames}]}}}}]}}}}"#
    );
    group("{}", &event)[0].1.clone()
}

#[test]
fn frames_that_repeat_or_say_nothing() {
    let same = r#"{"module":"m","function":"f","lineno":1,"in_app":true,"context_line":"  f(a,\t b)  "}"#;
    let other = r#"{"module":"m","function":"f","lineno":2,"in_app":true,"context_line":"x"}"#;
    assert_eq!(of_frames("python", &[same, same, other].join(",")), md5("Tmff(a, b)mfx"));
    let long = format!(r#"{{"module":"m","context_line":"{}","in_app":true}}"#, "x".repeat(121));
    assert_eq!(of_frames("python", &long), md5("Tm"));
    assert_eq!(of_frames("go", same), md5("Tmf"), "lines of source are trusted on some platforms only");
    let native = r#"{"function":"void a::b<int>(int) const","package":"/x/app","in_app":true},{"function":"<unknown>","filename":"a.cpp","in_app":true}"#;
    assert_eq!(of_frames("native", native), md5("Ta::b<T>a.cpp"));
}

#[test]
fn frames_of_javascript() {
    let frame = |rest: &str| format!(r#"{{{rest},"in_app":true}}"#);
    let two = |a: &str, b: &str| of_frames("javascript", &[frame(a), frame(b)].join(","));
    let plain = r#""filename":"lib/Plain.js","function":"Foo.run""#;
    for (frame, adds) in [
        (
            r#""abs_path":"http://h/a/app.js","filename":"/a/app.js","module":"a/app","function":"A.bar""#,
            "a/appbar",
        ),
        (
            r#""abs_path":"http://h/a/app.js","filename":"/a/app.js","module":"a/app.js","function":"bar""#,
            "bar",
        ),
        (r#""abs_path":"file:///a/App.js","filename":"/a/App.js","function":"bar""#, "app.jsbar"),
        (r#""filename":"http://h/x.js","function":"?","context_line":"  x( 1 )""#, "x( 1 )"),
        (r#""filename":"x.js","function":"eval""#, ""),
        (r#""filename":"<anonymous>","function":"f""#, ""),
        (r#""filename":"x.js","function":"<anonymous>""#, "x.js"),
        (r#""filename":"x.js","function":"f","context_line":"f()","data":{"sourcemap":"m"}"#, "x.jsf()"),
        (r#""filename":"http://h/x.js","context_line":"f()""#, ""),
    ] {
        assert_eq!(two(plain, frame), md5(&format!("Tplain.jsrun{adds}")), "{frame}");
    }
    let alone = |rest: &str| of_frames("javascript", &frame(rest));
    assert_eq!(alone(r#""filename":"http://h/x.js""#), md5("Tv"), "a page alone says nothing");
    assert_eq!(alone(r#""filename":"lib/x.js""#), md5("Tx.js"));
    assert_eq!(alone(r#""filename":"http://h/x.js","function":"f""#), md5("Tf"));
}

#[test]
fn rules_for_stack_traces() {
    let event = r#"{"platform":"python","exception":{"values":[{"type":"E","value":"v","mechanism":{"type":"m"},"stacktrace":{"frames":[
        {"module":"a","in_app":true,"abs_path":"C:\\Shop\\A.py"},{"module":"b","in_app":false},{"module":"c","in_app":true},{"module":"d","in_app":false}]}}]}}"#;
    let with = |rules: &str| {
        let config = format!(r#"{{"enhancements":"{rules}"}}"#);
        group(&config, event).into_iter().map(|(kind, hash)| format!("{kind} {hash}")).collect::<Vec<_>>()
    };
    let want = |app: &str, system: &str| {
        let all = [("app", app), ("system", system)];
        let all = all.iter().filter(|(_, text)| !text.is_empty());
        all.map(|(kind, text)| format!("{kind} {}", md5(text))).collect::<Vec<_>>()
    };
    for (rules, app, system) in [
        ("", "Eac", "Eabcd"),
        ("path:**/shop/*.py -group", "Ec", "Ebcd"),
        ("module:c v-app", "Ec", "Eabcd"),
        ("module:b ^-group", "Ea", "Eab"),
        ("module:* max-frames=1", "Ec", "Ed"),
        ("module:* min-frames=3", "", "Eabcd"),
        ("module:* invert-stacktrace=1", "Eca", "Edcba"),
        ("[ module:b ] | module:c -group", "Ea", "Eabd"),
        ("module:c | [module:d] -group", "Ea", "Eabd"),
        ("[ module:a ] | module:c -group", "Eac", "Eabcd"),
        ("type:E value:v mechanism:m module:b +app", "Eabc", "Eabcd"),
        ("type:F module:b +app", "Eac", "Eabcd"),
        ("module:b category=db\\ncategory:db +app", "Eabc", "Eabcd"),
        ("app:no -group\\nmodule:d +app", "Eacd", "Eacd"),
    ] {
        let mut want = want(app, system);
        want.dedup_by(|a, b| a.split(' ').nth(1) == b.split(' ').nth(1));
        assert_eq!(with(rules), want, "{rules}");
    }
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

/// An exception of that type in a tree: its number, whose it is, and what else its mechanism has.
fn in_tree(kind: &str, id: i32, parent: &str, more: &str) -> String {
    let parent = if parent.is_empty() { String::new() } else { format!(r#","parent_id":{parent}"#) };
    format!(r#"{{"type":"{kind}","value":"v","mechanism":{{"exception_id":{id}{parent}{more}}}}}"#)
}

const GROUP: &str = r#","is_exception_group":true"#;

#[test]
fn exception_groups() {
    let of = |all: &[String]| {
        let event = format!(r#"{{"exception":{{"values":[{}]}}}}"#, all.join(","));
        group("{}", &event)
    };
    let root = || in_tree("Group", 0, "", GROUP);
    let app = |text: &str| [("app".to_owned(), md5(text))];
    let same = [in_tree("A", 2, "0", ""), in_tree("A", 1, "0", ""), root()];
    assert_eq!(of(&same), app("Av"), "copies are one, and the group says no more");
    let different = [in_tree("B", 2, "0", ""), in_tree("A", 1, "0", ""), root()];
    assert_eq!(of(&different), app("BvAvGroupv"), "by type, the outermost group last");
    let nested =
        [in_tree("B", 3, "2", ""), in_tree("Inner", 2, "0", GROUP), in_tree("A", 1, "0", ""), root()];
    assert_eq!(of(&nested), app("BvAvGroupv"), "inner groups go");
    let caused = [in_tree("Cause", 2, "1", ""), in_tree("A", 1, "0", ""), root()];
    assert_eq!(of(&caused), app("AvCausev"), "one exception, and what caused it");
    let chain = [in_tree("Cause", 1, "0", ""), in_tree("A", 0, "", "")];
    assert_eq!(of(&chain), app("AvCausev"));
    for broken in [
        [in_tree("A", 2, "0", ""), in_tree("A", 1, "0", "").replace("exception_id", "x"), root()],
        [in_tree("A", 1, "0", ""), in_tree("A", 1, "0", ""), root()],
        [in_tree("A", 1, "1", ""), in_tree("A", 2, "0", ""), root()],
    ] {
        assert_eq!(of(&broken), app("AvAvGroupv"), "a broken tree is a list: {broken:?}");
    }
    let without_root = [in_tree("A", 2, "1", ""), in_tree("Group", 1, "", GROUP)];
    assert_eq!(of(&without_root), app("AvGroupv"));
    let circle = [in_tree("A", 1, "0", GROUP), in_tree("Group", 0, "1", GROUP)];
    assert_eq!(of(&circle), app("AvGroupv"));
}

#[test]
fn chains_keep_their_order() {
    let plain = r#"{"exception":{"values":[{"type":"A","value":"1"},{"type":"B","value":"x"}]}}"#;
    assert_eq!(group("{}", plain), [("app".into(), md5("A<int>Bx"))]);
    let event = r#"{"platform":"python","exception":{"values":[{"type":"A","value":"x"},
        {"type":"B","value":"y","stacktrace":{"frames":[{"module":"lib","in_app":false}]}}]}}"#;
    assert_eq!(group("{}", event), [("system".into(), md5("Blib"))], "system alone has a stack trace");
    let third = format!(
        r#"{{"platform":"python","sdk":{{"version":"3.0.1"}},"exception":{{"values":[{},{}]}}}}"#,
        in_tree("Cause", 1, "0", ""),
        in_tree("A", 0, "", "")
    );
    assert_eq!(group("{}", &third)[0].1, md5("CausevAv"));
    let synthetic = r#"{"exception":{"values":[{"type":"A","value":"x","mechanism":{"synthetic":true}}]}}"#;
    assert_eq!(group("{}", synthetic)[0].1, md5("x"));
    let ns = r#"{"platform":"cocoa","exception":{"values":[{"type":"A","value":"x","mechanism":{"meta":{"ns_error":{"domain":"D","code":-12}}}}]}}"#;
    assert_eq!(group("{}", ns)[0].1, md5("AD-12"));
}

#[test]
fn threads() {
    let thread = |module: &str, flag: &str| {
        format!(r#"{{{flag}"stacktrace":{{"frames":[{{"module":"{module}","in_app":true}}]}}}}"#)
    };
    let of = |all: &[String]| {
        group("{}", &format!(r#"{{"message":"m","threads":{{"values":[{}]}}}}"#, all.join(",")))[0].clone()
    };
    let (crashed, current) = (r#""crashed":true,"#, r#""current":true,"#);
    assert_eq!(of(&[thread("a", current), thread("b", crashed)]), ("app".into(), md5("b")));
    assert_eq!(of(&[thread("a", ""), thread("b", current)]), ("app".into(), md5("b")));
    assert_eq!(of(&[thread("a", "")]), ("app".into(), md5("a")));
    assert_eq!(
        of(&[thread("a", crashed), thread("b", crashed), thread("c", current)]),
        ("app".into(), md5("c"))
    );
    assert_eq!(of(&[thread("a", ""), thread("b", "")]), ("default".into(), md5("m")));
    let stack = r#"{"stacktrace":{"frames":[{"module":"a","in_app":true}]},"message":"m"}"#;
    assert_eq!(group("{}", stack), [("app".into(), md5("a"))]);
}

#[test]
fn reports_and_templates() {
    for (event, want) in [
        (
            r#""csp":{"effective_directive":"img-src","blocked_uri":"https://evil.example/x.png"}"#,
            "img-srcevil.example",
        ),
        (r#""csp":{"effective_directive":"img-src","blocked_uri":"http://h:80/x"}"#, "img-srch:80"),
        (r#""csp":{"effective_directive":"img-src","blocked_uri":"data"}"#, "img-srcdata:"),
        (r#""csp":{"effective_directive":"img-src","blocked_uri":"wss://h/x"}"#, "img-srcwss://h"),
        (r#""csp":{"effective_directive":"script-src","blocked_uri":"self"}"#, "script-src'self'"),
        (
            r#""csp":{"effective_directive":"script-src","violated_directive":"x 'unsafe-eval' 'unsafe-inline'"}"#,
            "script-src'unsafe-inline'",
        ),
        (
            r#""csp":{"effective_directive":"style-src","violated_directive":"x 'unsafe-inline'","blocked_uri":"'self'"}"#,
            "style-src'self'",
        ),
        (r#""hpkp":{"hostname":"h"}"#, "hpkph"),
        (r#""expectct":{"hostname":"h"}"#, "expect-cth"),
        (r#""expectstaple":{"hostname":"h"}"#, "expect-stapleh"),
        (r#""template":{"filename":"a.html","context_line":"{% x %}"}"#, "a.html{% x %}"),
        (r#""logentry":{"message":"user %s","formatted":"user bob"}"#, "user %s"),
    ] {
        let event = format!(r#"{{{event},"message":"m"}}"#);
        assert_eq!(group("{}", &event), [("default".into(), md5(want))], "{event}");
    }
}

#[test]
fn rules_of_the_server() {
    let event = r#"{"platform":"node","level":"error","release":"Shop@1","sdk":{"name":"sentry.javascript.node"},"tags":{"t":"u"},
        "logentry":{"formatted":"M 1"},"exception":{"values":[
        {"type":"A","value":"One","stacktrace":{"frames":[{"function":"f","module":"m1","in_app":true,"filename":"src/x.js","package":"/a/lib.so"}]}},
        {"type":"B","value":"two","stacktrace":{"frames":[{"function":"g","module":"m2","in_app":false}]}}]},
        "threads":{"values":[{"id":7,"name":"main","crashed":true}]}}"#;
    for (matchers, is_match) in [
        ("type:A value:one", true),
        ("type:A value:two", false),
        ("!type:A", true),
        ("!type:* level:error", false),
        ("function:f module:m1", true),
        ("function:f module:m2", false),
        ("function:f app:yes", true),
        ("function:g app:1", false),
        ("path:**/SRC/*.js", true),
        ("package:/a/*", true),
        ("message:\\\"m 1\\\"", true),
        ("message:two", true),
        ("sdk:x,sentry.javascript.node release:shop@*", true),
        ("family:native", false),
        ("family:javascript,native tags.t:u", true),
        ("thread.name:MAIN thread.crashed:yes thread.id:7", true),
        ("thread.name:main thread.crashed:no", false),
    ] {
        let config = format!(r#"{{"fingerprinting":"{matchers} -> it"}}"#);
        let found = group(&config, event)[0].0 == "custom_server_fingerprint";
        assert_eq!(found, is_match, "{matchers}");
    }
    for (variable, value) in [
        ("message", "M <int>"),
        ("type", "B"),
        ("error.value", "two"),
        ("function", "g"),
        ("stack.filename", "<no-filename>"),
        ("path", "<no-abs-path>"),
        ("package", "<no-package>"),
        ("tags.t", "u"),
        ("tags.none", "<no-value-for-tag-none>"),
        ("logger", "<no-logger>"),
        ("nonsense", "<unrecognized-variable-nonsense>"),
    ] {
        let config = format!(r#"{{"fingerprinting":"type:A -> x {{{{ {variable} }}}}"}}"#);
        assert_eq!(group(&config, event)[0].1, md5(&format!("x{value}")), "{variable}");
    }
}

#[test]
fn builtin_rules() {
    let of = |rest: &str, value: &str| {
        let event = format!(
            r#"{{"platform":"javascript"{rest},"exception":{{"values":[{{"type":"Error","value":"{value}"}}]}}}}"#
        );
        group("{}", &event)[0].clone()
    };
    let builtin = |text: &str| ("built_in_fingerprint".to_owned(), md5(text));
    assert_eq!(of("", "chunkLoadError: Loading chunk 5 failed"), builtin("chunkloaderror"));
    assert_eq!(of("", "Loading chunk 5 failed").0, "app");
    let hydration = "Text content does not match server-rendered HTML.";
    assert_eq!(of(r#","transaction":"/cart""#, hydration), builtin("hydrationerror/cart"));
    assert_eq!(of("", hydration).0, "app", "no page, no such rule");
    let salted_nothing = group("{}", r#"{"fingerprint":["{{ default }}","x"]}"#);
    assert_eq!(salted_nothing, [("fallback".into(), md5(""))]);
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
