//! The kinds of items that an envelope may announce, and what is done with each.

use host_event::{Category, Reason};

use crate::Limits;

/// The type of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemType {
    Event,
    Transaction,
    Span,
    Log,
    Session,
    Sessions,
    CheckIn,
    ClientReport,
    /// A type that this version keeps no rows of, known or not.
    Other(String),
}

/// Bytes of the name of an unknown type that are kept.
const TYPE_NAME_BYTES_MAX: usize = 40;

impl ItemType {
    pub fn parse(name: &str) -> ItemType {
        match name {
            "event" => ItemType::Event,
            "transaction" => ItemType::Transaction,
            "span" => ItemType::Span,
            "log" => ItemType::Log,
            "session" => ItemType::Session,
            "sessions" => ItemType::Sessions,
            "check_in" => ItemType::CheckIn,
            "client_report" => ItemType::ClientReport,
            _ => ItemType::Other(plain_key(name, TYPE_NAME_BYTES_MAX)),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            ItemType::Event => "event",
            ItemType::Transaction => "transaction",
            ItemType::Span => "span",
            ItemType::Log => "log",
            ItemType::Session => "session",
            ItemType::Sessions => "sessions",
            ItemType::CheckIn => "check_in",
            ItemType::ClientReport => "client_report",
            ItemType::Other(name) => name,
        }
    }

    /// The category that the items are counted under; `transaction` payloads within `event` items are found out later.
    pub fn category(&self) -> Category {
        match self {
            ItemType::Event => Category::Error,
            ItemType::Transaction => Category::Transaction,
            ItemType::Span => Category::Span,
            ItemType::Log => Category::Log,
            ItemType::Session | ItemType::Sessions => Category::Session,
            ItemType::CheckIn => Category::CheckIn,
            ItemType::ClientReport => Category::Unknown,
            ItemType::Other(name) => match name.as_str() {
                "attachment" | "unreal_report" | "form_data" => Category::Attachment,
                "profile" | "profile_chunk" | "profile_chunk_ui" => Category::Profile,
                "replay_event" | "replay_recording" | "replay_video" => Category::Replay,
                "trace_metric" => Category::TraceMetric,
                "user_report" | "feedback" => Category::Feedback,
                "security" | "raw_security" | "nel" => Category::Security,
                "otel_span" => Category::Span,
                _ => Category::Unknown,
            },
        }
    }

    /// How many bytes its payload may have; `None` if the payload is not kept at all.
    pub fn bytes_max(&self, limits: &Limits, container: bool) -> Option<u64> {
        match self {
            ItemType::Span | ItemType::Log if container => Some(limits.container_bytes_max),
            ItemType::Event => Some(limits.event_bytes_max),
            ItemType::Transaction => Some(limits.transaction_bytes_max),
            ItemType::Span => Some(limits.span_bytes_max),
            ItemType::Log => Some(limits.log_bytes_max),
            ItemType::Session | ItemType::Sessions => Some(limits.session_bytes_max),
            ItemType::CheckIn => Some(limits.check_in_bytes_max),
            ItemType::ClientReport => Some(limits.client_report_bytes_max),
            ItemType::Other(_) => None,
        }
    }

    /// The reason of the outcome of an item that is too large.
    pub fn too_large(&self, container: bool) -> Reason {
        match self {
            ItemType::Span | ItemType::Log if container => "too_large:container".into(),
            ItemType::Event => "too_large:event".into(),
            other => format!("too_large:{}", other.as_str()).into(),
        }
    }

    pub fn unsupported(&self) -> Reason {
        format!("unsupported_item:{}", self.as_str()).into()
    }
}

/// A name that a client chose, fit to be the key of an outcome: letters, digits and `._:-` only, and not long.
pub fn plain_key(name: &str, bytes_max: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._:-".contains(c) { c } else { '_' };
    let key: String = name.chars().take(bytes_max).map(plain).collect();
    if key.is_empty() { "unknown".to_owned() } else { key }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_types() {
        for name in [
            "event",
            "transaction",
            "span",
            "log",
            "session",
            "sessions",
            "check_in",
            "client_report",
            "attachment",
        ] {
            assert_eq!(ItemType::parse(name).as_str(), name);
        }
        assert_eq!(ItemType::parse("").unsupported(), "unsupported_item:unknown");
        assert_eq!(ItemType::parse("a b\n\u{e9}").unsupported(), "unsupported_item:a_b__");
        assert_eq!(ItemType::parse(&"x".repeat(99)).as_str().len(), TYPE_NAME_BYTES_MAX);
    }
}
