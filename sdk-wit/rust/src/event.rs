//! One event of the batch, and the items of its lists.

use std::ops::Range;

use crate::batch::{Batch, Column, EVENT, Kind};

/// One event. Every method that takes a path pulls that path's values for the whole batch at its first use.
///
/// A path that can not be parsed, or that the stage was not granted, ends the call: the host applies the stage's failure
/// policy. Natively, in tests, it panics with the same message.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a>(Item<'a>);

/// One exception of an event.
pub type Exception<'a> = Item<'a>;
/// One frame of a stack trace.
pub type Frame<'a> = Item<'a>;

/// One item of a list within an event; paths are relative to it.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    batch: &'a Batch,
    base: u32,
    row: u32,
}

/// The items of a list, see [`Event::items`].
#[derive(Debug, Clone)]
pub struct Items<'a> {
    batch: &'a Batch,
    base: u32,
    rows: Range<u32>,
}

impl<'a> Event<'a> {
    pub(crate) fn new(batch: &'a Batch, row: u32) -> Event<'a> {
        Event(Item { batch, base: EVENT, row })
    }

    /// The place of this event in the batch.
    pub fn index(&self) -> usize {
        self.0.row as usize
    }

    /// The event as an item, for code that reads events and items of lists alike.
    pub fn as_item(&self) -> Item<'a> {
        self.0
    }

    /// The string, number or boolean under `path`, as text. Of a path with stars, the first there is.
    #[inline]
    pub fn text(&self, path: &str) -> Option<&'a str> {
        self.0.text(path)
    }

    /// The texts under a path with stars, e.g. `exception.values.*.type`; `None` where an item has none.
    pub fn texts(&self, path: &str) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
        self.0.texts(path)
    }

    /// The number under `path`. A string is none, also if it looks like a number.
    #[inline]
    pub fn number(&self, path: &str) -> Option<f64> {
        self.0.number(path)
    }

    /// The boolean under `path`.
    #[inline]
    pub fn flag(&self, path: &str) -> Option<bool> {
        self.0.flag(path)
    }

    /// The number of elements of the list, or of members of the object, under `path`; 0 where there is neither.
    #[inline]
    pub fn count(&self, path: &str) -> usize {
        self.0.count(path)
    }

    /// The same for a path with stars: a number for each item.
    pub fn counts(&self, path: &str) -> impl Iterator<Item = usize> + use<'a> {
        self.0.counts(path)
    }

    /// Whatever is under `path`, as JSON text. It costs more than the others: all of it is copied.
    pub fn json(&self, path: &str) -> Option<&'a str> {
        self.0.json(path)
    }

    /// The tag with that key, whatever is in the key and in whichever form the client sent tags.
    #[inline]
    pub fn tag(&self, key: &str) -> Option<&'a str> {
        let column = self.0.batch.column(EVENT, Kind::Tag, key);
        column.text(self.0.row)
    }

    /// The items of the list (or the values of the object) under `path`. The items of a path with stars, such as
    /// `exception.values.*.stacktrace.frames`, follow each other.
    pub fn items(&self, path: &str) -> Items<'a> {
        self.0.items(path)
    }

    /// The exceptions, in the order of the event: the last one is the one that was raised last.
    pub fn exceptions(&self) -> Items<'a> {
        self.items("exception.values")
    }

    /// The threads.
    pub fn threads(&self) -> Items<'a> {
        self.items("threads.values")
    }

    /// The user whom the event is about.
    pub fn user(&self) -> User<'a> {
        User(self.0)
    }

    /// The id of the project that the event belongs to.
    #[inline]
    pub fn project_id(&self) -> u64 {
        self.number("$meta.project_id").map_or(0, |id| id as u64)
    }

    /// When the host received the event, in milliseconds since 1970-01-01 UTC. A plugin has no other clock.
    #[inline]
    pub fn received_at(&self) -> u64 {
        self.number("$meta.received_at").map_or(0, |ms| ms as u64)
    }
}

/// The user whom an event is about, as far as it says so.
#[derive(Debug, Clone, Copy)]
pub struct User<'a>(Item<'a>);

impl<'a> User<'a> {
    /// What the application calls the user.
    pub fn id(&self) -> Option<&'a str> {
        self.0.text("user.id")
    }

    /// The address of mail.
    pub fn email(&self) -> Option<&'a str> {
        self.0.text("user.email")
    }

    /// As the event says it; the client's own is `$meta.client_ip`.
    pub fn ip_address(&self) -> Option<&'a str> {
        self.0.text("user.ip_address")
    }

    /// The name for logging in.
    pub fn username(&self) -> Option<&'a str> {
        self.0.text("user.username")
    }
}

impl<'a> Item<'a> {
    /// See [`Event::text`].
    #[inline]
    pub fn text(&self, path: &str) -> Option<&'a str> {
        let (column, rows) = self.column(Kind::Text, path);
        first(rows, |row| column.text(row))
    }

    /// See [`Event::texts`].
    pub fn texts(&self, path: &str) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
        let (column, rows) = self.column(Kind::Text, path);
        rows.map(move |row| column.text(row))
    }

    /// See [`Event::number`].
    #[inline]
    pub fn number(&self, path: &str) -> Option<f64> {
        let (column, rows) = self.column(Kind::Number, path);
        first(rows, |row| column.number(row))
    }

    /// See [`Event::flag`].
    #[inline]
    pub fn flag(&self, path: &str) -> Option<bool> {
        match self.text(path)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// See [`Event::count`].
    #[inline]
    pub fn count(&self, path: &str) -> usize {
        self.counts(path).sum()
    }

    /// See [`Event::counts`].
    #[inline]
    pub fn counts(&self, path: &str) -> impl Iterator<Item = usize> + use<'a> {
        let (column, rows) = self.column(Kind::Count, path);
        rows.map(move |row| column.count(row))
    }

    /// See [`Event::json`].
    pub fn json(&self, path: &str) -> Option<&'a str> {
        let (column, rows) = self.column(Kind::Json, path);
        first(rows, |row| column.text(row))
    }

    /// See [`Event::items`].
    pub fn items(&self, path: &str) -> Items<'a> {
        let (column, rows) = self.column(Kind::List, path);
        Items { batch: self.batch, base: column.list(), rows }
    }

    /// The frames of this exception's or thread's stack trace, the outermost call first.
    pub fn frames(&self) -> Items<'a> {
        self.items("stacktrace.frames")
    }

    #[inline]
    fn column(&self, kind: Kind, path: &str) -> (&'a Column, Range<u32>) {
        let column = self.batch.column(self.base, kind, path);
        (column, column.rows(self.row))
    }
}

#[inline]
fn first<T>(mut rows: Range<u32>, value: impl Fn(u32) -> Option<T>) -> Option<T> {
    rows.find_map(value)
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let row = self.rows.next()?;
        Some(Item { batch: self.batch, base: self.base, row })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl DoubleEndedIterator for Items<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let row = self.rows.next_back()?;
        Some(Item { batch: self.batch, base: self.base, row })
    }
}

impl ExactSizeIterator for Items<'_> {}
