//! The current batch on the author's machine: the host's own columns, without WebAssembly between.
//!
//! Where the host would end the call with a trap, this panics with the host's message.

use std::cell::RefCell;

use host_event::{ColumnError, Columns};

pub(crate) use host_event::{LeafList, Reals};

#[derive(Debug)]
pub(crate) struct Source(RefCell<Columns>);

/// Texts of rows, checked once to be UTF-8.
#[derive(Debug)]
pub(crate) struct Texts {
    presence: Vec<u8>,
    offsets: Vec<u32>,
    data: String,
}

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
        or_trap(self.0.borrow_mut().leaves(selector))
    }
}

fn or_trap<T>(answer: Result<T, ColumnError>) -> T {
    answer.unwrap_or_else(|error| panic!("the host ends the call: {error}"))
}

impl From<host_event::Texts> for Texts {
    fn from(texts: host_event::Texts) -> Texts {
        let data = String::from_utf8(texts.data).expect("the host gives texts in UTF-8");
        Texts { presence: texts.presence, offsets: texts.offsets, data }
    }
}

impl Texts {
    #[inline]
    pub(crate) fn get(&self, row: u32) -> Option<&str> {
        let row = row as usize;
        if self.presence[row] == 0 {
            return None;
        }
        Some(&self.data[self.offsets[row] as usize..self.offsets[row + 1] as usize])
    }
}
