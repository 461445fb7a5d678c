//! One `tamis run` process.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
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

/// A running process. Dropped, it is killed: by its own id, and nothing else is.
#[derive(Debug)]
pub struct Host {
    child: Child,
    ingest: SocketAddr,
    admin: SocketAddr,
    /// From the start of the process to its line on stdout.
    pub ready_after: Duration,
}

impl Host {
    /// Starts a process and waits until it is ready. `environment` is added to the test's own.
    pub fn start(home: &Home, environment: &[(&str, &str)]) -> Result<Host> {
        let log = OpenOptions::new().create(true).append(true).open(home.path().join("tamis.log"))?;
        let begin = Instant::now();
        let mut child = home
            .tamis(&["run", "--config", "tamis.toml", "--pipeline", "pipeline.toml"])?
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("could not start tamis")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let line = match first_line(stdout) {
            Ok(line) => line,
            Err(e) => {
                // It may be up and silent: it must not outlive the test.
                drop(child.kill());
                let status = child.wait()?;
                return Err(e.context(format!("tamis ended with {status} before it was ready")));
            }
        };
        let (ingest, admin) = read_ready(&line)?;
        Ok(Host { child, ingest, admin, ready_after: begin.elapsed() })
    }

    pub fn ingest(&self) -> SocketAddr {
        self.ingest
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    pub fn dsn(&self) -> String {
        format!("http://{PUBLIC_KEY}@{}/{PROJECT_ID}", self.ingest)
    }

    /// SIGKILL: as if the power were cut, but for the page cache.
    pub fn kill9(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for the drain.
    pub fn terminate(mut self) -> Result<ExitStatus> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)?;
        self.wait(DRAIN_TIME_MAX)
    }

    /// Waits until the process ends by itself.
    pub fn wait(&mut self, time_max: Duration) -> Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if begin.elapsed() > time_max {
                bail!("tamis (process {}) did not end within {time_max:?}", self.child.id());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// A GET of the admin address: status and body.
    pub fn admin_get(&self, path: &str) -> Result<(u16, String)> {
        request(self.admin, &format!("GET {path} HTTP/1.1\r\nHost: tamis\r\nConnection: close\r\n\r\n"), b"")
    }

    /// A POST of an envelope: status and whole answer.
    pub fn post(&self, envelope: &[u8]) -> Result<(u16, String)> {
        let head = format!(
            "POST /api/{PROJECT_ID}/envelope/?sentry_key={PUBLIC_KEY} HTTP/1.1\r\nHost: tamis\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            envelope.len()
        );
        request(self.ingest, &head, envelope)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
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

fn first_line(stdout: ChildStdout) -> Result<String> {
    let (tell, told) = mpsc::sync_channel(1);
    // A thread of its own, since a pipe has no timeout. It goes on reading, so that the process is never blocked.
    thread::Builder::new().name("stdout of tamis".into()).spawn(move || {
        for line in BufReader::new(stdout).lines() {
            drop(tell.try_send(line));
        }
    })?;
    match told.recv_timeout(READY_TIME_MAX) {
        Ok(line) => Ok(line?),
        Err(mpsc::RecvTimeoutError::Timeout) => bail!("nothing on stdout within {READY_TIME_MAX:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => bail!("stdout was closed without a line"),
    }
}

/// `ready ingest=http://127.0.0.1:PORT admin=http://127.0.0.1:PORT`
fn read_ready(line: &str) -> Result<(SocketAddr, SocketAddr)> {
    let address = |name: &str| -> Result<SocketAddr> {
        let word = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix("=http://"));
        Ok(word.with_context(|| format!("no {name} in {line:?}"))?.parse()?)
    };
    if !line.starts_with("ready ") {
        bail!("the first line on stdout is {line:?}");
    }
    Ok((address("ingest")?, address("admin")?))
}
