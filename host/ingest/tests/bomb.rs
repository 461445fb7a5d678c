//! A zstd bomb against a server in a process of its own, whose memory the kernel measures.
//!
//! The program is its own server: `bomb serve` serves, and writes its address to standard output.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test program of its own")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_event::{Book, EventId, OutcomeCount, ProjectId};
use host_ingest::auth::PublicKey;
use host_ingest::{Ingest, IngestConfig, KeySpec, ProjectSpec, Projects, ServeConfig, serve};
use host_queue::Memory;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const MEMORY_MIB_MAX: u64 = 50;
const BOMB_BYTES: usize = 10 << 20;
const BLOCK_BYTES: u32 = 128 << 10;

struct NoBook;

impl Book for NoBook {
    fn settle(&self, _: ProjectId, _: &OutcomeCount) {}
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return serve_until_killed();
    }
    let zeros = bomb(b"");
    // A well-formed envelope whose one event goes on for ever, so that framing is passed too.
    let event = bomb(b"{}\n{\"type\":\"event\"}\n");
    // And one whose length promises 300 GB of an item that is not kept.
    let attachment = bomb(b"{}\n{\"type\":\"attachment\",\"length\":300000000000}\n");
    for (what, body) in
        [("zeros alone", &zeros), ("an endless event", &event), ("an endless attachment", &attachment)]
    {
        let (mut child, address) = start();
        let begun = Instant::now();
        let answer = post(&address, body);
        let peak = peak_mib(&child);
        let took = begun.elapsed();
        println!("{what}: {} bytes, {answer}, peak {peak} MiB, {took:?}", body.len());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{what}: {answer}");
        assert!(peak < MEMORY_MIB_MAX, "{what}: {peak} MiB");
        assert!(took < Duration::from_secs(30), "{what}: {took:?}");
    }
}

/// A zstd frame by hand: a raw block with `text`, then blocks that each say "128 KiB of zeros" in four bytes.
fn bomb(text: &[u8]) -> Vec<u8> {
    // Magic; a window of 8 MiB (exponent 13), no content size, no checksum.
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3];
    out.extend_from_slice(&((text.len() as u32) << 3).to_le_bytes()[..3]);
    out.extend_from_slice(text);
    let repeated = BLOCK_BYTES << 3 | 1 << 1;
    while out.len() < BOMB_BYTES - 8 {
        out.extend_from_slice(&repeated.to_le_bytes()[..3]);
        out.push(b'0');
    }
    out.extend_from_slice(&(repeated | 1).to_le_bytes()[..3]);
    out.push(b'0');
    let decoded = out.len() as u64 / 4 * u64::from(BLOCK_BYTES);
    assert!(out.len() <= BOMB_BYTES && decoded > 100_000_000_000, "a bomb of {decoded} bytes");
    let mut start = vec![0; 1 << 20];
    zstd::Decoder::new(out.as_slice()).unwrap().read_exact(&mut start).expect("the bomb is valid zstd");
    assert!(start.starts_with(text) && start.ends_with(b"00"));
    out
}

fn serve_until_killed() {
    let key = KeySpec { key: PublicKey::parse(KEY).unwrap(), environment: String::new(), disabled: false };
    let projects =
        Projects::new(vec![ProjectSpec { id: 42, keys: vec![key], ..ProjectSpec::default() }]).unwrap();
    let queue = Arc::new(Memory::new(1, Arc::new(|| 0)));
    let config = IngestConfig::new(projects);
    let ingest = Ingest::new(config, queue, Arc::new(NoBook), Arc::new(|| 0), Arc::new(|| EventId(1)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        serve(listener, ingest.router(), ServeConfig::default(), std::future::pending()).await.unwrap();
    });
}

fn start() -> (Child, String) {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program).arg("serve").stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
    (child, address.trim().to_owned())
}

fn post(address: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /api/42/envelope/?sentry_key={KEY} HTTP/1.1\r\nhost: x\r\ncontent-encoding: zstd\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = [0; 1024];
    let n = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..n]).lines().next().unwrap_or_default().to_owned()
}

fn peak_mib(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the kernel tells the peak");
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
