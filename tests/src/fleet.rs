//! Several `tamis run` processes over one topic and one prefix of a store, each with a network and a clock of its own.
//!
//! A member is looked after as a supervisor does it: what ends while it starts is started again. What ends by itself once it
//! was ready is a finding.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::clock::Clock;
use crate::home::{PROJECT_ID, PUBLIC_KEY, Pipeline, pipeline_config};
use crate::host::{Host, Launch};
use crate::kafka::{Kafka, Place};
use crate::proxy::Proxy;
use crate::s3::{CREDENTIALS, S3};
use crate::tools;

/// What the members of a fleet have in common.
#[derive(Debug, Clone)]
pub struct Common {
    pub brokers: String,
    pub topic: String,
    pub group: String,
    /// Of the bucket.
    pub prefix: String,
    pub pipeline: Pipeline,
    /// Lines of `[queue.kafka]`.
    pub kafka: String,
    /// Lines of `[chunk]`.
    pub chunk: String,
}

impl Common {
    pub fn new(kafka: &Kafka, topic: &str) -> Common {
        Common {
            brokers: kafka.brokers().to_owned(),
            topic: topic.to_owned(),
            group: format!("{topic}-group"),
            prefix: topic.to_owned(),
            pipeline: Pipeline::Empty,
            kafka: "\"session.timeout.ms\" = 3000\n\"heartbeat.interval.ms\" = 500\n".to_owned(),
            chunk: "age_max = \"1s\"\n".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Ingest,
    Work,
}

#[derive(Debug)]
pub struct Fleet {
    folder: PathBuf,
    pub common: Common,
    pub members: Vec<Member>,
}

/// One process, over all its lives.
#[derive(Debug)]
pub struct Member {
    pub name: String,
    pub role: Role,
    pub proxy: Proxy,
    pub clock: Clock,
    /// Further words for its next command line.
    pub flags: Vec<&'static str>,
    folder: PathBuf,
    /// Stays the same, so that clients find it again.
    port: u16,
    state: State,
    /// The most memory that any of its lives took, as far as it was seen.
    pub resident_bytes_max: u64,
}

#[derive(Debug)]
enum State {
    Down,
    Starting(Launch),
    Up(Host),
    Ending(Host, Instant),
}

/// What happened to a member by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    Ready(Duration),
    /// It ended before it was ready: it is to be started again.
    DidNotStart(String),
    /// It ended as it was told.
    Drained(ExitStatus, Duration),
    /// It ended, and nobody had told it.
    Died(ExitStatus),
}

/// A process may take so long to work off what it has, also beside three brokers on two cores.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);
const START_TIME_MAX: Duration = Duration::from_secs(90);

impl Fleet {
    /// Members have their configuration, cache and log below `folder`.
    pub fn new(folder: &Path, common: Common) -> Fleet {
        Fleet { folder: folder.to_owned(), common, members: Vec::new() }
    }

    /// Adds a member, and begins to start it.
    pub fn add(&mut self, role: Role, s3: &S3) -> Result<usize> {
        let number = self.members.iter().filter(|member| member.role == role).count() + 1;
        let name = format!("{}-{number}", if role == Role::Ingest { "ingest" } else { "work" });
        let folder = self.folder.join(&name);
        fs::create_dir_all(&folder)?;
        let proxy = Proxy::start(s3.address())?;
        let port = tools::free_port()?;
        let url = s3.url(&self.common.prefix, proxy.address());
        fs::write(folder.join("tamis.toml"), host_config(&self.common, port, &url)?)?;
        fs::write(folder.join("pipeline.toml"), pipeline_config(self.common.pipeline)?)?;
        let clock = Clock::new(&self.folder, &name)?;
        let (state, flags, resident_bytes_max) = (State::Down, Vec::new(), 0);
        self.members.push(Member {
            name,
            role,
            proxy,
            clock,
            flags,
            folder,
            port,
            state,
            resident_bytes_max,
        });
        let index = self.members.len() - 1;
        self.members[index].start()?;
        Ok(index)
    }

