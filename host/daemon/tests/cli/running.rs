//! A `tamis run` under test.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const DRAIN_MAX: Duration = Duration::from_secs(10);

/// A running `tamis`. It is killed if a test ends before it.
pub struct Running {
    child: Child,
    pub ingest: String,
    pub admin: String,
}

impl Running {
    pub fn start(dir: &Path) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        command.current_dir(dir).args(["run", "--log-format", "json"]).stdout(Stdio::piped());
        let log = fs::File::create(dir.join("log")).unwrap();
        let mut child = command.stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let rest = line.trim().strip_prefix("ready ingest=http://").unwrap_or_else(|| panic!("{line:?}"));
        let (ingest, admin) = rest.split_once(" admin=http://").unwrap();
        let (ingest, admin) = (ingest.to_owned(), admin.to_owned());
        Running { child, ingest, admin }
    }

    pub fn get(&self, path: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nHost: tamis\r\nConnection: close\r\n\r\n");
        exchange(&self.admin, &head)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code of a process that was told to end.
    pub fn ended(mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < DRAIN_MAX {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still running after {DRAIN_MAX:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn exchange(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DRAIN_MAX)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
