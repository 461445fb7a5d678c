//! The one place where the machine's clock and randomness are asked. Everything else is given what it needs.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use host_event::{EventId, Millis};

/// Milliseconds since 1970-01-01 UTC.
#[expect(clippy::disallowed_methods, reason = "this is where the clock that all others are given comes from")]
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// RFC 3339, to the second.
pub fn now_text() -> String {
    let second = jiff::Timestamp::from_second(now() / 1000);
    second.map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |t| t.to_string())
}

/// 64 bits that nobody else has: the standard library seeds its hash maps from the operating system.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// An id for an event that came without one: a version 4 UUID.
pub fn event_id() -> EventId {
    let bits = u128::from(random()) << 64 | u128::from(random());
    let versioned = bits & !(0xf << 76) | 0x4 << 76;
    EventId(versioned & !(0x3 << 62) | 0x2 << 62)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_4_and_differ() {
        let (a, b) = (event_id().to_string(), event_id().to_string());
        assert_ne!(a, b);
        assert_eq!((a.len(), &a[12..13]), (32, "4"));
        assert!("89ab".contains(&a[16..17]));
        assert!(now_text().starts_with("20") && now_text().ends_with('Z'));
    }
}
