//! The sink's store as generations see it.

use std::sync::Arc;

use host_pipeline::generation::Shelf;
use host_sink::store::{Put, Store, put_create};

pub struct StoreShelf(pub Arc<dyn Store>);

impl Shelf for StoreShelf {
    fn list(&self, folder: &str) -> Result<Vec<String>, String> {
        let entries = self.0.list(folder).map_err(|e| e.to_string())?;
        let name = |path: String| path.rsplit('/').next().map(str::to_owned);
        Ok(entries.into_iter().filter_map(|entry| name(entry.path)).collect())
    }

    fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        let found = self.0.read(path).map_err(|e| e.to_string())?;
        found.map(|bytes| bytes.to_vec()).ok_or_else(|| "is not in the store".to_owned())
    }

    fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool, String> {
        let put = put_create(&*self.0, path, &bytes.into()).map_err(|e| e.to_string())?;
        Ok(put == Put::Created)
    }
}