    /// Waits until all members are ready; those that do not start are started again.
    pub fn wait_ready(&mut self) -> Result<()> {
        let begin = Instant::now();
        for index in 0..self.members.len() {
            while !self.members[index].is_up() {
                self.members[index].step()?;
                let member = &self.members[index];
                ensure!(
                    begin.elapsed() < START_TIME_MAX,
                    "{} is not ready after {START_TIME_MAX:?}:\n{}",
                    member.name,
                    member.log_tail()
                );
                sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// Waits until the group has worked off everything.
    pub fn wait_drained(&self, kafka: &Kafka, time_max: Duration) -> Result<Vec<Place>> {
        let begin = Instant::now();
        loop {
            // The coordinator may be on its way from one node to another.
            let places = kafka.places(&self.common.topic, &self.common.group);
            match &places {
                Ok(places) if places.iter().all(|place| place.lag() == 0) => return Ok(places.clone()),
                _ => {}
            }
            if begin.elapsed() > time_max {
                bail!("the group has not worked off everything within {time_max:?}: {places:?}");
            }
            sleep(Duration::from_millis(200));
        }
    }

    /// Ends all members cleanly.
    pub fn stop(&mut self) -> Result<()> {
        for (name, status) in self.end()? {
            ensure!(status.code() == Some(0), "the drain of {name} ended with {status}");
        }
        Ok(())
    }

    /// Ends all members, and gives how they ended: with 1 if a partition stands still.
    pub fn end(&mut self) -> Result<Vec<(String, ExitStatus)>> {
        let mut ended = Vec::new();
        for member in &mut self.members {
            member.stop()?;
        }
        for member in &mut self.members {
            while !matches!(member.state, State::Down) {
                if let Some(Turn::Drained(status, _)) = member.look()? {
                    ended.push((member.name.clone(), status));
                }
                sleep(Duration::from_millis(10));
            }
        }
        Ok(ended)
    }

    /// The report of `tamis verify --json`, which asks the store itself; an error if it finds a breach.
    pub fn verify(&self, s3: &S3) -> Result<Value> {
        let url = s3.url(&self.common.prefix, s3.address());
        let mut verify = Command::new(tools::tamis()?);
        verify.args(["verify", &url, "--json"]).envs(CREDENTIALS);
        let printed = tools::run(&mut verify)?;
        serde_json::from_str(&printed).with_context(|| format!("the report of verify: {printed}"))
    }

    /// The ends of the logs of all members.
    pub fn log_tails(&self) -> String {
        self.members.iter().map(|m| format!("--- {}\n{}\n", m.name, m.log_tail())).collect()
    }
}

impl Member {
    pub fn start(&mut self) -> Result<()> {
        let mut command = tools::mortal(&tools::tamis()?);
        let role = if self.role == Role::Ingest { "ingest" } else { "work" };
        command.args(["run", "--config", "tamis.toml", "--pipeline", "pipeline.toml", "--role", role]);
        command.args(&self.flags).current_dir(&self.folder).envs(CREDENTIALS).envs(self.clock.environment()?);
        // What a benchmark sets for itself.
        command.env_remove("MIMALLOC_PURGE_DELAY");
        self.state = State::Starting(Launch::new(command, &self.log())?);
        Ok(())
    }

    /// Sees what became of it, and starts it again if it did not start.
    pub fn step(&mut self) -> Result<Option<Turn>> {
        let turn = self.look()?;
        if let Some(Turn::DidNotStart(why)) = &turn {
            // 64: a configuration that will not become right by itself.
            ensure!(!why.contains("exit status: 64"), "{}: {why}\n{}", self.name, self.log_tail());
            self.start()?;
        }
        Ok(turn)
    }

    /// Sees what became of it.
    pub fn look(&mut self) -> Result<Option<Turn>> {
        let (state, turn) = match std::mem::replace(&mut self.state, State::Down) {
            State::Down => (State::Down, None),
            State::Starting(mut launch) => match launch.look(Duration::ZERO) {
                Ok(None) => (State::Starting(launch), None),
                Ok(Some(ready)) => {
                    let host = launch.host(ready);
                    let after = host.ready_after;
                    (State::Up(host), Some(Turn::Ready(after)))
                }
                Err(why) => (State::Down, Some(Turn::DidNotStart(format!("{why:#}")))),
            },
            State::Up(mut host) => match host.ended()? {
                None => (State::Up(host), None),
                Some(status) => (State::Down, Some(Turn::Died(status))),
            },
            State::Ending(mut host, since) => match host.ended()? {
                None => {
                    ensure!(
                        since.elapsed() < DRAIN_TIME_MAX,
                        "{} was told to end, and did not within {DRAIN_TIME_MAX:?}",
                        self.name
                    );
                    (State::Ending(host, since), None)
                }
                Some(status) => (State::Down, Some(Turn::Drained(status, since.elapsed()))),
            },
        };
        self.state = state;
        if let State::Up(host) = &self.state {
            self.resident_bytes_max = self.resident_bytes_max.max(resident_bytes_max(host.pid()));
        }
        Ok(turn)
    }

    /// kill -9, in whatever state.
    pub fn kill(&mut self) {
        self.state = State::Down;
    }

    /// Tells it to end; [`Member::step`] says when it has. A process that is only starting is killed.
    pub fn stop(&mut self) -> Result<()> {
        self.state = match std::mem::replace(&mut self.state, State::Down) {
            State::Up(host) => {
                host.begin_terminate()?;
                State::Ending(host, Instant::now())
            }
            State::Ending(host, since) => State::Ending(host, since),
            State::Down | State::Starting(_) => State::Down,
        };
        Ok(())
    }

    pub fn host(&self) -> Option<&Host> {
        match &self.state {
            State::Up(host) => Some(host),
            _ => None,
        }
    }

    pub fn is_up(&self) -> bool {
        self.host().is_some()
    }

    pub fn is_down(&self) -> bool {
        matches!(self.state, State::Down)
    }

    /// Where its clients send to, in all its lives.
    pub fn ingest(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub fn dsn(&self) -> String {
        format!("http://{PUBLIC_KEY}@{}/{PROJECT_ID}", self.ingest())
    }

    pub fn log(&self) -> PathBuf {
        self.folder.join("tamis.log")
    }

    pub fn log_tail(&self) -> String {
        tools::tail(&self.log())
    }

    /// A value of `/metrics`, added up over all labels that contain `with`.
    pub fn metric(&self, name: &str, with: &str) -> Result<f64> {
        let host = self.host().with_context(|| format!("{} is not up", self.name))?;
        let (_, text) = host.admin_get("/metrics")?;
        let of_name = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(with)
        };
        let values =
            text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.sum())
    }
}

/// `VmHWM` of a process; 0 if it is gone.
pub fn resident_bytes_max(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: Option<u64> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.unwrap_or_default() * 1024
}

fn host_config(common: &Common, port: u16, url: &str) -> Result<String> {
    let Common { brokers, topic, group, kafka, chunk, .. } = common;
    let cache = tools::target()?.join("test-cache");
    Ok(format!(
        r#"[http]
listen = "127.0.0.1:{port}"
[admin]
listen = "127.0.0.1:0"
[queue.kafka]
brokers = "{brokers}"
topic = "{topic}"
group = "{group}"
{kafka}
[store]
url = "{url}"
[cache]
dir = "{cache}"
[chunk]
{chunk}
[[project]]
id = {PROJECT_ID}
name = "tests"
[[project.key]]
public_key = "{PUBLIC_KEY}"
environment = "production"
"#,
        cache = cache.display(),
    ))
}
