//! A network that fails on demand: an HTTP proxy between a process and a store, which loses requests or their answers, answers
//! in the store's place, or lets both wait.
//!
//! Each request is read whole before anything happens to it, and so is each answer: it is made for the objects of tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::sleep;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks before the store has seen anything.
    Refuse,
    /// The connection breaks in the middle of what is sent to the store.
    Cut,
    /// The store does as it was told; its answer is lost.
    LoseAnswer,
    /// The connection breaks at once, and the store gets the request after so long, when nobody expects it any more.
    Late(Duration),
    /// An answer in place of the store's: 503 and 429 say SlowDown and Retry-After, as S3 does.
    Status(u16),
    /// The request waits for so long, then all is as it should be.
    Delay(Duration),
    /// Nothing, ever: no answer, and no end of the connection.
    Hang,
}

/// Which requests it happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub fault: Fault,
    /// Only those that write.
    pub writes_only: bool,
    /// One of so many; 1 is each.
    pub one_in: u64,
}

impl Rule {
    pub fn always(fault: Fault) -> Rule {
        Rule { fault, writes_only: false, one_in: 1 }
    }

    pub fn writes(fault: Fault) -> Rule {
        Rule { fault, writes_only: true, one_in: 1 }
    }

    pub fn one_in(self, one_in: u64) -> Rule {
        Rule { one_in, ..self }
    }
}

/// The proxy. Dropped, it is gone with all connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

#[derive(Debug, Default)]
struct Shared {
    rule: Mutex<Option<Rule>>,
    requests: AtomicU64,
    injected: AtomicU64,
}

/// No object of a test is larger.
const BODY_BYTES_MAX: usize = 256 << 20;
const HEAD_BYTES_MAX: usize = 64 << 10;

impl Proxy {
    /// Forwards to `to`, without a rule at first.
    pub fn start(to: SocketAddr) -> Result<Proxy> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let shared: Arc<Shared> = Arc::default();
        let serving = Arc::clone(&shared);
        // Owned by the runtime, and gone with it.
        drop(runtime.handle().spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                if let Ok((client, _)) = listener.accept().await {
                    connections.spawn(serve(client, to, Arc::clone(&serving)));
                }
            }
        }));
        Ok(Proxy { address, shared, runtime: Some(runtime) })
    }

    /// What stands in for the store's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on; None: the network is fine.
    pub fn set(&self, rule: Option<Rule>) {
        *self.shared.rule.lock() = rule;
    }

    /// How often a rule was applied.
    pub fn injected(&self) -> u64 {
        self.shared.injected.load(Ordering::Relaxed)
    }

    /// How many requests came.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A connection of a client, which has one to the store of its own. Whatever breaks on one side ends both.
async fn serve(client: TcpStream, to: SocketAddr, shared: Arc<Shared>) {
    let mut client = BufReader::new(client);
    let mut store = None;
    while let Ok(request) = read_message(&mut client, Kind::Request).await {
        let rule = shared.draw(&request);
        match one(rule, &request, &mut client, &mut store, to).await {
            Ok(true) => {}
            _ => return,
        }
    }
}

impl Shared {
    /// What happens to this request.
    fn draw(&self, request: &[u8]) -> Option<Fault> {
        let serial = self.requests.fetch_add(1, Ordering::Relaxed);
        let rule = (*self.rule.lock())?;
        let writes =
            [b"PUT ".as_slice(), b"POST ", b"DELETE "].iter().any(|method| request.starts_with(method));
        if (rule.writes_only && !writes) || !serial.is_multiple_of(rule.one_in) {
            return None;
        }
        self.injected.fetch_add(1, Ordering::Relaxed);
        Some(rule.fault)
    }
}

