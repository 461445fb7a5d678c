//! Which transactions are health checks: asked for by machines every few seconds, and of no interest while they work.

/// What health checks are called, in lower case and without punctuation.
const NAMES: &[&str] = &[
    "alive",
    "health",
    "healthcheck",
    "healthchecks",
    "healthcheckz",
    "healthcontroller",
    "healthy",
    "healthz",
    "heartbeat",
    "live",
    "liveness",
    "livenesscheck",
    "livenessprobe",
    "livez",
    "ping",
    "pingz",
    "readiness",
    "readinesscheck",
    "readinessprobe",
    "ready",
    "readyz",
    "startupprobe",
    "startupz",
];
/// Names below which there may be one more: `/health/db`, `/livez/ping`.
const PARENTS: &[&str] = &["health", "healthcheck", "healthz", "livez", "readyz"];

/// What Sentry takes for a check wherever in a name it stands.
const WORDS: &[&str] = &["healthcheck", "heartbeat"];
/// What Rails calls its own check, and too short a word for anything but a path.
const PATH: &str = "up";

/// Whether a transaction is named like a health check: by its last part (`GET /api/healthz`, `app.views.health_check`,
/// `HealthCheck`), or as one of the parts of the check that a whole path is (`/health/db`).
pub(crate) fn is_check(name: &str) -> bool {
    let path = name.split(['?', '#']).next().unwrap_or(name).trim_end_matches(['/', ' ']);
    // `GET /x` and `/x` are the same to us.
    let path = path.rsplit(' ').next().unwrap_or(path);
    let mut parts = path.rsplit(['/', '.', ':']).filter(|part| !part.is_empty());
    let Some(last) = parts.next() else { return false };
    let is_path = path.starts_with('/');
    if is_named(last, NAMES) || (is_path && is_named(last, &[PATH])) || has_word(path) {
        return true;
    }
    is_path && parts.next().is_some_and(|parent| is_named(parent, PARENTS)) && parts.next().is_none()
}

fn is_named(part: &str, names: &[&str]) -> bool {
    names.iter().any(|name| letters(part).eq(name.bytes()))
}

/// Without punctuation, in lower case.
fn letters(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().filter(|b| !matches!(b, b'_' | b'-' | b'[' | b']')).map(|b| b.to_ascii_lowercase())
}

fn has_word(path: &str) -> bool {
    // Most names have no `h` that one of the words could begin with, and nothing is copied for them.
    let starts = path.bytes().enumerate().filter(|(_, b)| b.eq_ignore_ascii_case(&b'h'));
    starts.into_iter().any(|(at, _)| {
        let begins = |word: &str| letters(&path[at..]).take(word.len()).eq(word.bytes());
        WORDS.iter().any(|word| begins(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let yes = [
            "/health",
            "/healthz",
            "/livez",
            "/live",
            "/ready",
            "/readyz",
            "/ping",
            "GET /health",
            "GET /api/v1/health-check/",
            "/_health",
            "/_health/",
            "/health/live",
            "/health/db",
            "/actuator/health",
            "myapp.views.healthcheck",
            "app.views.health_check",
            "HealthCheck",
            "HEAD /heartbeat?verbose=1",
            "/healthz/ready",
            "grpc.health.v1.Health",
            "Controller::ping",
            "http://host/health",
            "/up",
            "GET /up/",
            "/[_health]",
            "Rails::HealthController#show",
            "HealthCheckController#index",
            "/v1/health-checks-of-all",
            "tasks.send_heartbeat_now",
        ];
        let no = [
            "/",
            "",
            "/healthy-recipes",
            "/users/{id}",
            "/health/articles/7",
            "/livestream",
            "/shopping",
            "/api/readyroom",
            "/pings",
            "/already",
            "GET /checkout",
            "/wellness/health/tips",
            "app.views.up",
            "/sign-up",
            "/é/hé",
        ];
        for name in yes {
            assert!(is_check(name), "{name}");
        }
        for name in no {
            assert!(!is_check(name), "{name}");
        }
        assert!(NAMES.is_sorted() && PARENTS.is_sorted(), "lists that people add to are kept in order");
    }
}
