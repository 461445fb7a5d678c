//! The tables: their names, their columns, and what each column means.
//!
//! A table is declared once (`tables/*.rs`), with a doc comment on every column; the schema, the code that fills it and
//! `docs/tables.md` all come from that declaration. Rules that hold for all of them, since some engine breaks otherwise: times are
//! `timestamp(us, UTC)`, integers `int64`, reals `f64`; a column never changes its type and never goes away; new ones are
//! nullable and stand at the end; no struct is null; keys of a map are unique.

use std::fmt::{self, Write};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::columns::Filled;
use crate::tables::{CheckIns, Events, Groups, Logs, Outcomes, Quarantine, Sessions, Spans};

/// Counts up when a column is added to any table: the newest schema is published under its number.
pub const SCHEMA_VERSION: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    Events,
    Spans,
    Logs,
    Groups,
    Outcomes,
    Quarantine,
    Sessions,
    CheckIns,
}

impl Table {
    pub const ALL: [Table; 8] = [
        Table::Events,
        Table::Spans,
        Table::Logs,
        Table::Groups,
        Table::Outcomes,
        Table::Quarantine,
        Table::Sessions,
        Table::CheckIns,
    ];
    /// The tables behind the ledger. The ledger itself is the file of `outcomes`.
    pub const DATA: [Table; 7] = [
        Table::Events,
        Table::Spans,
        Table::Logs,
        Table::Groups,
        Table::Quarantine,
        Table::Sessions,
        Table::CheckIns,
    ];

    /// The name, and the folder in the store.
    pub fn name(self) -> &'static str {
        match self {
            Table::Events => "events",
            Table::Spans => "spans",
            Table::Logs => "logs",
            Table::Groups => "groups",
            Table::Outcomes => "outcomes",
            Table::Quarantine => "quarantine",
            Table::Sessions => "sessions",
            Table::CheckIns => "check_ins",
        }
    }

    pub(crate) fn columns(self) -> Vec<Column> {
        match self {
            Table::Events => Events::columns(),
            Table::Spans => Spans::columns(),
            Table::Logs => Logs::columns(),
            Table::Groups => Groups::columns(),
            Table::Outcomes => Outcomes::columns(),
            Table::Quarantine => Quarantine::columns(),
            Table::Sessions => Sessions::columns(),
            Table::CheckIns => CheckIns::columns(),
        }
    }

    fn about(self) -> &'static str {
        match self {
            Table::Events => Events::ABOUT,
            Table::Spans => Spans::ABOUT,
            Table::Logs => Logs::ABOUT,
            Table::Groups => Groups::ABOUT,
            Table::Outcomes => Outcomes::ABOUT,
            Table::Quarantine => Quarantine::ABOUT,
            Table::Sessions => Sessions::ABOUT,
            Table::CheckIns => CheckIns::ABOUT,
        }
    }

    /// The Arrow schema of what is written.
    pub(crate) fn schema(self) -> SchemaRef {
        let fields: Vec<Field> =
            self.columns().into_iter().map(|c| Field::new(c.name, c.data_type, c.nullable)).collect();
        Arc::new(Schema::new(fields))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A column as it was declared.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
}

/// The columns of one table, while they are filled.
pub(crate) trait Columns: Default {
    const ABOUT: &'static str;
    fn columns() -> Vec<Column>;
    /// Memory they hold, roughly.
    fn bytes(&self) -> usize;
    fn finish(self) -> Vec<Filled>;
}

