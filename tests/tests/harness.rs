//! The harness of the cluster tests by itself: what breaks on demand does break, and is well again afterwards.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::process::Command;

use anyhow::Result;
use tamis_tests::{Clock, Disk, S3, Server, tools};

#[test]
fn a_clock_jumps_while_a_process_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clock = Clock::new(folder.path(), "one")?;
    let now = || -> Result<i64> {
        let mut date = Command::new("date");
        Ok(tools::run(date.arg("+%s").envs(clock.environment()?))?.trim().parse()?)
    };
    let before = now()?;
    clock.shift(-3600)?;
    assert!((-3600..-3590).contains(&(now()? - before)));
    clock.shift(0)?;
    assert!((0..10).contains(&(now()? - before)));
    Ok(())
}

#[test]
fn a_disk_is_full_and_has_space_again() -> Result<()> {
    let disk = Disk::new(4 << 20)?;
    let file = disk.root().join("file");
    disk.fill()?;
    assert!(std::fs::write(&file, [1; 100_000]).is_err());
    disk.free()?;
    std::fs::write(&file, [1; 100_000])?;
    let folder = tempfile::tempdir()?;
    let mut s3 = S3::start(disk.root(), &folder.path().join("log"))?;
    s3.kill()?;
    s3.restart()
}

#[test]
fn the_stores_start_and_answer() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| {
        let folder = dir.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    for server in [
        Server::seaweedfs(&folder("weed")).unwrap(),
        Server::azurite(&folder("azurite")).unwrap(),
        Server::lying(&folder("lying")).unwrap(),
    ] {
        assert!(std::net::TcpStream::connect(server.address()).is_ok());
    }
}
