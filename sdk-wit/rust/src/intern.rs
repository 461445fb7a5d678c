//! Texts that an answer names by number.

use std::collections::BTreeMap;

use crate::batch::same;

/// Texts up to this many are compared one by one, which for a handful is faster than any map.
const SCANNED_TEXTS: usize = 12;

/// Each distinct text once, numbered from 0.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    texts: Vec<String>,
    /// The texts behind the scanned ones.
    known: BTreeMap<String, u32>,
    last: usize,
}

impl Interner {
    pub(crate) fn add(&mut self, text: &str) -> u32 {
        if let Some(last) = self.texts.get(self.last)
            && same(last.as_bytes(), text.as_bytes())
        {
            return self.last as u32;
        }
        let scanned = &self.texts[..self.texts.len().min(SCANNED_TEXTS)];
        let found = scanned.iter().position(|known| same(known.as_bytes(), text.as_bytes()));
        self.last = found.unwrap_or_else(|| self.look_for(text));
        self.last as u32
    }

    fn look_for(&mut self, text: &str) -> usize {
        if let Some(known) = self.known.get(text) {
            return *known as usize;
        }
        if self.texts.len() >= SCANNED_TEXTS {
            self.known.insert(text.to_owned(), self.texts.len() as u32);
        }
        self.texts.push(text.to_owned());
        self.texts.len() - 1
    }

    pub(crate) fn into_texts(self) -> Vec<String> {
        self.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_once() {
        let mut interner = Interner::default();
        let texts: Vec<String> = (0..40).map(|i| format!("text {i}")).collect();
        for round in 0..3 {
            for (i, text) in texts.iter().enumerate() {
                assert_eq!(interner.add(text), i as u32, "round {round}");
                assert_eq!(interner.add(text), i as u32, "round {round}");
            }
        }
        assert_eq!(interner.into_texts(), texts);
    }
}
