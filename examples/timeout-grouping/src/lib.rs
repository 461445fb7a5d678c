//! Groups timeouts by the host that did not answer, wherever in the code one was waiting for it.
//!
//! By stack trace, an outage of one service becomes a hundred groups: one for each place that calls it. Here it is one. What is
//! no timeout, or names no host, is left to the next stage.
//!
//! Configuration, all of it optional:
//! * `types`: exceptions that are timeouts (below is what they are without it);
//! * `domains`: hosts below one of these count as the domain, e.g. `db.internal` for `db7.db.internal`;
//! * `kind`: how the fingerprint is called (`timeout`).
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod host;

use tamis_plugin::{Event, Exception, Fingerprinter, Fingerprints, export, hash_of};

#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    types: Vec<String>,
    domains: Vec<String>,
    kind: String,
}

/// Of Python, JavaScript, the JVM, .NET, Ruby and Go.
const TYPES: [&str; 12] = [
    "TimeoutError",
    "ConnectTimeout",
    "ReadTimeout",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "SocketTimeoutException",
    "ConnectTimeoutException",
    "HttpTimeoutException",
    "TimeoutException",
    "Net::OpenTimeout",
    "Net::ReadTimeout",
    "*url.Error",
];

/// For exceptions that are about more than timeouts, such as Go's `*url.Error`.
const SIGNS: [&str; 4] = ["timed out", "timeout", "Timeout", "deadline exceeded"];

impl Default for Config {
    fn default() -> Config {
        let kind = "timeout".to_owned();
        Config { types: TYPES.map(str::to_owned).into(), domains: Vec::new(), kind }
    }
}

pub struct TimeoutGrouping(Config);

impl Fingerprinter for TimeoutGrouping {
    type Config = Config;

    fn init(config: Config) -> Result<Self, String> {
        match config.domains.iter().position(|domain| domain.is_empty() || domain.starts_with('.')) {
            Some(at) => {
                Err(format!("domains[{at}]: {:?} is no domain such as db.internal", config.domains[at]))
            }
            None => Ok(TimeoutGrouping(config)),
        }
    }

    fn fingerprint(&mut self, event: &Event<'_>, out: &mut Fingerprints) {
        // The last one is what was raised in the end; what it was caused by stands before it.
        let timeout = event.exceptions().rev().find(|exception| self.is_timeout(exception));
        if let Some(host) = timeout.and_then(|exception| host_of(event, &exception)) {
            let host = self.domain_of(&host.to_ascii_lowercase()).to_owned();
            out.push(&self.0.kind, &hash_of(["timeout", &host]));
        }
    }
}

impl TimeoutGrouping {
    fn is_timeout(&self, exception: &Exception<'_>) -> bool {
        let class = exception.text("type").unwrap_or_default();
        // `java.net.SocketTimeoutException` is one too.
        let short = class.rsplit_once('.').map_or(class, |(_, short)| short);
        if !self.0.types.iter().any(|known| known == class || known == short) {
            return false;
        }
        let value = exception.text("value").unwrap_or_default();
        class.contains("Timeout") || SIGNS.iter().any(|sign| value.contains(sign))
    }

    fn domain_of<'a>(&'a self, host: &'a str) -> &'a str {
        let is_below = |domain: &&String| {
            host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.0.domains.iter().find(is_below).map_or(host, String::as_str)
    }
}

/// What the text of the exception names, else what instrumentation has noted.
fn host_of<'a>(event: &Event<'a>, exception: &Exception<'a>) -> Option<&'a str> {
    let named = exception.text("value").and_then(host::named_in);
    named.or_else(|| event.tag("server.address")).or_else(|| event.tag("peer.hostname"))
}

export!(fingerprinter: TimeoutGrouping, reads = [
    "exception.values",
    "exception.values.*.type",
    "exception.values.*.value",
    "tags.'server.address'",
    "tags.'peer.hostname'",
]);

#[cfg(test)]
mod tests {
    use tamis_plugin::{hash_of, testing};

    use super::TimeoutGrouping;

    /// The host that an exception with that text is grouped by.
    fn check(config: &str, class: &str, value: &str, want: Option<&str>) {
        let event = format!(r#"{{"exception":{{"values":[{{"type":"{class}","value":"{value}"}}]}}}}"#);
        let found = testing::fingerprint::<TimeoutGrouping>(config, &[event.as_str()]).unwrap();
        let want = want.map(|host| ("timeout".to_owned(), hash_of(["timeout", host])));
        assert_eq!(found[0], Vec::from_iter(want), "{class}: {value}");
    }

    #[test]
    fn timeouts_are_by_host() {
        let pool = "HTTPSConnectionPool(host='api.pay.example', port=443): Read timed out.";
        check("{}", "ReadTimeout", pool, Some("api.pay.example"));
        check(
            "{}",
            "*url.Error",
            r#"Get \"https://API.pay.example:8443/v1\": context deadline exceeded"#,
            Some("api.pay.example"),
        );
        check("{}", "*url.Error", r#"Get \"https://api.pay.example/\": connection refused"#, None);
        check("{}", "java.net.SocketTimeoutException", "Read timed out", None);
        check("{}", "ValueError", "https://api.pay.example/ timed out", None);
        check(
            r#"{"types":["ValueError"]}"#,
            "ValueError",
            "https://api.pay.example/ timed out",
            Some("api.pay.example"),
        );
        check(r#"{"domains":["pay.example"]}"#, "ReadTimeout", pool, Some("pay.example"));
        check(r#"{"domains":["y.example"]}"#, "ReadTimeout", pool, Some("api.pay.example"));
    }

    #[test]
    fn a_tag_names_the_host_where_the_text_does_not() {
        let event = r#"{"exception":{"values":[{"type":"TimeoutError","value":"took 30 s"},{"type":"OrderFailed"}]},"tags":{"server.address":"db7"}}"#;
        let found = testing::fingerprint::<TimeoutGrouping>("{}", &[event, "{}"]).unwrap();
        assert_eq!(found, [vec![("timeout".to_owned(), hash_of(["timeout", "db7"]))], vec![]]);
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |config| testing::fingerprint::<TimeoutGrouping>(config, &["{}"]).unwrap_err();
        assert!(refused(r#"{"domains":["a",".b"]}"#).starts_with("domains[1]: \".b\" is no domain"));
        assert!(refused(r#"{"types":[1]}"#).starts_with("types[0]: "));
    }
}
