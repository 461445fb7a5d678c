//! The store as generations see it: names below a folder, objects that are created once.

use std::fmt;
use std::sync::Arc;

use host_pipeline::generation::Shelf;

use super::{Put, Store, put_create};

#[derive(Clone)]
pub struct StoreShelf(pub Arc<dyn Store>);

impl fmt::Debug for StoreShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreShelf")
    }
}

impl Shelf for StoreShelf {
    fn list(&self, folder: &str) -> Result<Vec<String>, String> {
        let entries = self.0.list(folder).map_err(|e| e.to_string())?;
        let name = |path: String| path.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned);
        Ok(entries.into_iter().filter_map(|e| name(e.path)).collect())
    }

    fn seek(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        let found = self.0.read(path).map_err(|e| e.to_string())?;
        Ok(found.map(Vec::from))
    }

    fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool, String> {
        let put = put_create(self.0.as_ref(), path, &bytes.into()).map_err(|e| e.to_string())?;
        Ok(put == Put::Created)
    }
}
