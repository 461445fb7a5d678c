//! One `tamis run` process.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::home::{Home, PROJECT_ID, PUBLIC_KEY};

/// How long a process may take to say that it is ready. The first one may have to compile components.
const READY_TIME_MAX: Duration = Duration::from_secs(60);
/// Tamis promises to drain within 10 s.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(12);

/// A process that was started, and is not ready yet. Dropped, it is killed.
#[derive(Debug)]
pub struct Launch {
    running: Running,
    told: mpsc::Receiver<std::io::Result<String>>,
    begin: Instant,
}

impl Launch {
    /// Starts `command`, whose stderr goes to the end of `log`.
    pub fn new(mut command: Command, log: &Path) -> Result<Launch> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let begin = Instant::now();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut running = Running(command.spawn().context("could not start tamis")?);
        let stdout = running.0.stdout.take().context("stdout is piped")?;
        Ok(Launch { running, told: lines(stdout)?, begin })
    }

    /// The process if it is ready, None if not yet; an error if it ended. Waits up to `time_max` for its line.
    pub fn look(&mut self, time_max: Duration) -> Result<Option<Ready>> {
        match self.told.recv_timeout(time_max) {
            Ok(line) => Ok(Some(read_ready(&line?)?)),
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                // It may be up and silent: it must not outlive the test.
                drop(self.running.0.kill());
                let status = self.running.0.wait()?;
                bail!("tamis ended with {status} before it was ready")
            }
        }
    }

    /// What [`Launch::look`] found to be ready.
    pub fn host(self, ready: Ready) -> Host {
        Host { running: self.running, ready, ready_after: self.begin.elapsed() }
    }
}

/// Killed when dropped: by its own id, and nothing else is.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What a process says on stdout.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// None of a worker.
    ingest: Option<SocketAddr>,
    admin: SocketAddr,
}

/// A running process. Dropped, it is killed.
#[derive(Debug)]
pub struct Host {
    running: Running,
    ready: Ready,
    /// From the start of the process to its line on stdout.
    pub ready_after: Duration,
}

impl Host {
    /// Starts a process and waits until it is ready. `environment` is added to the test's own.
    pub fn start(home: &Home, environment: &[(&str, &str)]) -> Result<Host> {
        let mut command = home.tamis(&["run", "--config", "tamis.toml", "--pipeline", "pipeline.toml"])?;
        command.envs(environment.iter().copied());
        let mut launch = Launch::new(command, &home.path().join("tamis.log"))?;
        let ready = launch.look(READY_TIME_MAX)?;
        let ready = ready.with_context(|| format!("nothing on stdout within {READY_TIME_MAX:?}"))?;
        Ok(launch.host(ready))
    }

    /// Where it takes in events.
    pub fn ingest(&self) -> SocketAddr {
        self.ready.ingest.expect("only asked of a process that takes in events")
    }

    pub fn admin(&self) -> SocketAddr {
        self.ready.admin
    }

    pub fn dsn(&self) -> String {
        format!("http://{PUBLIC_KEY}@{}/{PROJECT_ID}", self.ingest())
    }

    /// SIGKILL: as if the power were cut, but for the page cache.
    pub fn kill9(mut self) -> Result<()> {
        self.running.0.kill()?;
        self.running.0.wait()?;
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.running.0.id()
    }

    /// SIGSTOP: it hangs, with its connections open, until [`Host::resume`].
    pub fn pause(&self) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.running.0), Signal::STOP)?)
    }

    pub fn resume(&self) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.running.0), Signal::CONT)?)
    }

    /// SIGTERM, without waiting for anything.
    pub fn begin_terminate(&self) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.running.0), Signal::TERM)?)
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.running.0.try_wait()?)
    }

    /// SIGTERM, and waits for the drain.
    pub fn terminate(mut self) -> Result<ExitStatus> {
        self.begin_terminate()?;
        self.wait(DRAIN_TIME_MAX)
    }

    /// Waits until the process ends by itself.
    pub fn wait(&mut self, time_max: Duration) -> Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.running.0.try_wait()? {
                return Ok(status);
            }
            if begin.elapsed() > time_max {
                bail!("tamis (process {}) did not end within {time_max:?}", self.running.0.id());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.running.0.try_wait()?.is_none())
    }

    /// A GET of the admin address: status and body.
    pub fn admin_get(&self, path: &str) -> Result<(u16, String)> {
        request(
            self.admin(),
            &format!("GET {path} HTTP/1.1\r\nHost: tamis\r\nConnection: close\r\n\r\n"),
            b"",
        )
    }

    /// A POST of an envelope: status and whole answer.
    pub fn post(&self, envelope: &[u8]) -> Result<(u16, String)> {
        let head = format!(
            "POST /api/{PROJECT_ID}/envelope/?sentry_key={PUBLIC_KEY} HTTP/1.1\r\nHost: tamis\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            envelope.len()
        );
        request(self.ingest(), &head, envelope)
    }
}

fn request(to: SocketAddr, head: &str, body: &[u8]) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok());
    Ok((status.with_context(|| format!("no status in {answer:?}"))?, answer))
}

/// The lines of a pipe, which has no timeout of its own. The thread goes on reading, so that the process is never blocked.
fn lines(stdout: ChildStdout) -> Result<mpsc::Receiver<std::io::Result<String>>> {
    let (tell, told) = mpsc::sync_channel(1);
    thread::Builder::new().name("stdout of tamis".into()).spawn(move || {
        for line in BufReader::new(stdout).lines() {
            drop(tell.try_send(line));
        }
    })?;
    Ok(told)
}

/// `ready ingest=http://127.0.0.1:PORT admin=http://127.0.0.1:PORT`; a worker has no ingest.
fn read_ready(line: &str) -> Result<Ready> {
    let word =
        |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix("=http://"));
    if !line.starts_with("ready ") {
        bail!("the first line on stdout is {line:?}");
    }
    let ingest = word("ingest").map(str::parse).transpose()?;
    let admin = word("admin").with_context(|| format!("no admin in {line:?}"))?.parse()?;
    Ok(Ready { ingest, admin })
}
