//! What must hold after a crash, a failing disk, a full disk, and in any order of calls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Instant;

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::join_all;
use proptest::prelude::*;
use tempfile::TempDir;

use super::disk::faults::Op;
use super::*;
use crate::conformance::record;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const ALL: ReadLimit = ReadLimit { records_max: 1_000_000, bytes_max: 1 << 30 };
/// Nothing comes by itself, so there is nothing to wait for.
const NOW: Duration = Duration::ZERO;

fn config(partitions: u32) -> EmbeddedConfig {
    let tick = AtomicI64::new(1_790_000_000_000);
    EmbeddedConfig {
        partitions,
        disk_bytes_max: 8 << 20,
        segment_bytes_max: 64 << 10,
        commit_delay_max: Duration::from_millis(5),
        now: Arc::new(move || tick.fetch_add(1, Ordering::Relaxed)),
    }
}

fn append(queue: &Embedded, ids: std::ops::Range<u64>, bytes: usize) -> Result<(), Error> {
    block_on(queue.append(0, ids.map(|id| record(id, bytes)).collect()))
}

/// The ids of all records from an offset on.
fn ids(queue: &Embedded, partition: Partition, from: Offset) -> Vec<u64> {
    let (mut ids, mut next) = (Vec::new(), from);
    loop {
        let limit = ReadLimit { records_max: 7, bytes_max: 9000 };
        let some = match queue.read(partition, next, limit, NOW) {
            Err(Error::Closed) => return ids,
            read => read.unwrap(),
        };
        let Some(last) = some.last() else { return ids };
        assert!(some.iter().map(|s| s.offset).eq(next..=last.offset));
        next = last.offset + 1;
        ids.extend(some.iter().map(|s| s.record.as_ref().unwrap().meta.event_id.0 as u64));
    }
}

/// What a crash at this moment would leave.
fn snapshot(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(dir, copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    let mut entries: Vec<_> = fs::read_dir(from).unwrap().map(|e| e.unwrap().path()).collect();
    // The committed offset before the segments: on the disk of a crashed machine it is never ahead of them.
    entries.sort_by_key(|path| (path.extension().is_some(), path.clone()));
    for path in entries {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            copy_into(&path, &target);
        } else if let Err(e) = fs::copy(&path, &target) {
            assert_eq!(e.kind(), io::ErrorKind::NotFound, "{path:?} was let go meanwhile");
        }
    }
}

fn files_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries
        .map(|path| if path.is_dir() { files_bytes(&path) } else { path.metadata().map_or(0, |m| m.len()) })
        .sum()
}

fn segment(dir: &Path, base: Offset) -> PathBuf {
    dir.join("p00000").join(format::segment_name(base))
}

#[tokio::test]
async fn it_conforms() {
    let dirs = Mutex::new(Vec::new());
    for segment_bytes_max in [4 << 10, 64 << 20] {
        crate::conformance::check(|| {
            let dir = tempfile::tempdir().unwrap();
            let config = EmbeddedConfig { disk_bytes_max: 1 << 30, segment_bytes_max, ..config(2) };
            let queue = Embedded::open(dir.path(), config).unwrap();
            dirs.lock().push(dir);
            queue
        })
        .await;
    }
}

/// A log of three groups: offsets 0-1, 2, and 3-5. Gives the length of the file after each.
fn three_groups(dir: &Path) -> (Vec<u64>, Embedded) {
    let queue = Embedded::open(dir, config(1)).unwrap();
    let mut lengths = vec![segment(dir, 0).metadata().unwrap().len()];
    for ids in [0..2, 2..3, 3..6] {
        append(&queue, ids, 60).unwrap();
        lengths.push(segment(dir, 0).metadata().unwrap().len());
    }
    (lengths, queue)
}

#[test]
fn a_torn_tail_is_cut_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (lengths, _queue) = three_groups(dir.path());
    let whole = fs::read(segment(dir.path(), 0)).unwrap();
    for cut in lengths[1] as usize..whole.len() {
        let records = if (cut as u64) < lengths[2] { 2 } else { 3 };
        // What a disk may hold behind the last byte that reached it: nothing, zeros, other files, older groups.
        let tails = [vec![], vec![0; 100], vec![0xf1; 5000], whole[48..lengths[2] as usize].to_vec()];
        let copy = snapshot(dir.path());
        fs::write(segment(copy.path(), 0), [&whole[..cut], &tails[cut % 4]].concat()).unwrap();
        let queue = Embedded::open(copy.path(), config(1)).unwrap();
        assert_eq!(queue.end(0), records, "cut at byte {cut}");
        append(&queue, 100..102, 60).unwrap();
        drop(queue);
        let queue = Embedded::open(copy.path(), config(1)).unwrap();
        let expected: Vec<u64> = (0..records).chain([100, 101]).collect();
        assert_eq!(ids(&queue, 0, 0), expected, "cut at byte {cut}");
    }
}

