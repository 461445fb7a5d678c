//! Where the filters find what they look at: errors, transactions, spans and logs have it in different places.

use tamis_plugin::Event;

#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) event: Event<'a>,
    /// Spans and logs, which have attributes.
    is_item: bool,
    is_transaction: bool,
    is_log: bool,
}

impl<'a> View<'a> {
    pub(crate) fn new(event: Event<'a>) -> View<'a> {
        let category = event.text("$meta.category").unwrap_or_default();
        View {
            event,
            is_item: matches!(category, "span" | "log_item"),
            is_transaction: category == "transaction",
            is_log: category == "log_item",
        }
    }

    pub(crate) fn release(&self) -> Option<&'a str> {
        match self.is_item {
            true => self.event.text("attributes.'sentry.release'.value"),
            false => self.event.text("release"),
        }
    }

    /// Errors and logs; a transaction's message is not what anyone means by an error message.
    pub(crate) fn has_messages(&self) -> bool {
        !self.is_transaction && (!self.is_item || self.is_log)
    }

    pub(crate) fn message(&self) -> Option<&'a str> {
        if self.is_log {
            return self.event.text("body");
        }
        let paths = ["logentry.formatted", "logentry.message", "message"];
        paths.into_iter().find_map(|path| self.event.text(path))
    }

    /// The name of the transaction, or of the segment that a span is part of. None for errors: they are not filtered
    /// because of where they happen.
    pub(crate) fn transaction(&self) -> Option<&'a str> {
        if self.is_transaction {
            return self.event.text("transaction");
        }
        if !self.is_item || self.is_log {
            return None;
        }
        let segment = self.event.text("attributes.'sentry.segment.name'.value");
        segment.or_else(|| self.event.flag("is_segment")?.then(|| self.event.text("name"))?)
    }

    pub(crate) fn url(&self) -> Option<&'a str> {
        match self.is_item {
            true => self.event.text("attributes.'url.full'.value"),
            false => self.event.text("request.url"),
        }
    }

    /// What the visitor's browser calls itself; else whoever sent the event.
    pub(crate) fn user_agent(&self) -> Option<&'a str> {
        let of_event = match self.is_item {
            true => self.event.text("attributes.'user_agent.original'.value"),
            false => self.event.text("request.headers.User-Agent"),
        };
        of_event.or_else(|| self.event.text("$meta.user_agent"))
    }
}
