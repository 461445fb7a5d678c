//! A load of small requests over kept connections, and an exact account of what was answered.
//!
//! The account is the point: an event whose request got a 200 must be in the tables; one whose connection broke may be,
//! once; one that was answered with another status must not be. Payloads carry what tells them apart.

use std::collections::HashSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::home::{PROJECT_ID, PUBLIC_KEY};

/// An answer that does not come counts as a broken connection.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

/// What became of what was sent, by event id (for logs: by the text of their body).
#[derive(Debug, Default, Clone)]
pub struct Sent {
    /// Answered with 200.
    pub kept: HashSet<String>,
    /// Answered with anything else: not one of them may show up.
    pub refused: HashSet<String>,
    /// No answer: the connection broke. May or may not be kept, but never twice.
    pub unknown: HashSet<String>,
}

impl Sent {
    pub fn merge(&mut self, other: Sent) {
        self.kept.extend(other.kept);
        self.refused.extend(other.refused);
        self.unknown.extend(other.unknown);
    }
}

/// A load that runs until it is told to stop.
#[derive(Debug)]
pub struct Load {
    runtime: Runtime,
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
    sent: Arc<Mutex<Sent>>,
}

impl Load {
    /// Starts `connections` clients. `serial` numbers the events over all loads of a test, so that ids are unique.
    pub fn start(to: SocketAddr, connections: usize, serial: &Arc<AtomicU64>) -> Result<Load> {
        Load::paced(to, connections, serial, Duration::ZERO)
    }

    /// The same with clients that wait for so long between an answer and the next request.
    pub fn paced(
        to: SocketAddr,
        connections: usize,
        serial: &Arc<AtomicU64>,
        pause: Duration,
    ) -> Result<Load> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let (serial, stop, sent) = (Arc::clone(serial), Arc::clone(&stop), Arc::clone(&sent));
            let client = Client { to, pause, serial, stop, sent };
            tasks.spawn_on(client.run(), runtime.handle());
        }
        Ok(Load { runtime, tasks, stop, sent })
    }

    /// How many events have got their 200.
    pub fn kept(&self) -> usize {
        self.sent.lock().map_or(0, |sent| sent.kept.len())
    }

    /// Ends the load after the requests under way, and gives the account.
    pub fn stop(mut self) -> Result<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.runtime.block_on(async { while self.tasks.join_next().await.is_some() {} });
        let sent = self.sent.lock().map_err(|_| anyhow::anyhow!("a client panicked"))?;
        Ok(sent.clone())
    }
}

struct Client {
    to: SocketAddr,
    pause: Duration,
    serial: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    sent: Arc<Mutex<Sent>>,
}

impl Client {
    async fn run(self) {
        let mut connection = None;
        while !self.stop.load(Ordering::Relaxed) {
            sleep(self.pause).await;
            let open = match connection.take() {
                Some(open) => open,
                None => match TcpStream::connect(self.to).await {
                    Ok(stream) => BufReader::new(stream),
                    // The process is being restarted; the next load knows its new address.
                    Err(_) => {
                        sleep(Duration::from_millis(5)).await;
                        continue;
                    }
                },
            };
            let request = Request::new(self.serial.fetch_add(1, Ordering::Relaxed));
            let answer = timeout(ANSWER_TIME_MAX, exchange(open, &request.bytes)).await;
            let Ok(mut sent) = self.sent.lock() else { return };
            match answer {
                Ok(Ok((200, open))) => {
                    sent.kept.extend(request.ids);
                    connection = Some(open);
                }
                Ok(Ok((_, open))) => {
                    sent.refused.extend(request.ids);
                    connection = Some(open);
                }
                _ => sent.unknown.extend(request.ids),
            }
        }
    }
}

/// One request and the ids in it.
struct Request {
    bytes: Vec<u8>,
    ids: Vec<String>,
}

