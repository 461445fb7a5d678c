//! The names of the rules that matched, as one text: `1000,1004`. There are few combinations, and they are made once.

use std::borrow::Cow;

use hashbrown::HashMap;

/// Something that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    Rule(u32),
    Pattern(&'static str),
}

/// Combinations that are remembered: as long as the instance, which has one configuration.
const COMBINATIONS_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<Box<[Name]>, &'static str>);

impl Names {
    pub(crate) fn join(&mut self, matched: &[Name]) -> Cow<'static, str> {
        if let [Name::Pattern(text)] = matched {
            return Cow::Borrowed(text);
        }
        if let Some(known) = self.0.get(matched) {
            return Cow::Borrowed(known);
        }
        let names = matched.iter().map(|name| match name {
            Name::Rule(id) => id.to_string(),
            Name::Pattern(text) => (*text).to_owned(),
        });
        let text = names.collect::<Vec<_>>().join(",");
        if self.0.len() >= COMBINATIONS_MAX {
            return Cow::Owned(text);
        }
        let text: &'static str = text.leak();
        self.0.insert(matched.into(), text);
        Cow::Borrowed(text)
    }
}
