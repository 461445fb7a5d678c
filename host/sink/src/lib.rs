//! Chunk to Arrow to Parquet to object store, ledger first