#[test]
fn a_bad_byte_with_a_group_behind_it_is_an_error_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (lengths, queue) = three_groups(dir.path());
    let whole = fs::read(segment(dir.path(), 0)).unwrap();
    let crashed = snapshot(dir.path());
    drop(queue);
    let closed = snapshot(dir.path());
    for (byte, group) in (0..whole.len()).map(|b| (b, lengths.iter().filter(|l| **l <= b as u64).count())) {
        let mut bytes = whole.clone();
        bytes[byte] ^= 0x10;
        for (state, copy) in [("crashed", &crashed), ("closed", &closed)] {
            let copy = snapshot(copy.path());
            fs::write(segment(copy.path(), 0), &bytes).unwrap();
            let opened = Embedded::open(copy.path(), config(1));
            if group == 3 && state == "crashed" {
                // The last group of a log that was not closed may always be a torn one.
                assert_eq!(opened.unwrap().end(0), 3, "byte {byte}");
                continue;
            }
            let Err(Error::Corrupt { partition: 0, offset, what }) = opened else {
                panic!("byte {byte} of a {state} log: {opened:?}");
            };
            let (place, first) = [(0, 0), (lengths[0], 0), (lengths[1], 2), (lengths[2], 3)][group];
            assert_eq!(offset, first, "byte {byte}: {what}");
            assert!(what.contains(&format!("00000000000000000000.log byte {place}:")), "byte {byte}: {what}");
        }
    }
}

#[test]
fn corruption_in_an_older_segment_is_found_by_reading() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path(), config(1)).unwrap();
    for id in 0..100 {
        append(&queue, id..id + 1, 2000).unwrap();
    }
    drop(queue);
    let path = segment(dir.path(), 0);
    let mut bytes = fs::read(&path).unwrap();
    let target = br#"{"n":7,"#;
    let at = bytes.windows(target.len()).position(|w| w == target).unwrap();
    bytes[at + 100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let queue = Embedded::open(dir.path(), config(1)).unwrap();
    assert_eq!(queue.read(0, 0, ALL, NOW).unwrap().len(), 7, "what is good before it can be read");
    let Err(Error::Corrupt { partition: 0, offset: 7, what }) = queue.read(0, 7, ALL, NOW) else { panic!() };
    assert!(what.contains("00000000000000000000.log byte") && what.contains("wrong checksum"), "{what}");
    assert_eq!(queue.read(0, 8, ALL, NOW).unwrap().last().unwrap().offset, 99, "and what is behind it");
    // A missing file in the middle is no end of the log.
    let second = queue.parts[0].log.lock().segments[1].base;
    fs::remove_file(segment(dir.path(), second)).unwrap();
    drop(queue);
    let queue = Embedded::open(dir.path(), config(1)).unwrap();
    let got = queue.read(0, 8, ALL, NOW).unwrap();
    assert_eq!(got.last().unwrap().offset, second - 1);
    assert!(matches!(queue.read(0, second, ALL, NOW), Err(Error::Corrupt { .. })));
}

#[test]
fn a_lost_beginning_or_end_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path(), config(1)).unwrap();
    for id in 0..100 {
        append(&queue, id..id + 1, 2000).unwrap();
    }
    queue.commit(0, 3).unwrap();
    let bases: Vec<Offset> = queue.parts[0].log.lock().segments.iter().map(|s| s.base).collect();
    drop(queue);
    let first = &bases[..1];
    let last = &bases[bases.len() - 1..];
    for (gone, expected) in
        [(first, "is gone"), (last, "but it was at offset 100"), (&bases[..], "no segment")]
    {
        let copy = snapshot(dir.path());
        for base in gone {
            fs::remove_file(segment(copy.path(), *base)).unwrap();
        }
        let error = Embedded::open(copy.path(), config(1)).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { what, .. } if what.contains(expected)), "{error}");
    }
}