impl Request {
    /// By its number an error, an error that is compressed, a transaction, or a list of logs.
    fn new(serial: u64) -> Request {
        let id = format!("{:016x}{serial:016x}", 0x7a31_15e5_0000_0000_u64);
        let (ids, envelope) = match serial % 4 {
            2 => (vec![id.clone()], transaction(&id, serial)),
            3 => logs(serial),
            _ => (vec![id.clone()], error(&id, serial)),
        };
        let (encoding, body) = match serial % 4 {
            1 => ("Content-Encoding: gzip\r\n", gzip(&envelope)),
            _ => ("", envelope),
        };
        let mut bytes = format!(
            "POST /api/{PROJECT_ID}/envelope/ HTTP/1.1\r\nHost: tamis\r\n\
             X-Sentry-Auth: Sentry sentry_version=7, sentry_client=tamis-tests/1, sentry_key={PUBLIC_KEY}\r\n\
             {encoding}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&body);
        Request { bytes, ids }
    }
}

fn envelope(header: &str, item: &str, payload: &str) -> Vec<u8> {
    let length = payload.len();
    format!("{header}\n{{{item},\"length\":{length}}}\n{payload}\n").into_bytes()
}

fn error(id: &str, serial: u64) -> Vec<u8> {
    let filler = "x".repeat((serial % 50) as usize * 40);
    let payload = format!(
        r#"{{"event_id":"{id}","platform":"python","level":"error","user":{{"id":"{user}"}},"extra":{{"filler":"{filler}"}},
"exception":{{"values":[{{"type":"ValueError","value":"number {serial}","stacktrace":{{"frames":[
{{"module":"app","function":"f{place}","filename":"app.py","lineno":{place},"in_app":true}}]}}}}]}}}}"#,
        user = serial % 100,
        place = serial % 7,
    )
    // A payload of known length may hold newlines; this one does.
    ;
    envelope(&format!(r#"{{"event_id":"{id}"}}"#), r#""type":"event""#, &payload)
}

fn transaction(id: &str, serial: u64) -> Vec<u8> {
    let trace = format!("{:032x}", u128::from(serial) << 64 | 0x5eed);
    let payload = format!(
        r#"{{"type":"transaction","event_id":"{id}","transaction":"/route/{}","start_timestamp":1795372800.5,"timestamp":1795372801.5,
"contexts":{{"trace":{{"trace_id":"{trace}","span_id":"00000000000000aa","op":"http.server"}}}},"spans":[
{{"span_id":"00000000000000ab","parent_span_id":"00000000000000aa","trace_id":"{trace}","op":"db","description":"SELECT 1",
"start_timestamp":1795372800.6,"timestamp":1795372800.7}}]}}"#,
        serial % 5
    );
    envelope(
        &format!(r#"{{"event_id":"{id}","trace":{{"trace_id":"{trace}"}}}}"#),
        r#""type":"transaction""#,
        &payload,
    )
}

/// Three logs. They have no event id, so that their text has to tell them apart.
fn logs(serial: u64) -> (Vec<String>, Vec<u8>) {
    let bodies: Vec<_> = (0..3).map(|n| format!("log {serial} line {n}")).collect();
    let items: Vec<_> = bodies
        .iter()
        .map(|body| format!(r#"{{"timestamp":1795372800.5,"level":"info","trace_id":"{serial:032x}","body":"{body}","attributes":{{}}}}"#))
        .collect();
    let payload = format!(r#"{{"version":2,"items":[{}]}}"#, items.join(","));
    let item = r#""type":"log","item_count":3,"content_type":"application/vnd.sentry.items.log+json""#;
    (bodies, envelope("{}", item, &payload))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("a Vec takes everything")
}

/// Sends one request and reads its answer: the status, and the connection for the next one.
async fn exchange(mut open: BufReader<TcpStream>, request: &[u8]) -> Result<(u16, BufReader<TcpStream>)> {
    open.get_mut().write_all(request).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(open.read_u8().await?);
        if head.len() > 16 << 10 {
            bail!("the head of the answer does not end");
        }
    }
    let head = String::from_utf8(head)?.to_ascii_lowercase();
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("no content-length")?.trim().parse()?;
    let mut body = vec![0; length];
    open.read_exact(&mut body).await?;
    Ok((status, open))
}
