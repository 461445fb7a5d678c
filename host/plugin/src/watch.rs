//! What a guest does, for its author: the columns it pulls, what it writes, and where it fails. A host that serves has none of this.

use std::sync::{Mutex, PoisonError};

/// Filled while the guests of a stage run; see `StageFactory::load_watched`.
#[derive(Debug, Default)]
pub struct Watch {
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    seen: Vec<Seen>,
    lost: u64,
}

/// What is kept until it is taken: a guest can do a million things in a second.
const SEEN_MAX: usize = 20_000;

/// One thing that a guest did.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// It asked for a column and got it.
    Pull(Pull),
    /// It wrote a line: `error`, `warn`, `info` or `debug`, and the text.
    Log { level: &'static str, line: String },
    /// A call gave no answer.
    Failed(Failed),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// The name in the WIT: `len`, `strings`, `numbers`, `json`, `counts` or `leaves`.
    pub function: &'static str,
    /// A path or a selector; empty for `len`.
    pub argument: String,
    /// Entries of the lists that it got.
    pub rows: usize,
    /// Bytes that were copied into the guest.
    pub bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// One of [`crate::REASONS`].
    pub reason: &'static str,
    pub cause: String,
    /// The guest's functions, innermost first.
    pub frames: Vec<Frame>,
}

/// A function on the guest's stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// As the compiler or the name section calls it.
    pub function: String,
    /// Known if the component has debug sections and the runtime reads them: see [`crate::Runtime::for_authors`].
    pub file: Option<String>,
    pub line: Option<u32>,
}

impl Frame {
    /// A stack from where the author's own code went wrong: the library of Rust, Go or Zig has a dozen functions in front of it.
    pub fn behind_a_panic(frames: &[Frame]) -> &[Frame] {
        let first = frames.iter().position(|frame| !frame.is_of_a_library());
        &frames[first.unwrap_or_default()..]
    }

    /// Whether it belongs to the library that comes with a compiler.
    pub fn is_of_a_library(&self) -> bool {
        const NAMES: [&str; 8] =
            ["std::", "core::", "alloc::", "<std::", "<core::", "<alloc::", "__rustc::", "runtime."];
        const FOLDERS: [&str; 3] = ["/rustc/", "/rustlib/src/", "/lib/std/"];
        let of_library = |file: &str| FOLDERS.iter().any(|folder| file.contains(folder));
        self.function == "abort"
            || NAMES.iter().any(|prefix| self.function.starts_with(prefix))
            || self.file.as_deref().is_some_and(of_library)
    }
}

impl Watch {
    /// Everything since the last time, in its order, and how much more there was.
    pub fn take(&self) -> (Vec<Seen>, u64) {
        let Noted { seen, lost } = std::mem::take(&mut *self.lock());
        (seen, lost)
    }

    pub(crate) fn note(&self, seen: Seen) {
        let mut noted = self.lock();
        match noted.seen.len() < SEEN_MAX {
            true => noted.seen.push(seen),
            false => noted.lost += 1,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Noted> {
        // Whatever panicked while it held this, a list is a list.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
