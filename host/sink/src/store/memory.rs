//! A store in memory, for tests and simulations.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Create, Entry, Store, StoreError};

#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<BTreeMap<String, Bytes>>);

impl MemoryStore {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        let mut objects = self.objects();
        if objects.contains_key(path) {
            return Ok(Create::Exists);
        }
        objects.insert(path.to_owned(), bytes);
        Ok(Create::Created)
    }

    fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.objects().get(path).cloned())
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let objects = self.objects();
        let found = objects.get(path).ok_or_else(|| StoreError::permanent(path, "there is none"))?;
        if range.start > range.end || range.end > found.len() as u64 {
            return Err(StoreError::permanent(path, "range beyond its end"));
        }
        Ok(found.slice(range.start as usize..range.end as usize))
    }

    fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.objects().get(path).map(|bytes| bytes.len() as u64))
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let folder = format!("{folder}/");
        let objects = self.objects();
        let below = objects.iter().filter(|(path, _)| path.starts_with(&folder));
        Ok(below.map(|(path, bytes)| Entry { path: path.clone(), size: bytes.len() as u64 }).collect())
    }

    fn each(
        &self,
        folder: &str,
        after: Option<&str>,
        see: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let folder = format!("{folder}/");
        let mut last = after.map(str::to_owned);
        loop {
            // One by one, since `see` may call the store.
            let start = match &last {
                Some(last) if *last > folder => Bound::Excluded(last),
                _ => Bound::Included(&folder),
            };
            let next = self
                .objects()
                .range::<String, _>((start, Bound::Unbounded))
                .next()
                .map(|(p, b)| (p.clone(), b.len()));
            let Some((path, size)) = next.filter(|(path, _)| path.starts_with(&folder)) else {
                return Ok(());
            };
            if see(Entry { path: path.clone(), size: size as u64 }).is_break() {
                return Ok(());
            }
            last = Some(path);
        }
    }

    fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.objects().remove(path);
        Ok(())
    }
}