/// Declares a table: a struct of columns under construction, whose doc comments are the documentation of the table.
macro_rules! table {
    (
        $(#[doc = $about:literal])+
        struct $Name:ident {
            $( $(#[doc = $doc:literal])+ $field:ident : $Type:ty, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Default)]
        pub(crate) struct $Name {
            $( $(#[doc = $doc])+ pub(crate) $field: $Type, )+
        }

        impl $crate::schema::Columns for $Name {
            const ABOUT: &'static str = concat!($($about, "\n"),+);

            fn columns() -> Vec<$crate::schema::Column> {
                vec![$($crate::schema::Column {
                    name: stringify!($field).trim_start_matches("r#"),
                    doc: concat!($($doc),+),
                    data_type: <$Type as $crate::columns::Build>::data_type(),
                    nullable: <$Type as $crate::columns::Build>::NULLABLE,
                }),+]
            }

            fn bytes(&self) -> usize {
                0 $(+ $crate::columns::Build::bytes(&self.$field))+
            }

            fn finish(self) -> Vec<$crate::columns::Filled> {
                vec![$($crate::columns::Build::finish(self.$field)),+]
            }
        }
    };
}
pub(crate) use table;

const INTRODUCTION: &str = "# Tables

Generated from the code that writes them (`host/sink/src/tables/`); `UPDATE_EXPECT=1 cargo test -p host-sink` writes this file anew.

Every table is a folder of Parquet files, `<table>/dt=<date>/hour=<hour>/<source>-p<partition>-o<offset>.parquet`. The date and the hour
(UTC) are those at which the first record of the file was queued, so a query over an hour of `timestamp` should read the folder
of the next hour too. A table of which a chunk has no row has no file for it; `outcomes` has one for every chunk. Items of a chunk that are
released from quarantine are files beside it, with `-r<round>` behind the offset.

Rows are sorted by project, group (where there is one) and `timestamp`. `event_id`, `trace_id` and `group_id` have bloom filters.
All times are UTC in microseconds, all integers are 64 bits wide, all ids are lower-case hexadecimal text without dashes.
A value that a client sent with a wrong type, or an id of a wrong form, is null in its column and stays in `payload`. Texts are cut at 8 KiB in columns, never in `payload`.

Sample rates are above 0 and at most 1; `sum(1 / sample_rate)` estimates how many there were before anybody sampled.

Columns are only ever added, nullable and at the end. The newest schema of each table lies beside the tables as a file without rows,
";

/// What `docs/tables.md` must say.
pub fn tables_markdown() -> String {
    let mut out = String::from(INTRODUCTION);
    let _ = writeln!(
        out,
        "`control/schema/{SCHEMA_VERSION:04}/<table>.parquet` (the highest number is the newest), for engines that want it told; it is kept out of the \
         tables' folders so that a glob over a table reads data only."
    );
    for table in Table::ALL {
        let _ = write!(out, "\n## `{table}`\n");
        for line in table.about().lines() {
            let _ = writeln!(out, "{}", line.trim());
        }
        let _ = write!(out, "\n| column | type | |\n|---|---|---|\n");
        for column in table.columns() {
            let null = if column.nullable { "" } else { ", never null" };
            let _ = writeln!(
                out,
                "| `{}` | {}{null} | {} |",
                column.name,
                type_name(&column.data_type),
                column.doc.trim()
            );
        }
    }
    out
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::Utf8View => "text".into(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp(us, UTC)".into(),
        DataType::Int64 => "int64".into(),
        DataType::Float64 => "f64".into(),
        DataType::Boolean => "bool".into(),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => {
                let inner: Vec<_> = pair.iter().map(|f| type_name(f.data_type())).collect();
                format!("map&lt;{}&gt;", inner.join(", "))
            }
            other => other.to_string(),
        },
        DataType::List(element) => format!("list&lt;{}&gt;", type_name(element.data_type())),
        DataType::Struct(fields) => {
            let inner: Vec<_> =
                fields.iter().map(|f| format!("{} {}", f.name(), type_name(f.data_type()))).collect();
            format!("struct{{{}}}", inner.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_are_what_is_written() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tables.md");
        let want = tables_markdown();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, &want).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(found, want, "docs/tables.md is out of date: run with UPDATE_EXPECT=1");
    }

    /// What some engine can not read, or reads differently from the others.
    fn check(data_type: &DataType, place: &str) {
        match data_type {
            DataType::Utf8 | DataType::Utf8View | DataType::Int64 | DataType::Float64 | DataType::Boolean => {
            }
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => {}
            DataType::List(element) => {
                assert!(!element.is_nullable(), "{place}: null structs");
                check(element.data_type(), place);
            }
            DataType::Map(entries, _) => check(entries.data_type(), place),
            DataType::Struct(fields) => fields.iter().for_each(|f| check(f.data_type(), place)),
            other => panic!("{place}: {other} is not fine in all engines"),
        }
    }

    #[test]
    fn types_are_fine_in_all_engines() {
        for table in Table::ALL {
            let mut names: Vec<_> = table.columns().iter().map(|c| c.name.to_ascii_lowercase()).collect();
            for column in table.columns() {
                let place = format!("{table}.{}", column.name);
                assert!(!column.doc.trim().is_empty(), "{place} has no documentation");
                assert!(!matches!(column.data_type, DataType::Struct(_)), "{place}: a struct at top level");
                check(&column.data_type, &place);
            }
            names.sort_unstable();
            assert!(names.windows(2).all(|w| w[0] != w[1]), "{table}: names that differ only in case");
        }
    }
}
