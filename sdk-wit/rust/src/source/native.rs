//! The current batch on the author's machine: the host's own columns, without WebAssembly between.
//!
//! Where the host would end the call with a trap, this panics with the host's message.

use std::cell::RefCell;

use host_event::{ColumnError, Columns};

use super::{LeafList, Texts};

pub(crate) use host_event::Reals;

#[derive(Debug)]
pub(crate) struct Source(RefCell<Columns>);

impl Source {
    pub(crate) fn new(columns: Columns) -> Source {
        Source(RefCell::new(columns))
    }

    pub(crate) fn into_columns(self) -> Columns {
        self.0.into_inner()
    }

    pub(crate) fn len(&self) -> u32 {
        self.0.borrow().len() as u32
    }

    pub(crate) fn strings(&self, path: &str) -> Texts {
        or_trap(self.0.borrow_mut().strings(path).cloned()).into()
    }

    pub(crate) fn numbers(&self, path: &str) -> Reals {
        or_trap(self.0.borrow_mut().numbers(path).cloned())
    }

    pub(crate) fn json(&self, path: &str) -> Texts {
        or_trap(self.0.borrow_mut().json(path)).into()
    }

    pub(crate) fn counts(&self, path: &str) -> Vec<u32> {
        or_trap(self.0.borrow_mut().counts(path))
    }

    pub(crate) fn leaves(&self, selector: &str) -> LeafList {
        let list = or_trap(self.0.borrow_mut().leaves(selector));
        LeafList {
            events: list.events,
            ids: list.ids,
            kinds: list.kinds,
            paths: list.paths,
            offsets: list.offsets,
            data: text(list.data),
            path_offsets: list.path_offsets,
            path_data: text(list.path_data),
            path_keys: list.path_keys,
        }
    }
}

fn or_trap<T>(answer: Result<T, ColumnError>) -> T {
    answer.unwrap_or_else(|error| panic!("the host ends the call: {error}"))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the host gives texts in UTF-8")
}

impl From<host_event::Texts> for Texts {
    fn from(texts: host_event::Texts) -> Texts {
        Texts { presence: texts.presence, offsets: texts.offsets, data: text(texts.data) }
    }
}
