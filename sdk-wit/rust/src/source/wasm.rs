//! The current batch as the host gives it, over the interface.

use crate::bindings::filter::tamis::plugin::batch as host;

pub(crate) use host::{LeafList, Reals};

/// Stands for the host: there is one batch at a time, and it is the current one.
#[derive(Debug)]
pub(crate) struct Source;

/// Texts of rows, checked once to be UTF-8.
#[derive(Debug)]
pub(crate) struct Texts {
    presence: Vec<u8>,
    offsets: Vec<u32>,
    data: String,
}

impl Source {
    pub(crate) fn len(&self) -> u32 {
        host::len()
    }

    pub(crate) fn strings(&self, path: &str) -> Texts {
        host::strings(path).into()
    }

    pub(crate) fn numbers(&self, path: &str) -> Reals {
        host::numbers(path)
    }

    pub(crate) fn json(&self, path: &str) -> Texts {
        host::json(path).into()
    }

    pub(crate) fn counts(&self, path: &str) -> Vec<u32> {
        host::counts(path)
    }

    pub(crate) fn leaves(&self, selector: &str) -> LeafList {
        host::leaves(selector)
    }
}

impl From<host::Texts> for Texts {
    fn from(texts: host::Texts) -> Texts {
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
