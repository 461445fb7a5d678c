//! Breaks one thing after the other, and several at a time, by a seed; and makes everything well again.
//!
//! Each fault has a target that is broken by one fault at a time, a time after which it is healed, and a line in the timeline.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::fleet::{Fleet, Role, Turn};
use crate::ground::Ground;
use crate::proxy::{Fault, Rule};

pub struct Chaos<'a> {
    ground: &'a mut Ground,
    random: Random,
    timeline: Timeline,
    healing: Vec<Healing>,
    faults: u64,
    /// Every kind comes once before chance decides.
    first: Vec<Kind>,
    partitions: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    KillMember,
    PauseMember,
    StopMember,
    KillBroker,
    PauseBroker,
    Network,
    KillStore,
    FullDisk,
    Clock,
    AddPartition,
}

/// With how often it comes, in a hundred.
const KINDS: [(Kind, u64); 10] = [
    (Kind::Network, 34),
    (Kind::KillMember, 21),
    (Kind::PauseMember, 13),
    (Kind::StopMember, 9),
    (Kind::Clock, 8),
    (Kind::FullDisk, 5),
    (Kind::KillStore, 4),
    (Kind::PauseBroker, 3),
    (Kind::KillBroker, 2),
    (Kind::AddPartition, 1),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Member(usize),
    Network(usize),
    Clock(usize),
    /// All nodes together: two that are away would only make everybody wait.
    Brokers,
    Store,
    Disk,
}

#[derive(Debug)]
struct Healing {
    at: Instant,
    target: Target,
    cure: Cure,
}

#[derive(Debug)]
enum Cure {
    Start,
    /// Once it has ended by itself.
    StartWhenDown,
    Resume,
    Network,
    Clock,
    RestartBroker(u32),
    AwaitBroker(u32, Child),
    ResumeBroker(u32),
    RestartStore,
    FreeDisk,
}

/// From one fault to the next.
const GAP_MS: (u64, u64) = (200, 1600);
/// A topic does not grow beyond it.
const PARTITIONS_MAX: usize = 16;
/// As the members are configured.
const SESSION_MS: u64 = 3000;
const HEAL_TIME_MAX: Duration = Duration::from_secs(120);

