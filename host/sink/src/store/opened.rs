//! A store behind an address. The asynchronous client is called from worker threads, which block.

use std::fmt;
use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Error, ListResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use thiserror::Error as ThisError;
use tokio::runtime::Handle;

use super::address::{Address, AddressError, Place};
use super::environment::Environment;
use super::error::is_no_object;
use super::wire::Traffic;
use super::{Create, Entry, Store, StoreError, client};

#[derive(Debug, ThisError)]
pub enum OpenError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("store {url}: {what}")]
    Unusable { url: String, what: String },
    #[error(
        "store {url} does not keep what it promises: {what}. Creating an object twice must fail, or two workers would write the same offsets"
    )]
    Lies { url: String, what: String },
    #[error("store {0}")]
    Store(#[from] StoreError),
}

/// Opened by its address. Cheap to clone.
#[derive(Clone)]
pub struct OpenedStore {
    client: Arc<dyn ObjectStore>,
    runtime: Handle,
    url: Arc<str>,
    listing: Listing,
    traffic: Option<Arc<Traffic>>,
}

/// How objects come in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// The store lists in order, and is held to it.
    Ordered,
    /// It may list in any order: one folder is read and sorted after the other. Folders of this machine do, and some of those that speak S3 go
    /// through their own folders.
    ByFolder,
}

/// Objects of a listing that are handed over at once. Stores send 1,000 or 5,000 in a page.
const LISTED_AT_ONCE_MAX: usize = 1000;

impl fmt::Debug for OpenedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenedStore({})", self.url)
    }
}

impl OpenedStore {
    /// Opens what the address says (see [`Address::parse`]), with the credentials of this process's environment. A folder is made if there is none; a
    /// bucket is not asked yet. Calls block on `runtime`, which needs time and I/O, so they must not come from one of its own threads.
    pub fn open(url: &str, runtime: Handle) -> Result<OpenedStore, OpenError> {
        OpenedStore::open_with(url, &Environment::of_process(), runtime)
    }

