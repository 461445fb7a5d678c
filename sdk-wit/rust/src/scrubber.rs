//! Plugins that take out of events what must not be kept.

use serde::de::DeserializeOwned;

use crate::batch::Batch;
use crate::edits::FlatEdits;
use crate::{Edits, Leaf, Leaves};

/// A plugin that takes out of events what must not be kept.
pub trait Scrubber: Sized {
    /// The configuration, as serde reads it from JSON.
    type Config: DeserializeOwned;
    /// Makes an instance. An error refuses the configuration and is shown to the operator.
    fn init(config: Self::Config) -> Result<Self, String>;
    /// Which values this plugin wants to see. Their grammar stands in the WIT; `**` is every string. The host is asked for them once after
    /// `init`, so that a selector that it does not take refuses the configuration.
    fn selectors(&self) -> Vec<String>;
    /// Looks at one value. One that several selectors name comes once for each.
    fn scrub(&mut self, leaf: &Leaf<'_>, edits: &mut Edits);
    /// Looks at all values of one selector and of the whole batch; by default one after the other. For plugins that are
    /// faster in one pass over [`Leaves::data`].
    fn scrub_all(&mut self, leaves: &Leaves<'_>, edits: &mut Edits) {
        for leaf in leaves.iter() {
            self.scrub(&leaf, edits);
        }
    }
}

pub(crate) fn run<T: Scrubber>(plugin: &mut T, batch: &Batch) -> FlatEdits {
    let mut edits = Edits::default();
    for (index, selector) in plugin.selectors().iter().enumerate() {
        let list = batch.source.leaves(selector);
        plugin.scrub_all(&Leaves::new(index, &list, batch), &mut edits);
    }
    edits.finish()
}
