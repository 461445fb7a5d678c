//! The other stores that run beside Tamis: SeaweedFS and s3s-fs speak the interface of S3, Azurite that of Azure Blob Storage.
//!
//! Each is started on free ports of 127.0.0.1 over a folder of the test, has one bucket, and is killed when it is dropped.

use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{s3, tools};

const BUCKET: &str = "lake";
const READY_TIME_MAX: Duration = Duration::from_secs(60);

/// The account that everybody who runs Azurite has.
const AZURITE_ACCOUNT: &str = "devstoreaccount1";
const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A server of one store. Dropped, it is killed: by its own id, and nothing else is.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// SeaweedFS, all of it in one process. `folder` must be empty.
    pub fn seaweedfs(folder: &Path) -> Result<Server> {
        let port = tools::free_port()?;
        let mut command = Command::new(installed("test-seaweedfs/bin/weed")?);
        command.arg(format!("-logdir={}", folder.display())).arg("mini");
        command.arg(format!("-dir={}", folder.display())).arg(format!("-s3.port={port}"));
        for part in ["master", "filer", "volume", "admin"] {
            command.arg(format!("-{part}.port={}", tools::free_port()?));
            command.arg(format!("-{part}.port.grpc={}", tools::free_port()?));
        }
        command.arg(format!("-s3.port.grpc={}", tools::free_port()?));
        command.arg(format!("-s3.port.lance={}", tools::free_port()?));
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-bucket=lake"]);
        command.args(["-admin.ui=false", "-webdav=false"]).envs(s3::CREDENTIALS);
        Server::start(command, port, folder, Some("components are running and ready to use"))
    }

    /// Azurite.
    pub fn azurite(folder: &Path) -> Result<Server> {
        let port = tools::free_port()?;
        let mut command = Command::new("node");
        command.arg(installed("test-azurite/node_modules/azurite/dist/src/blob/main.js")?);
        command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobHost", "127.0.0.1"]);
        command.args(["--blobPort", &port.to_string(), "--location"]).arg(folder);
        let server = Server::start(command, port, folder, Some("successfully listens"))?;
        let mut make = Command::new("node");
        make.arg(tools::tests().join("stores/container.js"));
        make.args([&server.azurite_endpoint(), AZURITE_ACCOUNT, AZURITE_KEY, BUCKET]);
        tools::run(&mut make)?;
        Ok(server)
    }

    /// An S3 server that lets several writers create one object, and tells each that it did.
    pub fn lying(folder: &Path) -> Result<Server> {
        let port = tools::free_port()?;
        std::fs::create_dir_all(folder.join("root").join(BUCKET))?;
        let mut command = Command::new(installed("test-s3s-fs/bin/s3s-fs")?);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--access-key", s3::CREDENTIALS[0].1, "--secret-key", s3::CREDENTIALS[1].1]);
        command.arg(folder.join("root"));
        Server::start(command, port, folder, None)
    }

    /// Waits until it listens, and has said `ready` in its log.
    fn start(mut command: Command, port: u16, folder: &Path, ready: Option<&str>) -> Result<Server> {
        let log = folder.join("server.log");
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("could not start {command:?}"))?;
        let mut server = Server { child, address: ([127, 0, 0, 1], port).into(), log };
        let begin = Instant::now();
        while !server.is_ready(ready) {
            if let Some(status) = server.child.try_wait()? {
                bail!("{command:?} ended with {status}:\n{}", tools::tail(&server.log));
            }
            if begin.elapsed() > READY_TIME_MAX {
                bail!("{command:?} is not ready after {READY_TIME_MAX:?}:\n{}", tools::tail(&server.log));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn is_ready(&self, ready: Option<&str>) -> bool {
        let said = |text: &str| std::fs::read_to_string(&self.log).is_ok_and(|log| log.contains(text));
        ready.is_none_or(said) && TcpStream::connect(self.address).is_ok()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address for `tamis` of a server that speaks S3, by way of `endpoint` (the server itself, or a proxy before it).
    pub fn s3_url(&self, prefix: &str, endpoint: SocketAddr) -> String {
        format!("s3://{BUCKET}/{prefix}?region=us-east-1&endpoint=http://{endpoint}&allow_http=true")
    }

    /// That of Azurite.
    pub fn azure_url(&self, prefix: &str) -> String {
        let endpoint = self.azurite_endpoint();
        format!("az://{BUCKET}/{prefix}?account_name={AZURITE_ACCOUNT}&endpoint={endpoint}&allow_http=true")
    }

    fn azurite_endpoint(&self) -> String {
        format!("http://{}/{AZURITE_ACCOUNT}", self.address)
    }
}

/// Who may write to Azurite, for the environment of a process. That of S3 servers is [`s3::CREDENTIALS`].
pub const AZURE_CREDENTIALS: [(&str, &str); 1] = [("AZURE_STORAGE_ACCOUNT_KEY", AZURITE_KEY)];

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn installed(path: &str) -> Result<PathBuf> {
    let file = tools::target()?.join(path);
    if !file.is_file() {
        bail!("there is no {}: run `tests/setup.sh`, or `make test`, which does", file.display());
    }
    Ok(file)
}