#[test]
fn a_segment_whose_making_was_cut_short_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (_, _queue) = three_groups(dir.path());
    let header = fs::read(segment(dir.path(), 0)).unwrap()[..48].to_vec();
    for bytes in [&header[..0], &header[..20], &[0; 48][..]] {
        let copy = snapshot(dir.path());
        fs::write(segment(copy.path(), 6), bytes).unwrap();
        let queue = Embedded::open(copy.path(), config(1)).unwrap();
        append(&queue, 6..7, 60).unwrap();
        assert_eq!(ids(&queue, 0, 0), [0, 1, 2, 3, 4, 5, 6]);
    }
}

/// What may happen to an append when the disk fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expect {
    /// Refused, and the next one is fine.
    Full,
    /// Refused, as is everything after it until a restart.
    Poisoned,
}

#[test]
fn a_failing_disk_never_loses_what_was_acknowledged() {
    let table = [
        (Op::Write, ENOSPC, 0, Expect::Full),
        (Op::Write, ENOSPC, 70, Expect::Full),
        (Op::Write, ENOSPC, 100, Expect::Full),
        (Op::Write, EIO, 0, Expect::Poisoned),
        (Op::Write, EIO, 70, Expect::Poisoned),
        (Op::Sync, EIO, 0, Expect::Poisoned),
        (Op::Sync, ENOSPC, 0, Expect::Poisoned),
    ];
    // Small appends fail in the middle of a segment, large ones also when one is begun.
    for ((op, errno, share, expect), bytes) in table.into_iter().flat_map(|t| [(t, 100), (t, 40_000)]) {
        let case = format!("{op:?} {errno} after {share} %, {bytes} bytes");
        let dir = tempfile::tempdir().unwrap();
        let queue = Embedded::open(dir.path(), config(1)).unwrap();
        append(&queue, 0..2, bytes).unwrap();
        queue.shared.disk.faults.add(op, 0, 1, errno, share);
        let error = append(&queue, 10..12, bytes).unwrap_err();
        let next = append(&queue, 2..3, bytes);
        let syncs = queue.shared.disk.faults.syncs();
        let mut durable = vec![0, 1];
        if expect == Expect::Full {
            assert!(matches!(error, Error::Full { .. }), "{case}: {error}");
            next.unwrap();
            queue.health().unwrap();
            durable.push(2);
        } else {
            assert!(matches!(error, Error::Poisoned(_)), "{case}: {error}");
            assert!(matches!(next, Err(Error::Poisoned(_))), "{case}: {next:?}");
            assert!(matches!(queue.health(), Err(Error::Poisoned(_))), "{case}");
            queue.commit(0, 1).unwrap();
        }
        assert_eq!(ids(&queue, 0, 0), durable, "{case}: only what is durable can be read");
        if expect == Expect::Poisoned {
            assert!(queue.close().is_err());
            assert_eq!(queue.shared.disk.faults.syncs(), syncs + 1, "{case}: only the commit was fsynced");
        }
        drop(queue);
        let queue = Embedded::open(dir.path(), config(1)).unwrap();
        let mut after = ids(&queue, 0, 0);
        // An append that failed may be there whole, or not at all.
        if expect == Expect::Poisoned && after.ends_with(&[10, 11]) {
            after.truncate(after.len() - 2);
        }
        assert_eq!(after, durable, "{case}: after a restart");
        append(&queue, 20..21, bytes).unwrap();
    }
}

#[test]
fn what_can_not_be_taken_back_poisons() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path(), config(1)).unwrap();
    append(&queue, 0..1, 100).unwrap();
    queue.shared.disk.faults.add(Op::Write, 0, 1, ENOSPC, 50);
    queue.shared.disk.faults.add(Op::Cut, 0, 1, EIO, 0);
    assert!(matches!(append(&queue, 1..2, 100), Err(Error::Poisoned(_))));
    drop(queue);
    assert_eq!(ids(&Embedded::open(dir.path(), config(1)).unwrap(), 0, 0), [0]);
}

#[test]
fn a_failed_commit_stays_behind_and_poisons() {
    for op in [Op::Write, Op::Sync] {
        let dir = tempfile::tempdir().unwrap();
        let queue = Embedded::open(dir.path(), config(1)).unwrap();
        append(&queue, 0..10, 100).unwrap();
        queue.commit(0, 4).unwrap();
        queue.shared.disk.faults.add(op, 0, 1, EIO, 30);
        assert!(matches!(queue.commit(0, 6), Err(Error::Poisoned(_))));
        assert_eq!(queue.committed(0).unwrap(), 4);
        assert!(matches!(queue.commit(0, 7), Err(Error::Poisoned(_))), "it is not tried again");
        assert!(matches!(append(&queue, 10..11, 100), Err(Error::Poisoned(_))));
        drop(queue);
        let queue = Embedded::open(dir.path(), config(1)).unwrap();
        assert!([4, 6].contains(&queue.committed(0).unwrap()));
        assert_eq!(ids(&queue, 0, 4), (4..10).collect::<Vec<_>>());
    }
}

