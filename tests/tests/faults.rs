//! A real process on a disk that fails: no space, and I/O errors of write, fsync and rename, in the queue and in the store.
//!
//! Whatever happens, an event that was answered with 200 is in the tables exactly once in the end.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tamis_tests::{Faults, Home, Host, Load, Options, Refused, Sent, account};

const CONNECTIONS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(20);
/// As promised, whatever the store does.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// A home, its broken disk, and a load that goes on.
struct Scene<'a> {
    home: &'a Home,
    faults: Faults,
    serial: Arc<AtomicU64>,
    sent: Sent,
}

fn scene(act: impl FnOnce(&mut Scene<'_>) -> Result<()>) -> Result<()> {
    let options = Options { chunk_age_max: "200ms", ..Options::default() };
    Home::new(&options)?.check(|home| {
        let faults = Faults::new(home)?;
        let mut scene = Scene { home, faults, serial: Arc::default(), sent: Sent::default() };
        act(&mut scene)?;
        ensure!(scene.faults.injected() > 0, "nothing failed: the test says nothing");
        // Fine again: what is in the queue is worked off, and the account must be exact.
        scene.faults.set("")?;
        let status = scene.home.start()?.terminate()?;
        ensure!(status.code() == Some(0), "the drain ended with {status}");
        scene.home.verify()?;
        account(scene.home, &scene.sent, Refused::AtMostOnce)
    })
}

impl Scene<'_> {
    fn load(&self, host: &Host) -> Result<Load> {
        Load::start(host.ingest(), CONNECTIONS, &self.serial)
    }

    fn break_disk(&self, rules: &str) -> Result<()> {
        let before = self.faults.injected();
        self.faults.set(rules)?;
        until("a failure", || Ok(self.faults.injected() > before))
    }
}

fn until(what: &str, mut happened: impl FnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    while !happened()? {
        if begin.elapsed() > PATIENCE {
            bail!("waited {PATIENCE:?} in vain for {what}");
        }
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn ready(host: &Host) -> Result<bool> {
    Ok(host.admin_get("/health/ready")?.0 == 200)
}

const ENVELOPE: &[u8] =
    b"{}\n{\"type\":\"log\",\"item_count\":1,\"content_type\":\"application/vnd.sentry.items.log+json\"}\n\
    {\"version\":2,\"items\":[{\"body\":\"never kept\",\"timestamp\":1795372800,\"level\":\"info\"}]}\n";

#[test]
fn a_failed_fsync_of_the_queue_poisons_it_until_a_restart() -> Result<()> {
    scene(|scene| {
        let host = scene.faults.start(scene.home)?;
        let load = scene.load(&host)?;
        until("answers", || Ok(load.kept() > 100))?;
        scene.break_disk("fsync EIO times=1 path=/queue/")?;
        until("not ready", || Ok(!ready(&host)?))?;
        scene.sent.merge(load.stop()?);
        // The disk is fine again, but what it holds of the last write nobody knows: no 200 until somebody starts anew.
        for _ in 0..5 {
            let (status, answer) = host.post(ENVELOPE)?;
            ensure!(status == 503, "answered with {status} on a poisoned queue: {answer}");
        }
        host.kill9()
    })
}

#[test]
fn a_full_disk_under_the_queue_is_503_and_passes() -> Result<()> {
    scene(|scene| {
        let host = scene.faults.start(scene.home)?;
        for short in [0, 30, 80] {
            let load = scene.load(&host)?;
            until("answers", || Ok(load.kept() > 50))?;
            scene.break_disk(&format!(
                "write ENOSPC short={short} path=/queue/\ncreate ENOSPC path=/queue/"
            ))?;
            scene.sent.merge(load.stop()?);
            let (status, answer) = host.post(ENVELOPE)?;
            ensure!(status == 503, "answered with {status} on a full disk: {answer}");
            ensure!(answer.to_ascii_lowercase().contains("retry-after:"), "no Retry-After: {answer}");
            scene.faults.set("")?;
        }
        let load = scene.load(&host)?;
        until("answers when there is space again", || Ok(load.kept() > 50))?;
        scene.sent.merge(load.stop()?);
        host.kill9()
    })
}

#[test]
fn a_store_that_fails_loses_nothing_and_stops_nobody() -> Result<()> {
    scene(|scene| {
        for rules in [
            "write ENOSPC short=50 path=/store/",
            "create ENOSPC path=/store/",
            "fsync EIO path=/store/",
            "write EIO short=10 times=5 path=/store/",
        ] {
            let host = scene.faults.start(scene.home)?;
            let load = scene.load(&host)?;
            until("answers", || Ok(load.kept() > 50))?;
            scene.break_disk(rules)?;
            let before = load.kept();
            // The queue holds what the store does not take.
            until("answers while the store is broken", || Ok(load.kept() > before + 50))?;
            scene.faults.set("")?;
            sleep(Duration::from_millis(300));
            scene.sent.merge(load.stop()?);
            host.kill9()?;
        }
        Ok(())
    })
}

#[test]
fn a_drain_into_a_broken_store_ends_in_time() -> Result<()> {
    scene(|scene| {
        for rules in ["create ENOSPC path=/store/", "fsync EIO path=/store/events"] {
            let host = scene.faults.start(scene.home)?;
            let load = scene.load(&host)?;
            until("answers", || Ok(load.kept() > 50))?;
            // The worker has just begun to wait for the store.
            scene.break_disk(rules)?;
            let begin = Instant::now();
            let status = host.terminate()?;
            ensure!(status.code() == Some(0), "the drain ended with {status}");
            ensure!(begin.elapsed() < DRAIN_TIME_MAX, "the drain took {:?}", begin.elapsed());
            scene.sent.merge(load.stop()?);
            scene.faults.set("")?;
        }
        Ok(())
    })
}

#[test]
fn kill_9_on_a_failing_disk() -> Result<()> {
    const RULES: [&str; 6] = [
        "fsync EIO after=5 times=1",
        "write ENOSPC after=9 short=50",
        "create ENOSPC after=2 times=3\nfsync EIO times=1 path=/store/",
        "fsync EIO times=2 path=/store/",
        "write EIO after=3 times=1 path=/queue/",
        "create EIO times=2\nwrite ENOSPC times=2 short=10 path=/store/",
    ];
    scene(|scene| {
        for (cycle, rules) in RULES.iter().cycle().take(18).enumerate() {
            scene.faults.set("")?;
            let host = scene.faults.start(scene.home)?;
            let load = scene.load(&host)?;
            until("answers", || Ok(load.kept() > 20))?;
            scene.faults.set(rules)?;
            sleep(Duration::from_millis(50 + 37 * (cycle as u64 % 7)));
            host.kill9()?;
            scene.sent.merge(load.stop()?);
        }
        Ok(())
    })
}
