use tamis_plugin::testing::{Input, filter};

use super::*;

fn reason(config: &str, input: Input<'_>) -> String {
    match filter::<InboundFilters>(config, &[input]).unwrap().remove(0) {
        Verdict::Keep => String::new(),
        Verdict::Drop(reason) => reason.into_owned(),
    }
}

fn agent(text: &str) -> String {
    format!(r#"{{"request":{{"headers":[["user-agent","{text}"]]}}}}"#)
}

const GOOGLE: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const IE8: &str = "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)";
const IE11: &str = "Mozilla/5.0 (Windows NT 6.3; Trident/7.0; rv:11.0) like Gecko";

#[test]
fn errors() {
    let exception =
        r#"{"exception":{"values":[{"type":"ValueError","value":"bad thing"},{"type":"TypeError"}]}}"#;
    let (google, ie8, ie11) = (agent(GOOGLE), agent(IE8), agent(IE11));
    for (config, event, want) in [
        ("", r#"{"release":"1"}"#, ""),
        ("{}", google.as_str(), "web-crawlers"),
        (r#"{"web_crawlers":false}"#, &google, ""),
        (r#"{"web_crawlers":true}"#, "{}", ""),
        (r#"{"releases":["1.*","bad@*"]}"#, r#"{"release":"Bad@2"}"#, "release-version"),
        (r#"{"releases":["1.*"]}"#, r#"{"release":"2.0"}"#, ""),
        (r#"{"releases":[]}"#, r#"{"release":"2.0"}"#, ""),
        (r#"{"error_messages":["*bad thing*"]}"#, exception, "error-message"),
        (r#"{"error_messages":["ValueError: *"]}"#, exception, "error-message"),
        (r#"{"error_messages":["bad thing"]}"#, exception, "error-message"),
        (r#"{"error_messages":["typeerror"]}"#, exception, "error-message"),
        (r#"{"error_messages":["good"]}"#, exception, ""),
        (
            r#"{"error_messages":["*timed out*"]}"#,
            r#"{"logentry":{"message":"it Timed Out"}}"#,
            "error-message",
        ),
        (r#"{"error_messages":["*timed out*"]}"#, r#"{"message":"it timed out"}"#, "error-message"),
        (r#"{"localhost":true}"#, r#"{"user":{"ip_address":"127.0.0.1"}}"#, "localhost"),
        (r#"{"localhost":true}"#, r#"{"user":{"ip_address":"::ffff:127.0.0.9"}}"#, "localhost"),
        (r#"{"localhost":true}"#, r#"{"request":{"url":"http://LocalHost:3000/x"}}"#, "localhost"),
        (r#"{"localhost":true}"#, r#"{"request":{"url":"https://u:p@app.localhost/"}}"#, "localhost"),
        (r#"{"localhost":true}"#, r#"{"request":{"url":"http://[::1]:8000/"}}"#, "localhost"),
        (r#"{"localhost":true}"#, r#"{"request":{"url":"http://notlocalhost/?u=http://localhost"}}"#, ""),
        (r#"{"localhost":true}"#, r#"{"request":{"url":"é"}}"#, ""),
        (r#"{"localhost":false}"#, r#"{"user":{"ip_address":"127.0.0.1"}}"#, ""),
        (r#"{"legacy_browsers":true}"#, &ie8, "legacy-browsers"),
        (r#"{"legacy_browsers":true}"#, &ie11, ""),
        (r#"{"legacy_browsers":["ie11"]}"#, &ie11, "legacy-browsers"),
        (r#"{"legacy_browsers":["ie9","default"]}"#, &ie8, "legacy-browsers"),
        (r#"{"legacy_browsers":false}"#, &ie8, ""),
        ("{}", &ie8, ""),
        ("{}", r#"{"transaction":"/health"}"#, ""),
    ] {
        assert_eq!(reason(config, Input::from(event)), want, "{config} {event}");
    }
}

#[test]
fn extensions_in_browsers() {
    let error = |platform: &str, value: &str, frames: &str| {
        format!(
            r#"{{"platform":"{platform}","exception":{{"values":[{{"type":"E","value":"{value}","stacktrace":{{"frames":[{frames}]}}}}]}}}}"#
        )
    };
    let page = r#"{"abs_path":"https://x.y/app.js"}"#;
    let extension = r#"{"abs_path":"chrome-extension://abc/content.js"}"#;
    let native = r#"{"abs_path":"[native code]"}"#;
    for (event, want) in [
        (error("javascript", "x", &format!("{page},{extension},{native}")), "browser-extensions"),
        (error("javascript", "x", &format!("{extension},{page}")), ""),
        (error("javascript", "Can't find variable: _AVAST_submit", page), "browser-extensions"),
        (error("python", "x", extension), ""),
        (error("javascript", "x", ""), ""),
        (r#"{"platform":"javascript"}"#.into(), ""),
    ] {
        assert_eq!(reason(r#"{"browser_extensions":true}"#, Input::from(&event)), want, "{event}");
        assert_eq!(reason("{}", Input::from(&event)), "", "{event}");
    }
}

#[test]
fn addresses_and_agents_of_the_request() {
    let from = |client_ip| Input { client_ip, ..Input::default() };
    let config = r#"{"client_ips":["10.0.0.0/8","2001:db8::/32"]}"#;
    assert_eq!(reason(config, from("10.1.2.3")), "ip-address");
    assert_eq!(reason(config, from("2001:db8::7")), "ip-address");
    assert_eq!(reason(config, from("11.1.2.3")), "");
    assert_eq!(reason(config, from("")), "");
    assert_eq!(reason("{}", Input { user_agent: GOOGLE, ..Input::default() }), "web-crawlers");
    let visitor = agent(IE11);
    assert_eq!(
        reason("{}", Input { user_agent: GOOGLE, ..Input::from(&visitor) }),
        "",
        "the event's own comes first"
    );
}

#[test]
fn transactions_spans_and_logs() {
    let health = r#"{"transaction":"GET /healthz"}"#;
    let segment = r#"{"name":"GET /livez","is_segment":true}"#;
    let child = r#"{"name":"SELECT 1","is_segment":false,"attributes":{"sentry.segment.name":{"type":"string","value":"/ready"}}}"#;
    let log = r#"{"body":"Cache miss","attributes":{"sentry.release":{"value":"1.0"}}}"#;
    for (config, category, event, want) in [
        ("{}", "transaction", health, "filtered-transaction"),
        (r#"{"health_checks":false}"#, "transaction", health, ""),
        ("{}", "transaction", r#"{"transaction":"/checkout"}"#, ""),
        (
            r#"{"transactions":["/check*"]}"#,
            "transaction",
            r#"{"transaction":"/checkout"}"#,
            "filtered-transaction",
        ),
        (r#"{"transactions":["/check*"]}"#, "error", r#"{"transaction":"/checkout"}"#, ""),
        (r#"{"error_messages":["*"]}"#, "transaction", r#"{"message":"x"}"#, ""),
        ("{}", "span", segment, "filtered-transaction"),
        ("{}", "span", child, "filtered-transaction"),
        ("{}", "span", r#"{"name":"/health","is_segment":false}"#, ""),
        (r#"{"error_messages":["cache *"]}"#, "log_item", log, "error-message"),
        (r#"{"releases":["1.0"]}"#, "log_item", log, "release-version"),
        ("{}", "log_item", log, ""),
    ] {
        assert_eq!(reason(config, Input { category, ..Input::from(event) }), want, "{config} {event}");
    }
}

#[test]
fn conditions_give_their_id_and_come_first() {
    let config = r#"{
        "releases": ["1.0"],
        "conditions": [
            {"id": "off", "enabled": false, "condition": {"op": "and", "inner": []}},
            {"id": "no-dev", "condition": {"op": "eq", "name": "event.environment", "value": "dev"}},
            {"id": "never", "condition": {"op": "and", "inner": []}, "isEnabled": false}
        ]
    }"#;
    assert_eq!(reason(config, Input::from(r#"{"environment":"dev","release":"1.0"}"#)), "no-dev");
    assert_eq!(reason(config, Input::from(r#"{"environment":"prod","release":"1.0"}"#)), "release-version");
}

#[test]
fn sections_by_project() {
    let config = r#"{
        "releases": ["1.0"], "localhost": true,
        "projects": {
            "42": {"releases": false, "error_messages": ["x"]},
            "43": {"web_crawlers": false, "releases": ["2.0"]}
        }
    }"#;
    let google = agent(GOOGLE);
    for (project_id, event, want) in [
        (1, r#"{"release":"1.0"}"#, "release-version"),
        (42, r#"{"release":"1.0"}"#, ""),
        (42, r#"{"message":"x"}"#, "error-message"),
        (42, r#"{"user":{"ip_address":"::1"}}"#, "localhost"),
        (42, &google, "web-crawlers"),
        (43, &google, ""),
        (43, r#"{"release":"1.0"}"#, ""),
        (43, r#"{"release":"2.0"}"#, "release-version"),
    ] {
        assert_eq!(reason(config, Input { project_id, ..Input::from(event) }), want, "{project_id} {event}");
    }
}

#[test]
fn ten_thousand_projects() {
    let sections: Vec<String> = (1..=10_000).map(|id| format!(r#""{id}":{{"releases":["{id}"]}}"#)).collect();
    let config = format!(r#"{{"projects":{{{}}}}}"#, sections.join(","));
    let event = |project_id| Input { project_id, ..Input::from(r#"{"release":"9999"}"#) };
    let verdicts = filter::<InboundFilters>(&config, &[event(9_999), event(9_998), event(70_000)]).unwrap();
    assert_eq!(verdicts, [Verdict::drop("release-version"), Verdict::Keep, Verdict::Keep]);
}

#[test]
fn mistakes_in_the_configuration() {
    for (config, want) in [
        (r#"{"release":["1"]}"#, "unknown key `release`; there are conditions, client_ips, releases"),
        (
            r#"{"releases":"1.0"}"#,
            "releases: invalid type: string \"1.0\", expected a list of patterns, or false",
        ),
        (r#"{"releases":true}"#, "releases: true says too little; expected a list of patterns, or false"),
        (r#"{"releases":["a","[b"]}"#, "releases[1]: pattern \"[b\": `[` is not closed"),
        (
            r#"{"client_ips":["10.0.0.0/40"]}"#,
            "client_ips[0]: \"10.0.0.0/40\": an address has 32 bits, not 40",
        ),
        (
            r#"{"legacy_browsers":["ie12"]}"#,
            "legacy_browsers[0]: unknown browsers \"ie12\"; there are default, android",
        ),
        (r#"{"localhost":"yes"}"#, "localhost: invalid type: string \"yes\", expected a boolean"),
        (r#"{"projects":{"acme":{}}}"#, "projects.acme: \"acme\" is not the id of a project"),
        (r#"{"projects":{"42":{"web_crawler":true}}}"#, "projects.42: unknown key `web_crawler`; there are"),
        (
            r#"{"conditions":[{"id":"a","condition":{"op":"not","inner":{"op":"eq","name":"event.x"}}}]}"#,
            "conditions[0].condition: inner: `eq` needs a `value`",
        ),
        (r#"{"conditions":[{"condition":{"op":"and","inner":[]}}]}"#, "conditions[0]: missing field `id`"),
    ] {
        let got = filter::<InboundFilters>(config, &["{}"]).unwrap_err();
        assert!(got.starts_with(want), "{config}: {got}");
    }
}
