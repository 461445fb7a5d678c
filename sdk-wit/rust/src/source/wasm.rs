//! The current batch as the host gives it, over the interface.

use crate::bindings::filter::tamis::plugin::batch as host;
use crate::bindings::text;

use super::{LeafList, Texts};

pub(crate) use host::Reals;

/// Stands for the host: there is one batch at a time, and it is the current one.
#[derive(Debug)]
pub(crate) struct Source;

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
        let list = host::leaves(selector);
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

impl From<host::Texts> for Texts {
    fn from(texts: host::Texts) -> Texts {
        Texts { presence: texts.presence, offsets: texts.offsets, data: text(texts.data) }
    }
}