/// Whether the connection goes on.
async fn one(
    fault: Option<Fault>,
    request: &[u8],
    client: &mut BufReader<TcpStream>,
    store: &mut Option<BufReader<TcpStream>>,
    to: SocketAddr,
) -> Result<bool> {
    match fault {
        None => {}
        Some(Fault::Refuse) => return Ok(false),
        Some(Fault::Cut) => {
            let mut half = TcpStream::connect(to).await?;
            half.write_all(&request[..request.len() / 2]).await?;
            return Ok(false);
        }
        Some(Fault::LoseAnswer) => {
            forward(request, store, to).await?;
            return Ok(false);
        }
        Some(Fault::Late(after)) => {
            client.get_mut().shutdown().await?;
            sleep(after).await;
            forward(request, store, to).await?;
            return Ok(false);
        }
        Some(Fault::Status(status)) => {
            client.get_mut().write_all(refusal(status).as_bytes()).await?;
            return Ok(true);
        }
        Some(Fault::Delay(time)) => sleep(time).await,
        Some(Fault::Hang) => std::future::pending().await,
    }
    let answer = forward(request, store, to).await?;
    client.get_mut().write_all(&answer).await?;
    Ok(!says_close(&answer))
}

/// Whether the store ends the connection behind this answer: then the client's ends too.
fn says_close(answer: &[u8]) -> bool {
    let head = answer.split(|byte| *byte == b'\n').take_while(|line| *line != b"\r");
    head.into_iter().any(|line| line.trim_ascii_end().eq_ignore_ascii_case(b"connection: close"))
}

fn refusal(status: u16) -> String {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code>\
                <Message>Please reduce your request rate.</Message></Error>";
    let wait = if matches!(status, 429 | 503) { "Retry-After: 1\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status} Fault\r\nContent-Type: application/xml\r\n{wait}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn forward(
    request: &[u8],
    store: &mut Option<BufReader<TcpStream>>,
    to: SocketAddr,
) -> Result<Vec<u8>> {
    let mut open = match store.take() {
        Some(open) => open,
        None => BufReader::new(TcpStream::connect(to).await?),
    };
    open.get_mut().write_all(request).await?;
    let kind = if request.starts_with(b"HEAD ") { Kind::AnswerToHead } else { Kind::Answer };
    loop {
        let answer = read_message(&mut open, kind).await?;
        // `100 Continue` is for who waits for it; the whole request is there already.
        if !answer.starts_with(b"HTTP/1.1 100") {
            *store = Some(open);
            return Ok(answer);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Answer,
    AnswerToHead,
}

/// A request or an answer, head and body.
async fn read_message(from: &mut BufReader<TcpStream>, kind: Kind) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let line = from.read_until(b'\n', &mut message).await?;
        ensure!(line > 0, "the connection ended");
        ensure!(message.len() < HEAD_BYTES_MAX, "the head does not end");
        if message.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = std::str::from_utf8(&message)?.to_ascii_lowercase();
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
    let empty = head.starts_with("http/1.1 1")
        || head.starts_with("http/1.1 204")
        || head.starts_with("http/1.1 304");
    if kind == Kind::AnswerToHead || empty {
        return Ok(message);
    }
    if field("transfer-encoding:") == Some("chunked") {
        read_chunks(from, &mut message).await?;
        return Ok(message);
    }
    let length = match field("content-length:") {
        Some(length) => length.parse()?,
        None if kind == Kind::Request => 0,
        None => bail!("an answer without a length"),
    };
    ensure!(length <= BODY_BYTES_MAX, "a body of {length} bytes");
    let head_bytes = message.len();
    message.resize(head_bytes + length, 0);
    from.read_exact(&mut message[head_bytes..]).await?;
    if kind == Kind::Request && field("expect:").is_some() {
        bail!("a client that waits for 100 Continue is not understood");
    }
    Ok(message)
}

async fn read_chunks(from: &mut BufReader<TcpStream>, message: &mut Vec<u8>) -> Result<()> {
    loop {
        let begin = message.len();
        from.read_until(b'\n', message).await?;
        let line = std::str::from_utf8(&message[begin..])?.trim();
        let size = line.split(';').next().context("split gives at least one")?;
        let size = usize::from_str_radix(size, 16).with_context(|| format!("a chunk of {line:?} bytes"))?;
        ensure!(message.len() + size <= BODY_BYTES_MAX, "a body that does not end");
        // With the line end that follows; after the last one there are no trailers in what S3 servers say.
        let at = message.len();
        message.resize(at + size + 2, 0);
        from.read_exact(&mut message[at..]).await?;
        if size == 0 {
            return Ok(());
        }
    }
}
