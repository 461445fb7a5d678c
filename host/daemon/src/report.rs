//! What commands print for people.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use crate::config::Problem;

/// Exit code of a configuration that is wrong: `EX_USAGE` of sysexits, which ripgrep and Linkerd use as well.
pub const EXIT_CONFIG: u8 = 64;

/// Prints every problem to stderr.
pub fn problems(problems: &[Problem]) -> ExitCode {
    let mut err = std::io::stderr().lock();
    for problem in problems {
        // There is nowhere left to say that stderr is gone.
        let _ = writeln!(err, "error: {problem}");
    }
    let what = if problems.len() == 1 { "problem" } else { "problems" };
    let _ = writeln!(err, "{} {what}; nothing was started", problems.len());
    ExitCode::from(EXIT_CONFIG)
}

/// Prints text to stdout; a closed pipe is the reader's wish and no error.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Shows how far a long command is, on stderr, if somebody is looking.
#[derive(Default)]
pub struct Progress {
    shown: usize,
    /// The line has no end yet.
    is_open: bool,
}

/// A line is written over every so many steps.
const PROGRESS_STEP: usize = 50;

impl host_sink::Progress for Progress {
    fn chunk(&mut self, done: usize, of: usize) {
        let mut err = std::io::stderr();
        let due = done >= self.shown + PROGRESS_STEP || done == of;
        if !err.is_terminal() || !due {
            return;
        }
        self.shown = done;
        let end = if done == of { "\n" } else { "" };
        let _ = write!(err, "\rchunk {done} of {of}{end}");
    }

    fn folder(&mut self, done: usize, of: usize, chunks: u64) {
        let mut err = std::io::stderr();
        if !err.is_terminal() {
            return;
        }
        // Chunks of the last folders are still looked at when all folders are listed.
        let _ = write!(err, "\r{done} of {of} hours listed, {chunks} chunks proven");
        self.is_open = true;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_open {
            let _ = writeln!(std::io::stderr());
        }
    }
}