#[test]
fn the_disk_is_bounded_and_given_back() {
    const DISK_BYTES_MAX: u64 = 1 << 20;
    let config = || EmbeddedConfig { disk_bytes_max: DISK_BYTES_MAX, ..config(3) };
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path(), config()).unwrap();
    let empty = queue.bytes();
    let mut appended = 0;
    for turn in 0..27u64 {
        // Large appends among small ones: a segment of its own each.
        let partition = (turn % 3) as u32;
        let (count, bytes) = [(40, 300), (1, 9000), (1, 200_000)][(turn / 3 % 3) as usize];
        for id in 0.. {
            match block_on(queue.append(partition, vec![record(id, bytes); count])) {
                Ok(()) => appended += (count * bytes) as u64,
                Err(Error::Full { used, max, .. }) => {
                    assert!(used <= max && max == DISK_BYTES_MAX);
                    assert!(id > 0, "turn {turn}: an empty log has room for {bytes} bytes, {used} are used");
                    break;
                }
                Err(other) => panic!("{other}"),
            }
            // What is not of the log itself: the lock and the name, under 200 bytes.
            assert!(files_bytes(dir.path()) <= DISK_BYTES_MAX + 200);
        }
        queue.health().unwrap();
        if turn % 5 == 4 {
            assert_eq!(Embedded::open(snapshot(dir.path()).path(), config()).unwrap().bytes(), queue.bytes());
        }
        queue.commit(partition, queue.end(partition)).unwrap();
        // All three logs are done, so each keeps at most the half of a segment.
        let kept = || queue.bytes() - empty;
        wait_until(|| kept() <= 3 * queue.shared.segment_bytes_max / 2, "what is committed is let go");
    }
    assert!(appended > 10 * DISK_BYTES_MAX);
    assert!(matches!(append(&queue, 0..1, 300_000), Err(Error::TooLarge { .. })), "not even to an empty log");
}

fn wait_until(mut done: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_idle_log_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig { commit_delay_max: Duration::from_secs(1000), ..config(1) };
    let queue = Embedded::open(dir.path(), config).unwrap();
    let start = Instant::now();
    for id in 0..20 {
        append(&queue, id..id + 1, 100).unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(500));
}

#[test]
fn one_fsync_serves_many() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path(), config(1)).unwrap();
    let before = queue.shared.disk.faults.syncs();
    let answers = block_on(join_all((0..500).map(|id| queue.append(0, vec![record(id, 10)]))));
    answers.into_iter().collect::<Result<(), _>>().unwrap();
    let syncs = queue.shared.disk.faults.syncs() - before;
    assert!(syncs < 50, "{syncs} fsyncs for 500 appends");
}

#[test]
fn closing_answers_everyone() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Arc::new(Embedded::open(dir.path(), config(1)).unwrap());
    let acked = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (queue, acked) = (queue.clone(), acked.clone());
            let work = move || {
                for turn in 0.. {
                    match append(&queue, writer * 1_000_000 + turn..writer * 1_000_000 + turn + 1, 500) {
                        Ok(()) => acked.fetch_add(1, Ordering::Relaxed),
                        Err(Error::Closed) => return,
                        Err(other) => panic!("{other}"),
                    };
                }
            };
            thread::Builder::new().spawn(work).unwrap()
        })
        .collect();
    wait_until(|| acked.load(Ordering::Relaxed) > 100, "appends go on");
    queue.close().unwrap();
    for writer in writers {
        writer.join().unwrap();
    }
    assert!(matches!(queue.health(), Err(Error::Closed)));
    let end = queue.end(0);
    assert_eq!(end, acked.load(Ordering::Relaxed));
    assert_eq!(ids(&queue, 0, 0)[..10], ids(&queue, 0, 0)[..10]);
    assert!(matches!(queue.read(0, end, ALL, Duration::from_secs(100)), Err(Error::Closed)));
    queue.commit(0, end).unwrap();
    queue.close().unwrap();
    drop(queue);
    assert_eq!(Embedded::open(dir.path(), config(1)).unwrap().committed(0).unwrap(), end);
}

