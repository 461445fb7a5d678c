//! Real servers of stores: they do what every store must, and one that lies is found. Between Tamis and one of them a network that
//! fails: what was written counts as written, throttling is obeyed, and nothing hangs.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "../../src/store/conformance.rs"]
mod conformance;
mod network;

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use host_sink::OpenError;
// Also what `conformance` finds here.
use host_sink::store::{
    Create, Entry, Environment, ErrorKind, OpenedStore, Put, Store, probe, prove, put_create,
};
use tamis_tests::servers::AZURE_CREDENTIALS;
use tamis_tests::{Gcs, S3, Server, s3};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A folder for a server, and the runtime that stores work on.
struct World {
    dir: TempDir,
    runtime: Runtime,
}

impl World {
    fn new() -> World {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        World { dir: tempfile::tempdir().unwrap(), runtime: runtime.unwrap() }
    }

    fn versitygw(&self) -> S3 {
        S3::start(&self.dir.path().join("s3"), &self.dir.path().join("s3.log")).unwrap()
    }

    fn open(&self, url: &str, credentials: &[(&str, &str)]) -> OpenedStore {
        let environment = Environment::of(credentials.iter().copied());
        OpenedStore::open_with(url, &environment, self.runtime.handle().clone()).unwrap()
    }

    fn open_s3(&self, s3: &S3, endpoint: SocketAddr, more: &str) -> OpenedStore {
        self.open(&(s3.url("tamis", endpoint) + more), &s3::CREDENTIALS)
    }
}

fn check(store: &OpenedStore) {
    let begin = Instant::now();
    assert_eq!(probe(store, "n0"), Ok(Ok(())));
    eprintln!(
        "{}: probed in {:?} with {} requests",
        store.url(),
        begin.elapsed(),
        store.traffic().unwrap().requests()
    );
    conformance::check(store);
    eprintln!("{}: {:?} in all", store.url(), begin.elapsed());
}

#[test]
fn versitygw() {
    let world = World::new();
    let server = world.versitygw();
    check(&world.open_s3(&server, server.address(), ""));
    // Another prefix is another store, and so is none.
    for prefix in ["tami", "deep/one", ""] {
        let store = world.open(&server.url(prefix, server.address()), &s3::CREDENTIALS);
        assert_eq!(store.read("a/x=0/zero"), Ok(None));
        assert_eq!(store.list("a"), Ok(vec![]));
        assert_eq!(store.create("b/one", Bytes::from_static(b"1")), Ok(Create::Created));
        assert_eq!(store.list("b"), Ok(vec![Entry { path: "b/one".into(), size: 1 }]));
        assert!(store.folders("b").unwrap().is_empty());
    }
}

#[test]
fn seaweedfs() {
    let world = World::new();
    let server = Server::seaweedfs(world.dir.path()).unwrap();
    check(&world.open(&server.s3_url("tamis", server.address()), &s3::CREDENTIALS));
}

#[test]
fn azurite() {
    let world = World::new();
    let server = Server::azurite(world.dir.path()).unwrap();
    check(&world.open(&server.azure_url("tamis"), &AZURE_CREDENTIALS));
}

#[test]
fn google() {
    let world = World::new();
    let server = Gcs::start().unwrap();
    let (name, key) = server.credentials();
    check(&world.open(&server.url("tamis"), &[(name, &key)]));
}

#[test]
fn a_store_that_lies_is_refused() {
    let world = World::new();
    let server = Server::lying(world.dir.path()).unwrap();
    let store = world.open(&server.s3_url("tamis", server.address()), &s3::CREDENTIALS);
    for start in 0..5 {
        let refused = prove(&store, store.url(), &format!("n{start}"), false).unwrap_err();
        assert!(matches!(refused, OpenError::Lies { .. }), "{refused}");
        assert!(refused.to_string().contains("does not keep what it promises: "), "{refused}");
    }
    prove(&store, store.url(), "taken", true).unwrap();
    assert!(store.list("control").unwrap().is_empty(), "the probe leaves nothing behind");
}

#[test]
fn what_a_store_refuses_is_said() {
    let world = World::new();
    let server = world.versitygw();
    let url = server.url("tamis", server.address());
    let body = || Bytes::from_static(b"1");
    let kinds = |store: &OpenedStore| {
        let (created, read) = (store.create("a", body()).unwrap_err(), store.read("a").unwrap_err());
        eprintln!("{created}\n{read}");
        assert!(created.is_transient() && read.is_transient());
        [created.kind, read.kind]
    };
    let stranger = world.open(&url, &[("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_SECRET_ACCESS_KEY", "nothing")]);
    assert_eq!(kinds(&stranger), [ErrorKind::Denied; 2]);
    let wrong = [s3::CREDENTIALS[0], ("AWS_SECRET_ACCESS_KEY", "nothing")];
    assert_eq!(kinds(&world.open(&url, &wrong)), [ErrorKind::Denied; 2]);
    let elsewhere = world.open(&url.replace("s3://lake", "s3://sea"), &s3::CREDENTIALS);
    assert_eq!(kinds(&elsewhere), [ErrorKind::NoBucket; 2]);
    assert_eq!(elsewhere.list("a").unwrap_err().kind, ErrorKind::NoBucket);
    let unproven = prove(&elsewhere, &url, "n", true).unwrap_err();
    assert!(unproven.to_string().contains("there is no such bucket"), "{unproven}");
    drop(server);
    let alone = world.open(&(url + "&timeout=2s"), &s3::CREDENTIALS);
    assert_eq!(kinds(&alone), [ErrorKind::Away; 2]);
}
