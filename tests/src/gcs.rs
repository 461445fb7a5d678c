//! A Google Cloud Storage of our own, in memory: no emulator that can be had understands the XML interface that clients in Rust speak.
//!
//! As much as a store of Tamis needs: objects with generations, of which 0 means that there must be none; ranges; pages of listings.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;

const BUCKET: &str = "lake";
/// Less than the 1,000 of the real one, so that small tests see several pages.
const PAGE_KEYS_MAX: usize = 400;
const BODY_BYTES_MAX: usize = 256 << 20;

/// The server, with one bucket. Dropped, it takes no more connections.
#[derive(Debug)]
pub struct Gcs {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Objects {
    by_key: BTreeMap<String, (u64, Vec<u8>)>,
    generation: u64,
}

impl Gcs {
    pub fn start() -> Result<Gcs> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let gcs = Gcs { address: listener.local_addr()?, ended: Arc::default() };
        let (objects, ended) = (Arc::<Mutex<Objects>>::default(), Arc::clone(&gcs.ended));
        thread::Builder::new().name("gcs".into()).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let objects = Arc::clone(&objects);
                // A client that hangs up ends its own connection only.
                let connection = thread::Builder::new().name("gcs connection".into());
                drop(connection.spawn(move || drop(serve(stream, &objects))));
            }
        })?;
        Ok(gcs)
    }

    /// The address of `prefix` for `tamis`.
    pub fn url(&self, prefix: &str) -> String {
        format!("gs://{BUCKET}/{prefix}?allow_http=true")
    }

    /// Who may write, for the environment of a process: a key of a service account that says where the service is.
    pub fn credentials(&self) -> (&'static str, String) {
        let key = format!(
            r#"{{"gcs_base_url": "http://{}", "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": ""}}"#,
            self.address
        );
        ("GOOGLE_SERVICE_ACCOUNT_KEY", key)
    }
}

impl Drop for Gcs {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread, which looks whether it is over.
        drop(TcpStream::connect(self.address));
    }
}

#[derive(Debug, Default)]
struct Request {
    method: String,
    key: String,
    query: BTreeMap<String, String>,
    /// Names in lower case.
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

#[derive(Debug, Default)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn serve(stream: TcpStream, objects: &Mutex<Objects>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let request = read_request(&mut stream)?;
        let answer = answer(&request, &mut objects.lock());
        let mut head = format!("HTTP/1.1 {} Answer\r\n", answer.status);
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", answer.body.len()));
        let mut message = head.into_bytes();
        if request.method != "HEAD" {
            message.extend(answer.body);
        }
        stream.get_mut().write_all(&message)?;
    }
}

fn read_request(stream: &mut BufReader<TcpStream>) -> Result<Request> {
    let line = read_line(stream)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next().context("a method")?, words.next().context("a target")?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decode(path);
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(BUCKET));
    let key = rest.with_context(|| format!("{path} is not in the bucket"))?;
    let mut request = Request {
        method: method.to_owned(),
        key: key.trim_start_matches('/').to_owned(),
        ..Request::default()
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        request.query.insert(decode(name), decode(&value.replace('+', " ")));
    }
    loop {
        let line = read_line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = request.headers.get("content-length").map_or(Ok(0), |length| length.parse())?;
    ensure!(length <= BODY_BYTES_MAX, "a body of {length} bytes");
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body)?;
    Ok(request)
}

fn read_line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    ensure!(stream.read_line(&mut line)? > 0, "the connection ended");
    Ok(line.trim_end().to_owned())
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn answer(request: &Request, objects: &mut Objects) -> Answer {
    match request.method.as_str() {
        "GET" if request.key.is_empty() => list(request, objects),
        "GET" | "HEAD" => get(request, objects),
        "PUT" => put(request, objects),
        "DELETE" if objects.by_key.remove(&request.key).is_some() => status(204, ""),
        "DELETE" => status(404, "NoSuchKey"),
        _ => status(405, "MethodNotAllowed"),
    }
}