#[test]
fn a_copy_of_any_moment_holds_what_was_acknowledged_before() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Arc::new(Embedded::open(dir.path(), config(1)).unwrap());
    let (acked, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = {
        let (queue, acked, stop) = (queue.clone(), acked.clone(), stop.clone());
        let work = move || {
            let mut next = 0;
            while !stop.load(Ordering::Relaxed) {
                let count = 1 + next % 5;
                append(&queue, next..next + count, (next * 37 % 3000) as usize).unwrap();
                next += count;
                acked.store(next, Ordering::Release);
                if next % 400 < 5 {
                    queue.commit(0, next.saturating_sub(300)).unwrap();
                }
            }
        };
        thread::Builder::new().spawn(work).unwrap()
    };
    for moment in 0..40 {
        let before = acked.load(Ordering::Acquire);
        let copy = snapshot(dir.path());
        let restarted = match Embedded::open(copy.path(), config(1)) {
            Ok(restarted) => restarted,
            // A segment was let go while the directory was being copied, which no crash can do.
            Err(Error::Corrupt { what, .. }) if what.contains("is gone") => continue,
            Err(other) => panic!("moment {moment}: {other}"),
        };
        let from = restarted.committed(0).unwrap();
        let got = restarted.read(0, from, ALL, NOW).unwrap_or_default();
        assert!(
            restarted.end(0) >= before,
            "moment {moment}: {before} acknowledged, {} there",
            restarted.end(0)
        );
        assert!(got.iter().all(|s| s.record.as_ref().unwrap().meta.event_id.0 as u64 == s.offset));
        thread::sleep(Duration::from_millis(moment % 7));
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

#[test]
fn only_one_process_has_it_open() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path(), config(1)).unwrap();
    let error = Embedded::open(dir.path(), config(1)).unwrap_err().to_string();
    assert!(error.contains(&format!("is in use by process {}", std::process::id())), "{error}");
    drop(queue);
    Embedded::open(dir.path(), config(1)).unwrap();
}

#[test]
fn the_name_stays_and_partitions_only_grow() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("a/b");
    let name = |partitions| Embedded::open(&dir, config(partitions)).map(|q| q.source().to_owned());
    let source = name(2).unwrap();
    assert!(source.starts_with("tamis-") && source.len() == 14, "{source}");
    assert_eq!(name(4).unwrap(), source);
    let error = name(3).unwrap_err().to_string();
    assert!(error.contains("4 partitions can not become 3"), "{error}");
    fs::remove_file(dir.join("queue")).unwrap();
    assert!(name(4).unwrap_err().to_string().contains("it is missing"));
}

#[test]
fn wrong_settings_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let table = [
        (EmbeddedConfig { partitions: 0, ..config(1) }, "partitions is 0"),
        (EmbeddedConfig { partitions: 5000, ..config(1) }, "partitions is 5000"),
        (EmbeddedConfig { segment_bytes_max: 100, ..config(1) }, "segment_bytes_max is 100"),
        (EmbeddedConfig { disk_bytes_max: 30_000, ..config(2) }, "2 partitions need at least 49152"),
    ];
    for (config, expected) in table {
        let error = Embedded::open(dir.path(), config).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn queued_at_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut times = Vec::new();
    for now in [5000, 4000, 6000] {
        let config = EmbeddedConfig { now: Arc::new(move || now), ..config(1) };
        let queue = Embedded::open(dir.path(), config).unwrap();
        append(&queue, 0..1, 40_000).unwrap();
        // Leaves an empty segment, so that the time can only come from its header.
        queue.commit(0, queue.end(0) - 1).unwrap();
        times.push(queue.read(0, queue.end(0) - 1, ALL, NOW).unwrap()[0].queued_at);
        queue.commit(0, queue.end(0)).unwrap();
    }
    assert_eq!(times, [5000, 5000, 6000]);
}

#[test]
fn the_size_in_memory_stays_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Embedded::open(dir.path(), EmbeddedConfig { disk_bytes_max: 1 << 30, ..config(1) }).unwrap();
    // More than may wait at once: the first poll of each takes room, or waits for it.
    let mut appends: Vec<_> = (0..64).map(|id| queue.append(0, vec![record(id, 1 << 20)])).collect();
    let mut ready = 0;
    for append in &mut appends {
        ready += usize::from(append.now_or_never().is_some());
        assert!(queue.parts[0].pending.lock().requests.len() <= 8);
    }
    assert!(ready < 64);
    drop(appends);
    append(&queue, 64..65, 20 << 20).unwrap();
    let limit = ReadLimit { records_max: 100, bytes_max: 3 << 20 };
    assert!(queue.read(0, 0, limit, NOW).unwrap().len() <= 3);
}

