//! A load by Sentry's own clients for Python and Node, with the same account of what was answered.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::load::Sent;
use crate::tools;

/// The client, until it is told to stop. Dropped, it is killed.
#[derive(Debug)]
pub struct Sdk {
    child: Child,
    record: PathBuf,
}

impl Sdk {
    /// Sends so many events a second; writes down what was answered in `record` at the end.
    pub fn python(dsn: &str, record: PathBuf, events_per_second: u32) -> Result<Sdk> {
        Sdk::start(tools::python("load.py")?, dsn, record, events_per_second)
    }

    pub fn node(dsn: &str, record: PathBuf, events_per_second: u32) -> Result<Sdk> {
        Sdk::start(tools::node("load.js")?, dsn, record, events_per_second)
    }

    fn start(mut command: Command, dsn: &str, record: PathBuf, events_per_second: u32) -> Result<Sdk> {
        command.arg(dsn).arg(&record).arg(events_per_second.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        Ok(Sdk { child: command.spawn().context("could not start a client")?, record })
    }

    /// Ends it behind what it has still to send.
    pub fn stop(mut self) -> Result<Sent> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "a client ended with {status}");
        let record: Value = serde_json::from_slice(&std::fs::read(&self.record)?)?;
        let ids = |what: &str| {
            let list = record[what].as_array();
            list.into_iter().flatten().filter_map(|id| Some(id.as_str()?.replace('-', ""))).collect()
        };
        Ok(Sent { kept: ids("kept"), refused: ids("refused"), unknown: ids("unknown") })
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
