//! Uploads of a chunk's files: what the sink's store costs on top of object_store.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use host_sink::store::{Environment, OpenedStore, Store};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tamis_tests::{S3, s3};
use tokio::runtime::Runtime;

use crate::measure::{Row, median, time};

/// A chunk of 64 MB as it is written: the events, groups, the ledger, and smaller tables.
const FILES_KB: [usize; 7] = [52_000, 6_000, 4_000, 1_000, 600, 300, 100];
const ROUNDS: usize = 9;
const RATIO_MIN: f64 = 0.9;

pub fn rows(tokio: &Runtime) -> Result<Vec<Row>> {
    Ok(vec![against_s3(tokio)?, against_folder(tokio)?])
}

fn against_s3(tokio: &Runtime) -> Result<Row> {
    let dir = tempfile::tempdir()?;
    let server = S3::start(&dir.path().join("s3"), &dir.path().join("s3.log"))?;
    let environment = Environment::of(s3::CREDENTIALS);
    let url = server.url("ours", server.address());
    let ours = OpenedStore::open_with(&url, &environment, tokio.handle().clone())?;
    let [(_, key), (_, secret)] = s3::CREDENTIALS;
    let alone = AmazonS3Builder::new()
        .with_bucket_name("lake")
        .with_region("us-east-1")
        .with_endpoint(format!("http://{}", server.address()))
        .with_allow_http(true)
        .with_access_key_id(key)
        .with_secret_access_key(secret)
        .build()?;
    compare("upload of a chunk to S3 (versitygw)", tokio, &ours, Arc::new(alone))
}

fn against_folder(tokio: &Runtime) -> Result<Row> {
    let dir = tempfile::tempdir()?;
    let ours = OpenedStore::open(&dir.path().join("ours").display().to_string(), tokio.handle().clone())?;
    std::fs::create_dir(dir.path().join("alone"))?;
    let alone = LocalFileSystem::new_with_prefix(dir.path().join("alone"))?.with_fsync(true);
    compare("upload of a chunk to a local folder", tokio, &ours, Arc::new(alone))
}

/// One file after the other on both sides, as an errand does it. Ours creates, which must fail where there is something; object_store puts.
fn compare(what: &str, tokio: &Runtime, ours: &dyn Store, alone: Arc<dyn ObjectStore>) -> Result<Row> {
    let files: Vec<(String, Bytes)> = FILES_KB
        .iter()
        .enumerate()
        .map(|(n, kb)| (format!("table{n}/one.parquet"), noise(kb * 1000)))
        .collect();
    let megabytes = FILES_KB.iter().sum::<usize>() as f64 / 1e3;
    let (mut of_ours, mut of_alone) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut written = Ok(());
        let took = time(|| {
            written = files.iter().try_for_each(|(path, body)| ours.create(path, body.clone()).map(drop));
        });
        written?;
        of_ours.push(megabytes / took.wall.as_secs_f64());
        let mut written = Ok(());
        let took = time(|| written = tokio.block_on(put_all(&alone, &files)));
        written?;
        of_alone.push(megabytes / took.wall.as_secs_f64());
        for (path, _) in &files {
            ours.delete(path)?;
            tokio.block_on(alone.delete(&Path::from(path.as_str())))?;
        }
    }
    let (a, b) = (median(of_ours), median(of_alone));
    let detail =
        format!("{a:.0} MB/s, object_store alone {b:.0} MB/s, {} files, {megabytes:.0} MB", FILES_KB.len());
    Ok(Row::at_least(format!("{what} against object_store alone"), RATIO_MIN, a / b, &detail))
}

async fn put_all(alone: &Arc<dyn ObjectStore>, files: &[(String, Bytes)]) -> object_store::Result<()> {
    for (path, body) in files {
        alone.put(&Path::from(path.as_str()), PutPayload::from_bytes(body.clone())).await?;
    }
    Ok(())
}

/// Bytes that nothing on the way can make shorter.
fn noise(bytes: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    Bytes::from_iter((0..bytes.div_ceil(8)).flat_map(|_| next()))
}