    /// As `open`, with credentials of another environment.
    pub fn open_with(
        url: &str,
        environment: &Environment,
        runtime: Handle,
    ) -> Result<OpenedStore, OpenError> {
        let unusable = |what: String| OpenError::Unusable { url: url.into(), what };
        let (client, listing, traffic) = match Address::parse(url)?.place {
            Place::Folder(folder) => (open_folder(&folder).map_err(unusable)?, Listing::ByFolder, None),
            Place::Bucket(bucket) => {
                let traffic = Arc::default();
                let client = client::connect(&bucket, environment, &traffic).map_err(unusable)?;
                let is_elsewhere = client::is_elsewhere(&bucket, environment);
                (client, if is_elsewhere { Listing::ByFolder } else { Listing::Ordered }, Some(traffic))
            }
        };
        Ok(OpenedStore { client, runtime, url: url.into(), listing, traffic })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Of a store that lists in order.
    fn each_ordered(&self, folder: &str, after: Option<&str>, see: See<'_>) -> Result<(), StoreError> {
        let prefix = Path::from(folder);
        let listing = match after {
            Some(after) => self.client.list_with_offset(Some(&prefix), &Path::from(after)),
            None => self.client.list(Some(&prefix)),
        };
        let mut pages = listing.ready_chunks(LISTED_AT_ONCE_MAX);
        let mut last = String::new();
        // Not in one future: `see` may call the store, which blocks.
        while let Some(page) = self.runtime.block_on(pages.next()) {
            for object in page {
                let entry = entry(object.map_err(|e| StoreError::of(folder, &e))?);
                // Azurite does not know where to start, and others may begin with the place itself.
                if after.is_some_and(|after| entry.path.as_str() <= after) {
                    continue;
                }
                if entry.path <= last {
                    let what = format!("listed behind {last}, and listings must be in order");
                    return Err(StoreError::permanent(&entry.path, what));
                }
                last.clone_from(&entry.path);
                if see(entry).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Of a store that lists in any order: folder by folder.
    fn each_by_folder(
        &self,
        folder: &str,
        after: Option<&str>,
        see: See<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        enum Found {
            Object(Entry),
            Folder(String),
        }
        let level = self.level(folder)?;
        let mut found: Vec<(String, Found)> = Vec::new();
        // With its slash: `a-b/c` comes before `a/c`.
        found.extend(
            level.common_prefixes.into_iter().map(|p| (format!("{p}/"), Found::Folder(p.to_string()))),
        );
        found.extend(level.objects.into_iter().map(entry).map(|e| (e.path.clone(), Found::Object(e))));
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (key, found) in found {
            let flow = match found {
                Found::Object(entry) if after.is_none_or(|after| entry.path.as_str() > after) => see(entry),
                // What it holds begins with its key: all of it is before `after`, or some of it may be behind.
                Found::Folder(folder)
                    if after.is_none_or(|after| after < key.as_str() || after.starts_with(&key)) =>
                {
                    self.each_by_folder(&folder, after, see)?
                }
                _ => ControlFlow::Continue(()),
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn level(&self, folder: &str) -> Result<ListResult, StoreError> {
        let prefix = Path::from(folder);
        let level = self.client.list_with_delimiter(Some(&prefix));
        self.runtime.block_on(level).map_err(|e| StoreError::of(folder, &e))
    }
}

type See<'a> = &'a mut dyn FnMut(Entry) -> ControlFlow<()>;

fn entry(object: ObjectMeta) -> Entry {
    Entry { path: object.location.to_string(), size: object.size }
}

fn open_folder(folder: &FilePath) -> Result<Arc<dyn ObjectStore>, String> {
    make_folder(folder).map_err(|e| format!("can not make the folder: {e}"))?;
    let local = LocalFileSystem::new_with_prefix(folder).map_err(|e| e.to_string())?;
    Ok(Arc::new(local.with_fsync(true)))
}

/// Makes the folder durable with it: a table is not safe in a folder that a crash can take away.
fn make_folder(folder: &FilePath) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(FilePath::new("."));
    make_folder(parent)?;
    match fs::create_dir(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(e),
        _ => fs::File::open(parent)?.sync_all(),
    }
}

impl Store for OpenedStore {
    fn create(&self, path: &str, bytes: Bytes) -> Result<Create, StoreError> {
        let options = PutOptions::from(PutMode::Create);
        let at = Path::from(path);
        let put = self.client.put_opts(&at, PutPayload::from_bytes(bytes), options);
        match self.runtime.block_on(put) {
            Ok(_) => Ok(Create::Created),
            Err(Error::AlreadyExists { .. }) => Ok(Create::Exists),
            Err(e) => Err(StoreError::of(path, &e)),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        let at = Path::from(path);
        let read = async { self.client.get(&at).await?.bytes().await };
        found(path, self.runtime.block_on(read))
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let at = Path::from(path);
        self.runtime.block_on(self.client.get_range(&at, range)).map_err(|e| StoreError::of(path, &e))
    }

    fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        let at = Path::from(path);
        found(path, self.runtime.block_on(async { Ok(self.client.head(&at).await?.size) }))
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let prefix = Path::from(folder);
        let listing = self.client.list(Some(&prefix)).try_collect::<Vec<_>>();
        let objects = self.runtime.block_on(listing).map_err(|e| StoreError::of(folder, &e))?;
        let mut entries: Vec<_> = objects.into_iter().map(entry).collect();
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn each(
        &self,
        folder: &str,
        after: Option<&str>,
        see: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        match self.listing {
            Listing::Ordered => self.each_ordered(folder, after, see),
            Listing::ByFolder => self.each_by_folder(folder, after, see).map(|_| ()),
        }
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let prefixes = self.level(folder)?.common_prefixes;
        let mut names: Vec<_> = prefixes.iter().filter_map(|p| p.filename().map(str::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn traffic(&self) -> Option<Arc<Traffic>> {
        self.traffic.clone()
    }

    fn delete(&self, path: &str) -> Result<(), StoreError> {
        let at = Path::from(path);
        found(path, self.runtime.block_on(self.client.delete(&at))).map(|_| ())
    }
}

fn found<T>(path: &str, answer: Result<T, Error>) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(e) if is_no_object(&e) => Ok(None),
        Err(e) => Err(StoreError::of(path, &e)),
    }
}
