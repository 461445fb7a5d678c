//! The tables, one file each: the declaration of the columns, and how a record becomes rows of it.

mod check_ins;
mod events;
mod groups;
mod logs;
mod outcomes;
mod quarantine;
mod sessions;
mod spans;

pub(crate) use check_ins::CheckIns;
pub(crate) use events::Events;
pub(crate) use groups::Groups;
pub(crate) use logs::Logs;
pub(crate) use outcomes::{OutcomeRow, Outcomes};
pub(crate) use quarantine::{Quarantine, QuarantineRow};
pub(crate) use sessions::Sessions;
pub(crate) use spans::Spans;

use host_event::{Meta, Millis, NodeRef, Offset, Partition};

use crate::wire::micros_of_millis;

/// What rows of every table say about the record that they come from.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) meta: &'a Meta,
    pub(crate) generation: i64,
    pub(crate) partition: i64,
    pub(crate) offset: i64,
    pub(crate) client_sample_rate: f64,
    pub(crate) server_sample_rate: f64,
}

impl<'a> Origin<'a> {
    pub(crate) fn new(meta: &'a Meta, generation: u64, partition: Partition, offset: Offset) -> Origin<'a> {
        Origin {
            meta,
            generation: signed(generation),
            partition: i64::from(partition),
            offset: signed(offset),
            client_sample_rate: 1.0,
            server_sample_rate: 1.0,
        }
    }

    pub(crate) fn project(&self) -> i64 {
        signed(self.meta.project_id)
    }

    pub(crate) fn received_micros(&self) -> i64 {
        micros_of_millis(self.meta.received_at)
    }

    pub(crate) fn sample_rate(&self) -> f64 {
        self.client_sample_rate * self.server_sample_rate
    }

    /// Name and version of the SDK as ingest saw them.
    fn sdk(&self) -> (Option<&'a str>, Option<&'a str>) {
        match self.meta.sdk.rsplit_once('/') {
            Some((name, version)) => (Some(name), Some(version)),
            None => (Some(self.meta.sdk.as_str()), None),
        }
    }
}

/// By what rows are sorted within a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SortKey {
    pub(crate) project: i64,
    pub(crate) group: u128,
    pub(crate) timestamp: i64,
}

/// Numbers of ours are far below 2^63; tables know no unsigned ones, since some engines do not.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn millis_of(micros: i64) -> Millis {
    micros.div_euclid(1000)
}

/// The columns that stand at the end of each table of records.
macro_rules! push_origin {
    ($table:expr, $origin:expr) => {
        $table.client_sample_rate.push($origin.client_sample_rate);
        $table.server_sample_rate.push($origin.server_sample_rate);
        $table.sample_rate.push($origin.sample_rate());
        $table.generation.push($origin.generation);
        $table.partition.push($origin.partition);
        $table.offset.push($origin.offset);
    };
}
pub(crate) use push_origin;

/// Pushes what the event says; where it says nothing, what the host knows.
fn push_or(column: &mut crate::columns::MaybeText, node: Option<NodeRef<'_>>, otherwise: Option<&str>) {
    match node {
        Some(_) => column.push_node(node),
        None => column.push(otherwise),
    }
}
