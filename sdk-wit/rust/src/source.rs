//! Where columns come from: over the interface in a component, from the host's own code in a test.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{Reals, Source};
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{Reals, Source};

/// Texts of rows.
#[derive(Debug)]
pub(crate) struct Texts {
    presence: Vec<u8>,
    offsets: Vec<u32>,
    data: String,
}

/// The values that a selector names; see the WIT for the fields.
#[derive(Debug)]
pub(crate) struct LeafList {
    pub events: Vec<u32>,
    pub ids: Vec<u32>,
    pub kinds: Vec<u8>,
    pub paths: Vec<u32>,
    pub offsets: Vec<u32>,
    pub data: String,
    pub path_offsets: Vec<u32>,
    pub path_data: String,
    pub path_keys: Vec<u32>,
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
