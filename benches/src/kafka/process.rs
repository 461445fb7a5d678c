//! A `tamis run` process as it is released, and what processes take of the machine.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tamis_tests::{Host, Kafka as Cluster, Launch, tools};

use crate::KEEP_PAGES;
use crate::http::KEY;

const READY_TIME_MAX: Duration = Duration::from_secs(60);

/// The kernel counts processor time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Starts a process in `dir`. On one core, it is as if it had a machine of its own with one.
pub fn start(
    dir: &Path,
    role: &str,
    cluster: &Cluster,
    kafka: &str,
    pipeline: &str,
    core: Option<usize>,
) -> Result<Host> {
    let cache = tools::target()?.join("test-cache");
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"../store\"\n\
         [cache]\ndir = \"{}\"\n[queue.kafka]\nbrokers = \"{}\"\n{kafka}[[project]]\nid = 1\n\
         [[project.key]]\npublic_key = \"{KEY}\"\n",
        cache.display(),
        cluster.brokers()
    );
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("tamis.toml"), config)?;
    std::fs::write(dir.join("pipeline.toml"), pipeline)?;
    let tamis = tools::tamis()?;
    let mut command = match core {
        None => tools::mortal(&tamis),
        Some(core) => {
            let mut command = tools::mortal(Path::new("taskset"));
            command.args(["-c", &core.to_string()]).arg(tamis);
            command
        }
    };
    command.args(["run", "--role", role]).current_dir(dir).env_remove(KEEP_PAGES);
    let log = dir.join("tamis.log");
    let mut launch = Launch::new(command, &log)?;
    let ready = launch.look(READY_TIME_MAX).with_context(|| tools::tail(&log))?;
    Ok(launch.host(ready.with_context(|| format!("not ready after {READY_TIME_MAX:?}"))?))
}

/// Processor seconds that a process has taken; those of its threads, also of those that have ended.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name, which may have spaces, user and system time are the 12th and 13th.
    let (_, rest) = stat.rsplit_once(')').context("a name in brackets")?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_SECOND)
}

/// The same of the broker.
pub fn broker_cpu_seconds(cluster: &Cluster) -> Result<f64> {
    cpu_seconds(cluster.pid(1)?)
}

/// A value of `/metrics`, added up over all labels.
pub fn metric(host: &Host, name: &str) -> Result<f64> {
    let (_, text) = host.admin_get("/metrics")?;
    let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
    Ok(text.lines().filter(of_name).filter_map(value).sum())
}
