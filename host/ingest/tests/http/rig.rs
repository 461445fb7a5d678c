//! An ingest on a real socket, a client that writes raw bytes, and a look into the queue.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host_event::{Body, Book, EventId, OutcomeCount, ProjectId, Record};
use host_ingest::auth::PublicKey;
use host_ingest::{Ingest, IngestConfig, KeySpec, ProjectSpec, Projects, ServeConfig, serve};
use host_queue::{Appending, Lease, Memory, Queue, ReadLimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

pub const KEY: &str = "0123456789abcdef0123456789abcdef";
pub const DISABLED_KEY: &str = "00000000000000000000000000000002";
pub const KEY_OF_DISABLED: &str = "00000000000000000000000000000003";
pub const STRANGER: &str = "ffffffffffffffffffffffffffffffff";
/// 2026-11-22T19:00:00Z
pub const NOW: i64 = 1_795_374_000_000;

/// Projects 42 (KEY, environment `prod`) and 7 (disabled).
pub fn specs() -> Vec<ProjectSpec> {
    let key = |text, environment: &str, disabled| KeySpec {
        key: PublicKey::parse(text).unwrap(),
        environment: environment.to_owned(),
        disabled,
    };
    vec![
        ProjectSpec {
            id: 42,
            keys: vec![key(KEY, "prod", false), key(DISABLED_KEY, "", true)],
            origins: vec!["https://shop.example".to_owned()],
            ..ProjectSpec::default()
        },
        ProjectSpec {
            id: 7,
            disabled: true,
            keys: vec![key(KEY_OF_DISABLED, "", false)],
            ..ProjectSpec::default()
        },
    ]
}

pub fn config() -> IngestConfig {
    IngestConfig::new(Projects::new(specs()).unwrap())
}

/// What is settled without the queue.
#[derive(Default)]
pub struct Settled(pub Mutex<Vec<String>>);

impl Book for Settled {
    fn settle(&self, project: ProjectId, c: &OutcomeCount) {
        self.0
            .lock()
            .unwrap()
            .push(format!("{project} {} {} {} {}", c.category, c.outcome, c.reason, c.quantity));
    }
}

/// A queue in memory whose appends wait at a gate.
pub struct Gated {
    pub memory: Memory,
    pub gate: Semaphore,
}

impl Queue for Gated {
    fn source(&self) -> &str {
        self.memory.source()
    }
    fn partitions(&self) -> u32 {
        self.memory.partitions()
    }
    fn append(&self, partition: u32, records: Vec<Record>) -> Appending<'_> {
        Box::pin(async move {
            let _open = self.gate.acquire().await;
            self.memory.append(partition, records).await
        })
    }
    fn read(
        &self,
        partition: u32,
        from: u64,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<host_queue::Stored>, host_queue::Error> {
        self.memory.read(partition, from, limit, wait)
    }
    fn leases(&self) -> Vec<Lease> {
        self.memory.leases()
    }
    fn wait(&self, seen: u64, at_most: Duration) -> u64 {
        self.memory.wait(seen, at_most)
    }
    fn commit(&self, partition: u32, next: u64) -> Result<(), host_queue::Error> {
        self.memory.commit(partition, next)
    }
    fn committed(&self, partition: u32) -> Result<u64, host_queue::Error> {
        self.memory.committed(partition)
    }
    fn end(&self, partition: u32) -> u64 {
        self.memory.end(partition)
    }
    fn health(&self) -> Result<(), host_queue::Error> {
        self.memory.health()
    }
    fn bytes(&self) -> u64 {
        self.memory.bytes()
    }
}

pub struct Rig {
    pub ingest: Ingest,
    pub queue: Arc<Gated>,
    pub book: Arc<Settled>,
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinSet<std::io::Result<()>>,
}

impl Rig {
    pub async fn new() -> Rig {
        Rig::with(config(), ServeConfig::default(), u64::MAX).await
    }

    pub async fn with(config: IngestConfig, serving: ServeConfig, queue_bytes_max: u64) -> Rig {
        let memory = Memory::new(4, Arc::new(|| NOW)).with_bytes_max(queue_bytes_max);
        let queue = Arc::new(Gated { memory, gate: Semaphore::new(1000) });
        let book = Arc::new(Settled::default());
        let ids = AtomicU64::new(0);
        let next_id = Arc::new(move || EventId(u128::from(ids.fetch_add(1, Ordering::Relaxed)) + 1));
        let (queue_port, book_port) =
            (Arc::clone(&queue) as Arc<dyn Queue>, Arc::clone(&book) as Arc<dyn Book>);
        let ingest = Ingest::new(config, queue_port, book_port, Arc::new(|| NOW), next_id);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let mut served = JoinSet::new();
        served.spawn(serve(listener, ingest.router(), serving, stopped));
        Rig { ingest, queue, book, address, stop: Some(stop), served }
    }

    /// Stops serving and waits for what is under way.
    pub async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.served.join_next().await.unwrap().unwrap().unwrap();
    }

    /// All records of the queue.
    pub fn records(&self) -> Vec<Record> {
        let limit = ReadLimit { records_max: usize::MAX, bytes_max: usize::MAX };
        let of = |partition| self.queue.read(partition, 0, limit, Duration::ZERO).unwrap();
        (0..self.queue.partitions()).flat_map(of).map(|stored| stored.record.unwrap()).collect()
    }

    /// All records and outcomes, in words, sorted.
    pub fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        for record in self.records() {
            match record.body {
                Body::Item { category, payload } => {
                    told.push(format!("{category} {}", String::from_utf8_lossy(&payload)))
                }
                Body::Ended(counts) => told.extend(counts.iter().map(|c| {
                    format!(
                        "{} {} {} {} {}",
                        record.meta.project_id, c.category, c.outcome, c.reason, c.quantity
                    )
                })),
            }
        }
        told.sort();
        told
    }

    pub async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// A POST with the query's key, unless the path has a query already.
    pub async fn post(&self, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.send("POST", path, headers, body).await
    }

    pub async fn envelope(&self, body: &str) -> Answer {
        self.post(&format!("/api/42/envelope/?sentry_key={KEY}"), &[], body.as_bytes()).await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut client = self.connect().await;
        client.write(&request(method, path, headers, body)).await;
        client.read().await
    }
}

pub fn request(method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{lines}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The same in chunks of a chunked body.
pub fn chunked(path: &str, headers: &[&str], body: &[u8], chunk: usize) -> Vec<u8> {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let mut out =
        format!("POST {path} HTTP/1.1\r\nhost: x\r\n{lines}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for part in body.chunks(chunk) {
        write!(out, "{:x}\r\n", part.len()).unwrap();
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

pub struct Client(pub TcpStream);

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Client {
    pub async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub async fn read(&mut self) -> Answer {
        tokio::time::timeout(Duration::from_secs(20), self.read_now()).await.expect("an answer comes in time")
    }

    async fn read_now(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("an answer before the end of the connection"));
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let pairs = lines.filter_map(|line| line.split_once(": "));
        let headers: HashMap<_, _> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.unwrap();
        Answer { status, headers, body }
    }

    /// Whether the other side closes the connection within the time.
    pub async fn is_closed_within(&mut self, time: Duration) -> bool {
        let mut byte = [0];
        matches!(tokio::time::timeout(time, self.0.read(&mut byte)).await, Ok(Ok(0) | Err(_)))
    }
}
