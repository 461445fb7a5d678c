//! The newest schema, beside the tables: files without rows, for engines that want to be told.
//!
//! They are immutable and numbered as generations are, since a store may not let anything be overwritten, and lie outside of the tables' folders, since a
//! glob over a table would read them.

use bytes::Bytes;
use parquet::errors::ParquetError;

use crate::encode::empty_file;
use crate::schema::{SCHEMA_VERSION, Table};
use crate::store::{Store, StoreError};
use crate::tables::{CheckIns, Events, Groups, Logs, Outcomes, Quarantine, Sessions, Spans};

const SCHEMA_FOLDER: &str = "control/schema";

pub(crate) fn schema_path(table: Table) -> String {
    format!("{SCHEMA_FOLDER}/{SCHEMA_VERSION:04}/{table}.parquet")
}

/// Writes the files that are not there yet.
pub(crate) fn publish_schema(store: &dyn Store) -> Result<(), StoreError> {
    for table in Table::ALL {
        let path = schema_path(table);
        if store.size(&path)?.is_none() {
            let file = file_of(table).map_err(|e| StoreError::permanent(&path, e))?;
            store.create(&path, file)?;
        }
    }
    Ok(())
}

fn file_of(table: Table) -> Result<Bytes, ParquetError> {
    match table {
        Table::Events => empty_file::<Events>(table),
        Table::Spans => empty_file::<Spans>(table),
        Table::Logs => empty_file::<Logs>(table),
        Table::Groups => empty_file::<Groups>(table),
        Table::Outcomes => empty_file::<Outcomes>(table),
        Table::Quarantine => empty_file::<Quarantine>(table),
        Table::Sessions => empty_file::<Sessions>(table),
        Table::CheckIns => empty_file::<CheckIns>(table),
    }
}
