//! A real S3 server, versitygw, that keeps objects as files of a folder: what is in it can be read without it.

use std::fs::OpenOptions;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::tools;

const ACCESS_KEY: &str = "tamis-tests";
const SECRET_KEY: &str = "not-a-secret-at-all";
const BUCKET: &str = "lake";
const REGION: &str = "us-east-1";
const READY_TIME_MAX: Duration = Duration::from_secs(20);

/// The server, which can be killed and started again on its data and its port. Dropped, it is killed.
#[derive(Debug)]
pub struct S3 {
    folder: PathBuf,
    log: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl S3 {
    /// Serves `folder`, with one bucket in it.
    pub fn start(folder: &Path, log: &Path) -> Result<S3> {
        std::fs::create_dir_all(folder.join(BUCKET))?;
        let port = tools::free_port()?;
        let mut s3 = S3 { folder: folder.to_owned(), log: log.to_owned(), port, child: None };
        s3.restart()?;
        Ok(s3)
    }

    /// Starts it, and waits until it answers.
    pub fn restart(&mut self) -> Result<()> {
        let binary = tools::target()?.join("test-versitygw/versitygw");
        if !binary.is_file() {
            bail!("there is no {}: run `tests/setup.sh`, or `make test`, which does", binary.display());
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = tools::mortal(&binary);
        command.args(["--port", &format!("127.0.0.1:{}", self.port), "posix"]).arg(&self.folder);
        command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", SECRET_KEY);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().context("could not start versitygw")?);
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if begin.elapsed() > READY_TIME_MAX {
                bail!("versitygw does not listen after {READY_TIME_MAX:?}:\n{}", tools::tail(&self.log));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The address of `prefix` for `tamis`, by way of `endpoint` (the server itself, or a proxy before it).
    pub fn url(&self, prefix: &str, endpoint: std::net::SocketAddr) -> String {
        format!("s3://{BUCKET}/{prefix}?region={REGION}&endpoint=http://{endpoint}&allow_http=true")
    }

    /// Where the objects of `prefix` are as files.
    pub fn files(&self, prefix: &str) -> PathBuf {
        self.folder.join(BUCKET).join(prefix)
    }
}

/// Who may write, for the environment of a process.
pub const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.kill());
    }
}