impl<'a> Chaos<'a> {
    /// `partitions` is how many the topic has; the timeline goes to `faults.log`.
    pub fn new(ground: &'a mut Ground, seed: u64, partitions: usize) -> Result<Chaos<'a>> {
        let mut random = Random::new(seed);
        let mut first: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
        random.shuffle(&mut first);
        let timeline = Timeline::new(&ground.folder().join("faults.log"))?;
        Ok(Chaos { ground, random, timeline, healing: Vec::new(), faults: 0, first, partitions })
    }

    /// Breaks things until so many faults were made, or the time is over.
    pub fn run(&mut self, fleet: &mut Fleet, faults: u64, until: Option<Instant>) -> Result<()> {
        let goal = self.faults + faults;
        while self.faults < goal && until.is_none_or(|until| Instant::now() < until) {
            if let Some(kind) = self.draw() {
                self.break_one(kind, fleet)?;
            }
            let gap = self.random.between(GAP_MS.0, GAP_MS.1);
            let next = Instant::now() + Duration::from_millis(gap);
            while Instant::now() < next {
                self.step(fleet)?;
                sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// Heals everything, and waits until all members are ready.
    pub fn heal(&mut self, fleet: &mut Fleet) -> Result<()> {
        let begin = Instant::now();
        for healing in &mut self.healing {
            healing.at = begin;
        }
        while !(self.healing.is_empty() && fleet.members.iter().all(|member| member.is_up())) {
            self.step(fleet)?;
            ensure!(
                begin.elapsed() < HEAL_TIME_MAX,
                "not well {HEAL_TIME_MAX:?} after the last fault: {:?}",
                self.healing
            );
            sleep(Duration::from_millis(10));
        }
        self.timeline.note("everything is well again");
        Ok(())
    }

    pub fn ground(&self) -> &Ground {
        self.ground
    }

    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// A word into the timeline.
    pub fn note(&mut self, what: &str) {
        self.timeline.note(what);
    }

    fn draw(&mut self) -> Option<Kind> {
        if let Some(kind) = self.first.pop() {
            return Some(kind);
        }
        let mut rest = self.random.below(KINDS.iter().map(|(_, often)| often).sum());
        for (kind, often) in KINDS {
            match rest.checked_sub(often) {
                None => return Some(kind),
                Some(left) => rest = left,
            }
        }
        None
    }

    /// Heals what it is time for, and sees what became of the members.
    fn step(&mut self, fleet: &mut Fleet) -> Result<()> {
        for index in 0..fleet.members.len() {
            let member = &mut fleet.members[index];
            let turn = member.step()?;
            let name = member.name.clone();
            match turn {
                None => {}
                Some(Turn::Ready(after)) => self.timeline.note(&format!("{name}: ready after {after:?}")),
                Some(Turn::DidNotStart(why)) => {
                    self.timeline.note(&format!("{name}: did not start, and is started again: {why}"));
                }
                Some(Turn::Drained(status, after)) => {
                    self.timeline.note(&format!("{name}: drained within {after:?}, {status}"));
                    // What hangs is given up in time, and the exit code says so.
                    let is_cut_off =
                        status.code() == Some(1) && member.log_tail().contains("the drain is cut off");
                    ensure!(
                        is_cut_off || status.code() == Some(0),
                        "the drain of {name} ended with {status}"
                    );
                }
                Some(Turn::Died(status)) => bail!("{name} ended by itself, with {status}"),
            }
        }
        let now = Instant::now();
        let due = self.healing.extract_if(.., |healing| healing.at <= now).collect::<Vec<_>>();
        for healing in due {
            self.cure(healing, fleet)?;
        }
        Ok(())
    }

    fn cure(&mut self, healing: Healing, fleet: &mut Fleet) -> Result<()> {
        let Healing { target, cure, .. } = healing;
        let soon = Instant::now() + Duration::from_millis(50);
        match (target, cure) {
            (Target::Member(index), Cure::Start) => fleet.members[index].start()?,
            (Target::Member(index), Cure::StartWhenDown) if fleet.members[index].is_down() => {
                fleet.members[index].start()?;
            }
            (Target::Member(_), cure @ Cure::StartWhenDown) => {
                self.healing.push(Healing { at: soon, target, cure });
                return Ok(());
            }
            (Target::Member(index), Cure::Resume) => {
                if let Some(host) = fleet.members[index].host() {
                    host.resume()?;
                }
            }
            (Target::Network(index), _) => fleet.members[index].proxy.set(None),
            (Target::Clock(index), _) => fleet.members[index].clock.shift(0)?,
            (_, Cure::RestartBroker(node)) => {
                let cure = Cure::AwaitBroker(node, self.ground.kafka.begin_restart(node)?);
                self.healing.push(Healing { at: soon, target, cure });
                return Ok(());
            }
            (_, Cure::AwaitBroker(node, mut child)) => match child.try_wait()? {
                None => {
                    let cure = Cure::AwaitBroker(node, child);
                    self.healing.push(Healing { at: soon, target, cure });
                    return Ok(());
                }
                Some(status) => ensure!(
                    status.success(),
                    "broker {node} did not start again:\n{}",
                    self.ground.kafka.log_tail(node)
                ),
            },
            (_, Cure::ResumeBroker(node)) => self.ground.kafka.resume(node)?,
            (Target::Store, _) => self.ground.s3.restart()?,
            (Target::Disk, _) => self.ground.disk.free()?,
            (target, cure) => bail!("there is no {cure:?} of {target:?}"),
        }
        let name = self.name(target, fleet);
        self.timeline.note(&format!("{name}: healed"));
        Ok(())
    }

    /// Breaks something of this kind, if anything of it is whole.
    fn break_one(&mut self, kind: Kind, fleet: &mut Fleet) -> Result<()> {
        let Some(target) = self.target(kind, fleet) else { return Ok(()) };
        let (what, healed_after_ms, cure) = match (kind, target) {
            (_, Some(Target::Member(index))) => self.break_member(kind, index, fleet)?,
            (_, Some(Target::Network(index))) => {
                let (rule, time) = self.network();
                fleet.members[index].proxy.set(Some(rule));
                (format!("{rule:?}"), time, Cure::Network)
            }
            (_, Some(Target::Clock(index))) => {
                let sign = if self.random.below(2) == 0 { -1 } else { 1 };
                let seconds = sign * self.random.between(600, 3600) as i64;
                fleet.members[index].clock.shift(seconds)?;
                (format!("the clock jumps by {seconds} s"), self.random.between(1000, 8000), Cure::Clock)
            }
            (Kind::KillBroker, _) => {
                let node = 1 + self.random.below(u64::from(self.ground.nodes)) as u32;
                self.ground.kafka.kill(node)?;
                (format!("kill -9 of node {node}"), self.random.between(500, 5000), Cure::RestartBroker(node))
            }
            (Kind::PauseBroker, _) => {
                let node = 1 + self.random.below(u64::from(self.ground.nodes)) as u32;
                self.ground.kafka.pause(node)?;
                (format!("SIGSTOP of node {node}"), self.random.between(500, 6000), Cure::ResumeBroker(node))
            }
            (Kind::KillStore, _) => {
                self.ground.s3.kill()?;
                ("kill -9".to_owned(), self.random.between(100, 4000), Cure::RestartStore)
            }
            (Kind::FullDisk, _) => {
                self.ground.disk.fill()?;
                ("no space left".to_owned(), self.random.between(300, 4000), Cure::FreeDisk)
            }
            // Not healed: a topic never shrinks.
            _ => return self.add_partition(fleet),
        };
        self.faults += 1;
        let Some(target) = target else { return Ok(()) };
        let name = self.name(target, fleet);
        self.timeline.note(&format!("#{} {name}: {what}, for {healed_after_ms} ms", self.faults));
        let at = Instant::now() + Duration::from_millis(healed_after_ms);
        self.healing.push(Healing { at, target, cure });
        Ok(())
    }

    fn break_member(&mut self, kind: Kind, index: usize, fleet: &mut Fleet) -> Result<(String, u64, Cure)> {
        let member = &mut fleet.members[index];
        Ok(match kind {
            Kind::KillMember => {
                member.kill();
                ("kill -9".to_owned(), self.random.between(50, 3000), Cure::Start)
            }
            Kind::PauseMember => {
                if let Some(host) = member.host() {
                    host.pause()?;
                }
                // Most of them come back when somebody else has their partitions.
                let long = self.random.below(10) < 7;
                let range = if long { (SESSION_MS + 1000, 3 * SESSION_MS) } else { (100, SESSION_MS) };
                ("SIGSTOP".to_owned(), self.random.between(range.0, range.1), Cure::Resume)
            }
            _ => {
                member.stop()?;
                ("SIGTERM".to_owned(), self.random.between(100, 2000), Cure::StartWhenDown)
            }
        })
    }

    fn add_partition(&mut self, fleet: &Fleet) -> Result<()> {
        if self.partitions >= PARTITIONS_MAX {
            return Ok(());
        }
        // A node that has just come back may not know of it yet.
        if self.ground.kafka.add_partitions(&fleet.common.topic, self.partitions + 1).is_ok() {
            self.partitions += 1;
            self.faults += 1;
            self.timeline.note(&format!("#{} topic: {} partitions", self.faults, self.partitions));
        }
        Ok(())
    }

    /// What the network does, and for how long.
    fn network(&mut self) -> (Rule, u64) {
        let late = Fault::Late(Duration::from_millis(self.random.between(500, 9000)));
        let delay = Fault::Delay(Duration::from_millis(self.random.between(50, 1500)));
        let rules = [
            Rule::always(Fault::Refuse),
            Rule::always(Fault::Refuse).one_in(3),
            Rule::writes(Fault::Cut),
            Rule::writes(Fault::LoseAnswer),
            Rule::writes(Fault::LoseAnswer).one_in(2),
            Rule::writes(late),
            Rule::writes(late).one_in(3),
            Rule::always(Fault::Status(503)),
            Rule::writes(Fault::Status(503)).one_in(2),
            Rule::always(Fault::Status(429)),
            Rule::writes(Fault::Status(500)).one_in(2),
            Rule::always(delay),
            Rule::always(Fault::Hang),
            Rule::writes(Fault::Hang).one_in(4),
        ];
        (*self.random.of(&rules), self.random.between(200, 6000))
    }

    /// Something whole of this kind: None if there is none, Some(None) if the kind needs no target.
    fn target(&mut self, kind: Kind, fleet: &Fleet) -> Option<Option<Target>> {
        let all = 0..fleet.members.len();
        let candidates: Vec<_> = match kind {
            // The controller may be the node that is away.
            Kind::AddPartition if self.is_broken(Target::Brokers) => return None,
            Kind::AddPartition => return Some(None),
            Kind::KillMember => all.map(Target::Member).collect(),
            Kind::PauseMember | Kind::StopMember => {
                all.filter(|index| fleet.members[*index].is_up()).map(Target::Member).collect()
            }
            // Of those who write: ingest only looks for generations.
            Kind::Network => {
                all.filter(|i| fleet.members[*i].role == Role::Work).map(Target::Network).collect()
            }
            Kind::Clock => all.map(Target::Clock).collect(),
            Kind::KillBroker | Kind::PauseBroker => vec![Target::Brokers],
            // The server does not start on a full disk.
            Kind::KillStore if !self.is_broken(Target::Disk) => vec![Target::Store],
            Kind::FullDisk if !self.is_broken(Target::Store) => vec![Target::Disk],
            Kind::KillStore | Kind::FullDisk => Vec::new(),
        };
        let whole: Vec<_> = candidates.into_iter().filter(|target| !self.is_broken(*target)).collect();
        if whole.is_empty() { None } else { Some(Some(*self.random.of(&whole))) }
    }

    fn is_broken(&self, target: Target) -> bool {
        self.healing.iter().any(|healing| healing.target == target)
    }

    fn name(&self, target: Target, fleet: &Fleet) -> String {
        match target {
            Target::Member(index) => fleet.members[index].name.clone(),
            Target::Network(index) => format!("network of {}", fleet.members[index].name),
            Target::Clock(index) => format!("clock of {}", fleet.members[index].name),
            Target::Brokers => "kafka".to_owned(),
            Target::Store => "store".to_owned(),
            Target::Disk => "disk of the store".to_owned(),
        }
    }
}

/// What happened, with the time since the start; in a file, so that it outlives whatever comes.
struct Timeline {
    begin: Instant,
    file: File,
}

impl Timeline {
    fn new(log: &Path) -> Result<Timeline> {
        let file = OpenOptions::new().create(true).append(true).open(log)?;
        Ok(Timeline { begin: Instant::now(), file })
    }

    fn note(&mut self, what: &str) {
        let line = format!("{:9.3} {what}\n", self.begin.elapsed().as_secs_f64());
        drop(self.file.write_all(line.as_bytes()));
    }
}

/// splitmix64: small, and the same everywhere.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// 0 to `n` - 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len() as u64) as usize]
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for index in (1..all.len()).rev() {
            all.swap(index, self.below(index as u64 + 1) as usize);
        }
    }
}
