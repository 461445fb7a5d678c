//! What kind of thing an item is, in Sentry's own words for data categories.

use std::fmt;

/// The data category of one item. The names are those of Sentry's rate limits and client reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Category {
    /// Error events and messages.
    Error,
    Transaction,
    /// A span that came by itself, in a span v2 container.
    Span,
    Log,
    Session,
    CheckIn,
    Attachment,
    Profile,
    Replay,
    TraceMetric,
    Feedback,
    Security,
    /// A category that a client reported and that this version does not know, or an unknown item type.
    Unknown,
}

impl Category {
    /// Every category, in the order in which tables show them.
    pub const ALL: [Category; 13] = [
        Category::Error,
        Category::Transaction,
        Category::Span,
        Category::Log,
        Category::Session,
        Category::CheckIn,
        Category::Attachment,
        Category::Profile,
        Category::Replay,
        Category::TraceMetric,
        Category::Feedback,
        Category::Security,
        Category::Unknown,
    ];

    /// Sentry's name, as in `X-Sentry-Rate-Limits` and client reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Category::Error => "error",
            Category::Transaction => "transaction",
            Category::Span => "span",
            Category::Log => "log_item",
            Category::Session => "session",
            Category::CheckIn => "monitor",
            Category::Attachment => "attachment",
            Category::Profile => "profile",
            Category::Replay => "replay",
            Category::TraceMetric => "trace_metric",
            Category::Feedback => "feedback",
            Category::Security => "security",
            Category::Unknown => "unknown",
        }
    }

    /// The category of that name; `Unknown` for a name that is not known, so that nothing is ever left uncounted.
    pub fn from_name(name: &str) -> Category {
        match name {
            "default" | "event" => Category::Error,
            "log" => Category::Log,
            "check_in" => Category::CheckIn,
            "profile_chunk" | "profile_chunk_ui" => Category::Profile,
            "user_report_v2" => Category::Feedback,
            "replay_event" | "replay_recording" | "replay_video" => Category::Replay,
            _ => Category::ALL.into_iter().find(|c| c.as_str() == name).unwrap_or(Category::Unknown),
        }
    }

    /// Whether items of this category go through plugins and into a table of their own.
    pub fn is_processed(self) -> bool {
        matches!(self, Category::Error | Category::Transaction | Category::Span | Category::Log)
    }

    /// Whether this version keeps items of this category as rows at all.
    pub fn is_kept(self) -> bool {
        self.is_processed() || matches!(self, Category::Session | Category::CheckIn)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_category() {
        for category in Category::ALL {
            assert_eq!(Category::from_name(category.as_str()), category);
        }
        assert_eq!(Category::from_name("something new"), Category::Unknown);
    }
}