#[derive(Debug, Clone)]
enum Step {
    Append { partition: u32, sizes: Vec<usize> },
    Read { partition: u32, back: u64, records_max: usize, bytes_max: usize },
    Commit { partition: u32, share: u64 },
    Reopen,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let partition = 0..2u32;
    let size = prop_oneof![4 => 0..300usize, 2 => 1000..9000usize, 1 => 20_000..90_000usize];
    prop_oneof![
        8 => (partition.clone(), prop::collection::vec(size, 1..6))
            .prop_map(|(partition, sizes)| Step::Append { partition, sizes }),
        4 => (partition.clone(), 0..40u64, 0..20usize, 0..50_000usize).prop_map(
            |(partition, back, records_max, bytes_max)| Step::Read { partition, back, records_max, bytes_max }
        ),
        2 => (partition, 0..=100u64).prop_map(|(partition, share)| Step::Commit { partition, share }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

#[derive(Default)]
struct Model {
    /// All records ever appended, by partition.
    records: BTreeMap<u32, Vec<Record>>,
    committed: BTreeMap<u32, u64>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 400, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_calls_agrees_with_a_list(steps in prop::collection::vec(step(), 1..60)) {
        let config = || EmbeddedConfig { disk_bytes_max: 64 << 20, segment_bytes_max: 32 << 10, ..config(2) };
        let mut dir = tempfile::tempdir().unwrap();
        let mut queue = Some(Embedded::open(dir.path(), config()).unwrap());
        let mut model = Model::default();
        let mut id = 0;
        for step in steps {
            match step {
                Step::Reopen => {
                    queue = None;
                    queue.replace(Embedded::open(dir.path(), config()).unwrap());
                }
                Step::Crash => {
                    let copy = snapshot(dir.path());
                    queue = Some(Embedded::open(copy.path(), config()).unwrap());
                    dir = copy;
                }
                step => apply(queue.as_ref().unwrap(), &mut model, step, &mut id),
            }
            let queue = queue.as_ref().unwrap();
            for partition in 0..2 {
                prop_assert_eq!(queue.end(partition), model.records.entry(partition).or_default().len() as u64);
                prop_assert_eq!(queue.committed(partition).unwrap(), *model.committed.entry(partition).or_default());
            }
        }
    }
}

fn apply(queue: &Embedded, model: &mut Model, step: Step, id: &mut u64) {
    match step {
        Step::Append { partition, sizes } => {
            let records: Vec<Record> = sizes
                .into_iter()
                .map(|size| {
                    *id += 1;
                    record(*id, size)
                })
                .collect();
            model.records.entry(partition).or_default().extend(records.clone());
            block_on(queue.append(partition, records)).unwrap();
        }
        Step::Read { partition, back, records_max, bytes_max } => {
            let all = model.records.entry(partition).or_default();
            let committed = *model.committed.entry(partition).or_default();
            let from = (all.len() as u64).saturating_sub(back).max(committed);
            let got = queue.read(partition, from, ReadLimit { records_max, bytes_max }, NOW).unwrap();
            let rest = &all[from as usize..];
            assert_eq!(got.is_empty(), rest.is_empty());
            assert!(got.len() <= records_max.max(1));
            let got: Vec<Record> = got.into_iter().map(|s| s.record.unwrap()).collect();
            assert_eq!(got, rest[..got.len()]);
            let bytes = |r: &Record| {
                let mut out = Vec::new();
                r.encode(&mut out);
                out.len()
            };
            let taken: usize = got.iter().map(bytes).sum();
            assert!(got.len() <= 1 || taken <= bytes_max);
            // It stopped for a reason.
            if let Some(next) = rest.get(got.len()) {
                assert!(got.len() >= records_max.max(1) || taken + bytes(next) > bytes_max);
            }
        }
        Step::Commit { partition, share } => {
            let end = queue.end(partition);
            let next = end * share / 100;
            queue.commit(partition, next).unwrap();
            let committed = model.committed.entry(partition).or_default();
            *committed = next.max(*committed);
        }
        Step::Reopen | Step::Crash => {}
    }
}