fn status(status: u16, code: &str) -> Answer {
    let body = if code.is_empty() { String::new() } else { format!("<Error><Code>{code}</Code></Error>") };
    Answer { status, body: body.into_bytes(), ..Answer::default() }
}

fn put(request: &Request, objects: &mut Objects) -> Answer {
    let found = objects.by_key.get(&request.key).map_or(0, |(generation, _)| *generation);
    let wanted = request.headers.get("x-goog-if-generation-match");
    if wanted.is_some_and(|wanted| *wanted != found.to_string()) {
        return status(412, "PreconditionFailed");
    }
    objects.generation += 1;
    let generation = objects.generation;
    objects.by_key.insert(request.key.clone(), (generation, request.body.clone()));
    Answer { status: 200, headers: named(generation), body: Vec::new() }
}

fn get(request: &Request, objects: &Objects) -> Answer {
    let Some((generation, bytes)) = objects.by_key.get(&request.key) else { return status(404, "NoSuchKey") };
    let mut headers = named(*generation);
    headers.push(("Last-Modified", "Sun, 22 Nov 2026 19:00:00 GMT".to_owned()));
    let range = request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let Some((start, end)) = range else { return Answer { status: 200, headers, body: bytes.clone() } };
    let (start, end) = (start.parse().unwrap_or(0_usize), end.parse().unwrap_or(usize::MAX));
    let end = end.saturating_add(1).min(bytes.len());
    if start >= end {
        return status(416, "InvalidRange");
    }
    headers.push(("Content-Range", format!("bytes {start}-{}/{}", end - 1, bytes.len())));
    Answer { status: 206, headers, body: bytes[start..end].to_vec() }
}

fn named(generation: u64) -> Vec<(&'static str, String)> {
    vec![("ETag", format!("\"{generation}\"")), ("x-goog-generation", generation.to_string())]
}

fn list(request: &Request, objects: &Objects) -> Answer {
    let of = |name: &str| request.query.get(name).map_or("", String::as_str);
    let (prefix, delimiter) = (of("prefix"), of("delimiter"));
    let after = of("continuation-token").max(of("start-after"));
    let start = if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(after) };
    let (mut contents, mut folders, mut last) = (String::new(), BTreeSet::new(), None);
    for (count, (key, (generation, bytes))) in
        objects.by_key.range::<str, _>((start, Bound::Unbounded)).enumerate()
    {
        if count == PAGE_KEYS_MAX {
            last = Some(key_before(objects, key));
            break;
        }
        let Some(tail) = key.strip_prefix(prefix) else { continue };
        match tail.split_once(delimiter).filter(|_| !delimiter.is_empty()) {
            Some((folder, _)) => drop(folders.insert(format!("{prefix}{folder}{delimiter}"))),
            None => contents.push_str(&format!(
                "<Contents><Key>{key}</Key><Generation>{generation}</Generation><LastModified>2026-11-22T19:00:00.000Z\
                 </LastModified><ETag>\"{generation}\"</ETag><Size>{}</Size></Contents>",
                bytes.len()
            )),
        }
    }
    let mut body = format!("<ListBucketResult>{contents}");
    for folder in folders {
        body.push_str(&format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"));
    }
    if let Some(last) = last {
        body.push_str(&format!("<NextContinuationToken>{last}</NextContinuationToken>"));
    }
    body.push_str("</ListBucketResult>");
    Answer { status: 200, headers: vec![("Content-Type", "application/xml".into())], body: body.into_bytes() }
}

/// The last key that was looked at.
fn key_before<'a>(objects: &'a Objects, key: &str) -> &'a str {
    let before = objects.by_key.range::<str, _>((Bound::Unbounded, Bound::Excluded(key))).next_back();
    before.map_or("", |(key, _)| key.as_str())
}
