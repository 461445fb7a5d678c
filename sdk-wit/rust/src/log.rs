//! The host's log. Lines carry the stage and its generation, are cut at 4 KiB, and limited in number.

/// Something failed that an operator should look at.
pub fn error(message: &str) {
    write(Level::Error, message);
}

/// Something is odd, and goes on.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Something worth knowing, once in a while.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Something for the author.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

#[cfg(target_family = "wasm")]
use crate::bindings::filter::tamis::plugin::log::{Level, log as write};

#[cfg(not(target_family = "wasm"))]
#[derive(Debug)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

/// In a test the log goes where cargo shows it if the test fails.
#[cfg(not(target_family = "wasm"))]
fn write(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}
