//! A Parquet file in the store, of which only the columns that are asked for are fetched.

use std::io::{self, Read};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use crate::store::{Store, StoreError};

/// Bytes fetched at once where the length of what is needed is not known.
const READ_AHEAD_BYTES: u64 = 64 << 10;
/// The end of a file, with its footer, comes in one request. Of a small file that is all there is, so it costs no second one.
const TAIL_BYTES: u64 = 64 << 10;
const BATCH_ROWS_MAX: usize = 8192;

pub(crate) struct TableFile {
    reader: Object,
    metadata: ArrowReaderMetadata,
}

impl TableFile {
    /// `Ok(None)` where there is no such file; the inner `Err` says why it is no Parquet file.
    pub(crate) fn open(
        store: &Arc<dyn Store>,
        path: &str,
    ) -> Result<Result<Option<TableFile>, String>, StoreError> {
        let Some(size) = store.size(path)? else { return Ok(Ok(None)) };
        let opened = TableFile::load(store, path, size, ArrowReaderOptions::new())?;
        Ok(opened.map(Some))
    }

    /// The same for a file whose size a listing told, for whoever reads nothing but numbers and texts: what Arrow wrote beside the
    /// types of Parquet is passed over.
    pub(crate) fn open_listed(
        store: &Arc<dyn Store>,
        path: &str,
        size: u64,
    ) -> Result<Result<TableFile, String>, StoreError> {
        TableFile::load(store, path, size, ArrowReaderOptions::new().with_skip_arrow_metadata(true))
    }

    fn load(
        store: &Arc<dyn Store>,
        path: &str,
        size: u64,
        options: ArrowReaderOptions,
    ) -> Result<Result<TableFile, String>, StoreError> {
        let reader = Object::open(store, path, size)?;
        match ArrowReaderMetadata::load(&reader, options) {
            Ok(metadata) => Ok(Ok(TableFile { reader, metadata })),
            Err(e) => store_failed(e).map(|e| Err(format!("no Parquet file: {e}"))),
        }
    }

    pub(crate) fn metadata(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    pub(crate) fn rows(&self) -> u64 {
        self.metadata().file_metadata().num_rows().max(0) as u64
    }

    pub(crate) fn size(&self) -> u64 {
        self.reader.size
    }

    /// Hands over those columns, batch by batch.
    pub(crate) fn for_each(
        &self,
        columns: &[&str],
        mut take: impl FnMut(&RecordBatch) -> Result<(), String>,
    ) -> Result<Result<(), String>, StoreError> {
        let reader = match self.reader(columns).with_batch_size(BATCH_ROWS_MAX).build() {
            Ok(reader) => reader,
            Err(e) => return store_failed(e).map(|e| Err(e.to_string())),
        };
        for batch in reader {
            match batch {
                Ok(batch) => {
                    if let Err(what) = take(&batch) {
                        return Ok(Err(what));
                    }
                }
                Err(e) => return batch_failed(e).map(Err),
            }
        }
        Ok(Ok(()))
    }

    /// A reader of those columns. Columns that the file does not have are left out.
    pub(crate) fn reader(&self, columns: &[&str]) -> ParquetRecordBatchReaderBuilder<Object> {
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.reader.clone(), self.metadata.clone());
        builder.with_projection(self.mask(columns))
    }

    pub(crate) fn mask(&self, columns: &[&str]) -> ProjectionMask {
        ProjectionMask::columns(self.metadata.parquet_schema(), columns.iter().copied())
    }
}

/// Takes a failure of the store out of what a reader said of a batch.
pub(crate) fn batch_failed(error: ArrowError) -> Result<String, StoreError> {
    match error {
        ArrowError::ExternalError(e) => match e.downcast::<StoreError>() {
            Ok(e) => Err(*e),
            Err(e) => Ok(e.to_string()),
        },
        other => Ok(other.to_string()),
    }
}

/// Takes a failure of the store out of an error of the reader.
pub(crate) fn store_failed(error: ParquetError) -> Result<ParquetError, StoreError> {
    match error {
        ParquetError::External(inner) => match inner.downcast::<StoreError>() {
            Ok(e) => Err(*e),
            Err(inner) => Ok(ParquetError::External(inner)),
        },
        other => Ok(other),
    }
}

#[derive(Clone)]
pub(crate) struct Object {
    store: Arc<dyn Store>,
    path: Arc<str>,
    size: u64,
    /// The last bytes.
    tail: Bytes,
}

impl Object {
    fn open(store: &Arc<dyn Store>, path: &str, size: u64) -> Result<Object, StoreError> {
        let from = size.saturating_sub(TAIL_BYTES);
        let read = if size == 0 { Bytes::new() } else { store.read_range(path, from..size)? };
        // Of a store that gives fewer bytes than it was asked for nobody knows which ones they are.
        let tail = if read.len() as u64 == size - from { read } else { Bytes::new() };
        Ok(Object { store: Arc::clone(store), path: path.into(), size, tail })
    }

    fn fetch(&self, start: u64, length: u64) -> Result<Bytes, StoreError> {
        let end = start.saturating_add(length).min(self.size);
        if start >= end {
            return Ok(Bytes::new());
        }
        let tail_start = self.size - self.tail.len() as u64;
        if start >= tail_start {
            return Ok(self.tail.slice((start - tail_start) as usize..(end - tail_start) as usize));
        }
        self.store.read_range(&self.path, start..end)
    }
}

impl Length for Object {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Object {
    type T = Ahead;

    fn get_read(&self, start: u64) -> Result<Ahead, ParquetError> {
        Ok(Ahead { object: self.clone(), at: start, buffer: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.fetch(start, length as u64).map_err(|e| ParquetError::External(Box::new(e)))?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{} ends within a page", self.path)));
        }
        Ok(bytes)
    }
}

/// Reads on from a place, a block at a time.
pub(crate) struct Ahead {
    object: Object,
    at: u64,
    buffer: Bytes,
}

impl Read for Ahead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() {
            self.buffer = self.object.fetch(self.at, READ_AHEAD_BYTES).map_err(io::Error::other)?;
            self.at += self.buffer.len() as u64;
        }
        let count = out.len().min(self.buffer.len());
        self.buffer.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}
