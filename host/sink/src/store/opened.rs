//! A store behind an address. The asynchronous client is called from worker threads, which block.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use thiserror::Error as ThisError;
use tokio::runtime::Handle;

use super::{Create, Entry, Store, StoreError};

#[derive(Debug, ThisError)]
pub enum OpenError {
    #[error("store {url}: the scheme {scheme:?} is not supported; use a folder or file:///folder")]
    Scheme { url: String, scheme: String },
    #[error("store {url}: only local folders can be named, not the host {host:?}")]
    Host { url: String, host: String },
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
}

impl fmt::Debug for OpenedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenedStore({})", self.url)
    }
}

impl OpenedStore {
    /// Opens `file:///folder` or a plain path; the folder is made if there is none. Calls block on `runtime`, so they must not
    /// come from one of its own threads.
    pub fn open(url: &str, runtime: Handle) -> Result<OpenedStore, OpenError> {
        Ok(OpenedStore { client: client_of(url)?, runtime, url: url.into() })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

/// The one place where the scheme of the address decides.
fn client_of(url: &str) -> Result<Arc<dyn ObjectStore>, OpenError> {
    let folder = match url.split_once("://") {
        None => PathBuf::from(url),
        Some(("file", path)) => local_path(url, path)?,
        Some((scheme, _)) => {
            return Err(OpenError::Scheme { url: url.into(), scheme: scheme.into() });
        }
    };
    let unusable = |what: String| OpenError::Unusable { url: url.into(), what };
    make_folder(&folder).map_err(|e| unusable(format!("can not make the folder: {e}")))?;
    let local = LocalFileSystem::new_with_prefix(&folder).map_err(|e| unusable(e.to_string()))?;
    Ok(Arc::new(local.with_fsync(true)))
}

fn local_path(url: &str, path: &str) -> Result<PathBuf, OpenError> {
    match path.split_once('/') {
        Some(("" | "localhost", rest)) => Ok(FilePath::new("/").join(rest)),
        Some((host, _)) => Err(OpenError::Host { url: url.into(), host: host.into() }),
        None => Err(OpenError::Host { url: url.into(), host: path.into() }),
    }
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
            Err(e) => Err(store_error(path, &e)),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        let at = Path::from(path);
        let read = async { self.client.get(&at).await?.bytes().await };
        found(path, self.runtime.block_on(read))
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let at = Path::from(path);
        self.runtime.block_on(self.client.get_range(&at, range)).map_err(|e| store_error(path, &e))
    }

    fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        let at = Path::from(path);
        found(path, self.runtime.block_on(async { Ok(self.client.head(&at).await?.size) }))
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let prefix = Path::from(folder);
        let listing = self.client.list(Some(&prefix)).try_collect::<Vec<_>>();
        let objects = self.runtime.block_on(listing).map_err(|e| store_error(folder, &e))?;
        let mut entries: Vec<_> =
            objects.into_iter().map(|o| Entry { path: o.location.to_string(), size: o.size }).collect();
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn delete(&self, path: &str) -> Result<(), StoreError> {
        let at = Path::from(path);
        found(path, self.runtime.block_on(self.client.delete(&at))).map(|_| ())
    }
}

fn found<T>(path: &str, answer: Result<T, Error>) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(store_error(path, &e)),
    }
}

fn store_error(path: &str, error: &Error) -> StoreError {
    let is_transient = !matches!(
        error,
        Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::InvalidPath { .. }
            | Error::UnknownConfigurationKey { .. }
    );
    StoreError { path: path.to_owned(), what: error.to_string(), is_transient }
}
