//! `tamis.toml`: what belongs to a machine. Addresses, queue, store, projects and their keys, limits of the host.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hashbrown::HashMap;
use host_event::{Category, ProjectId};

use host_ingest::Network;
use host_sink::store::{Address, AddressError};

use super::kafka::{self, KafkaSection};
use super::reader::{At, File, Section, nearest, show_bytes};

#[derive(Debug, Clone, PartialEq)]
pub struct HostConfig {
    pub listen: SocketAddr,
    pub trusted_proxies: Vec<String>,
    /// Bytes of all bodies that are being read and appended.
    pub http_memory_bytes_max: usize,
    pub admin_listen: SocketAddr,
    /// Who knows it may change the pipeline; without one only this machine may.
    pub admin_token: Option<String>,
    /// How often the store is looked at for new generations.
    pub look_every: Duration,
    /// The queue, if it is not the embedded one.
    pub kafka: Option<KafkaSection>,
    pub queue_dir: PathBuf,
    pub partitions: u32,
    pub queue_disk_bytes_max: u64,
    pub store_url: String,
    /// Writes to a store although two can create one object in it.
    pub store_allow_unsafe: bool,
    pub cache_dir: PathBuf,
    pub chunk_bytes_max: usize,
    pub chunk_rows_max: usize,
    pub chunk_age_max: Duration,
    /// Of all chunks together.
    pub chunk_memory_bytes_max: usize,
    /// Threads that run plugins.
    pub threads: usize,
    pub batch_events_max: usize,
    pub batch_bytes_max: usize,
    pub batch_age_max: Duration,
    pub projects: Vec<Project>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    pub id: ProjectId,
    pub name: String,
    pub disabled: bool,
    /// Origins that a browser may send from; empty allows all.
    pub allowed_origins: Vec<String>,
    pub keys: Vec<ProjectKey>,
    pub quotas: Vec<ProjectQuota>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ProjectKey {
    /// 32 hexadecimal digits in lower case.
    pub public_key: String,
    pub environment: String,
}

/// So many items in a window of time; what is more is rate limited.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectQuota {
    pub name: String,
    /// Empty counts all categories together.
    pub categories: Vec<Category>,
    pub items_max: u32,
    pub window: Duration,
}

const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 9180);
const ADMIN_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 9181);
const ADMIN_TOKEN_BYTES_MIN: usize = 16;
const LOOK_EVERY: Duration = Duration::from_millis(500);
const QUEUE_DISK_BYTES_MAX: u64 = 10 << 30;
/// Clients are told in seconds when to come again.
const QUOTA_WINDOW_MIN: Duration = Duration::from_secs(1);
const PARTITIONS_MAX: u64 = 1024;
const CHUNK_MEMORY_BYTES_MAX: u64 = 256 << 20;
const THREADS_MAX: u64 = 256;

pub(super) fn check(file: &mut File<'_>, folder: &Path) -> HostConfig {
    let mut root = file.root();
    let mut http = root.section(file, "http");
    let listen = address(file, &mut http, SocketAddr::from(LISTEN));
    let trusted_proxies = networks(file, &mut http);
    let http_memory_bytes_max =
        bytes_in_range(file, &mut http, "memory_bytes_max", 4 << 20..=1 << 40, 64 << 20);
    http.finish(file);
    let mut admin = root.section(file, "admin");
    let admin_listen = address(file, &mut admin, SocketAddr::from(ADMIN_LISTEN));
    if admin_listen == listen && listen.port() != 0 {
        let what = format!("admin.listen and http.listen are both {listen}");
        file.report(admin.span.clone(), what, Some("each needs a port of its own".into()));
    }
    let admin_token = admin.text(file, "token").and_then(|At { value, span }| {
        if !value.is_empty() && value.len() < ADMIN_TOKEN_BYTES_MIN {
            let what = format!("admin.token has fewer than {ADMIN_TOKEN_BYTES_MIN} bytes");
            file.report(span, what, Some("make one: openssl rand -hex 32".into()));
        }
        Some(value).filter(|token| !token.is_empty())
    });
    admin.finish(file);
    let mut generations = root.section(file, "generations");
    let look_every = generations.duration(file, "look_every").map_or(LOOK_EVERY, |d| d.value);
    generations.finish(file);
    let mut queue = root.section(file, "queue");
    let queue_dir = folder.join(queue.text(file, "dir").map_or("tamis-data/queue".into(), |t| t.value));
    let partitions =
        in_range(queue.integer(file, "partitions"), file, "queue.partitions", 1, PARTITIONS_MAX, 2) as u32;
    let queue_disk_bytes_max =
        bytes_in_range(file, &mut queue, "disk_bytes_max", 64 << 20..=u64::MAX, QUEUE_DISK_BYTES_MAX);
    let kafka = kafka::check(file, &mut queue);
    queue.finish(file);
    let mut store = root.section(file, "store");
    let store_url = store_url(file, &mut store, folder);
    let store_allow_unsafe = store.flag(file, "allow_unsafe").is_some_and(|flag| flag.value);
    store.finish(file);
    let mut cache = root.section(file, "cache");
    let cache_dir = folder.join(cache.text(file, "dir").map_or("tamis-data/cache".into(), |t| t.value));
    cache.finish(file);
    let mut chunk = root.section(file, "chunk");
    let chunk_bytes_max = bytes_in_range(file, &mut chunk, "bytes_max", 1 << 20..=4 << 30, 40 << 20);
    let chunk_rows_max =
        in_range(chunk.integer(file, "rows_max"), file, "chunk.rows_max", 1, 10_000_000, 500_000);
    let chunk_age_max = chunk.duration(file, "age_max").map_or(Duration::from_secs(60), |d| d.value);
    let chunk_memory_bytes_max =
        bytes_in_range(file, &mut chunk, "memory_bytes_max", 16 << 20..=1 << 40, CHUNK_MEMORY_BYTES_MAX);
    chunk.finish(file);
    let mut work = root.section(file, "work");
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let threads = match in_range(work.integer(file, "threads"), file, "work.threads", 0, THREADS_MAX, 0) {
        0 => cores,
        threads => threads,
    };
    work.finish(file);
    let mut batch = root.section(file, "batch");
    let events_max = host_event::limits::BATCH_EVENTS_MAX as u64;
    let batch_events_max =
        in_range(batch.integer(file, "events_max"), file, "batch.events_max", 1, events_max, 256);
    let batch_bytes_max = bytes_in_range(file, &mut batch, "bytes_max", 64 << 10..=256 << 20, 4 << 20);
    let batch_age_max = batch.duration(file, "age_max").map_or(Duration::from_millis(10), |d| d.value);
    batch.finish(file);
    let projects = projects(file, &mut root);
    root.finish(file);
    HostConfig {
        listen,
        trusted_proxies,
        http_memory_bytes_max: http_memory_bytes_max as usize,
        admin_listen,
        admin_token,
        look_every,
        kafka,
        queue_dir,
        partitions,
        queue_disk_bytes_max,
        store_url,
        store_allow_unsafe,
        cache_dir,
        chunk_bytes_max: chunk_bytes_max as usize,
        chunk_rows_max: chunk_rows_max as usize,
        chunk_age_max,
        chunk_memory_bytes_max: chunk_memory_bytes_max as usize,
        threads: threads as usize,
        batch_events_max: batch_events_max as usize,
        batch_bytes_max: batch_bytes_max as usize,
        batch_age_max,
        projects,
    }
}

fn address(file: &mut File<'_>, section: &mut Section<'_>, default: SocketAddr) -> SocketAddr {
    let Some(At { value, span }) = section.text(file, "listen") else { return default };
    value.parse().unwrap_or_else(|_| {
        let what = format!("{}.listen: {value:?} is no address", section.name);
        file.report(span, what, Some("write IP:PORT, for example \"127.0.0.1:9180\"".into()));
        default
    })
}

/// Addresses and networks whose word on the client's address is believed.
fn networks(file: &mut File<'_>, http: &mut Section<'_>) -> Vec<String> {
    let Some(At { value, span }) = http.texts(file, "trusted_proxies") else { return Vec::new() };
    for network in &value {
        if let Err(e) = network.parse::<Network>() {
            file.report(span.clone(), format!("http.trusted_proxies: {e}"), None);
        }
    }
    value
}

fn store_url(file: &mut File<'_>, store: &mut Section<'_>, folder: &Path) -> String {
    let Some(At { value, span }) = store.text(file, "url") else {
        return folder.join("tamis-data/store").display().to_string();
    };
    if !value.contains("://") {
        return folder.join(value).display().to_string();
    }
    if let Err(AddressError { what, hint, .. }) = Address::parse(&value) {
        file.report(span, format!("store.url: {what}"), Some(hint));
    }
    value
}

fn bytes_in_range(
    file: &mut File<'_>,
    section: &mut Section<'_>,
    key: &'static str,
    range: RangeInclusive<u64>,
    default: u64,
) -> u64 {
    match section.bytes(file, key) {
        None => default,
        Some(At { value, .. }) if range.contains(&value) => value,
        Some(At { value, span }) => {
            let (min, max) = (show_bytes(*range.start()), show_bytes(*range.end()));
            let bound = match *range.end() {
                u64::MAX => format!("at least {min}"),
                _ => format!("between {min} and {max}"),
            };
            let what = format!("{}.{key} is {}, and must be {bound}", section.name, show_bytes(value));
            file.report(span, what, None);
            default
        }
    }
}

fn in_range(
    found: Option<At<u64>>,
    file: &mut File<'_>,
    name: &str,
    min: u64,
    max: u64,
    default: u64,
) -> u64 {
    match found {
        None => default,
        Some(At { value, .. }) if (min..=max).contains(&value) => value,
        Some(At { value, span }) => {
            file.report(span, format!("{name} is {value}, and must be between {min} and {max}"), None);
            default
        }
    }
}

fn projects(file: &mut File<'_>, root: &mut Section<'_>) -> Vec<Project> {
    let mut projects = Vec::new();
    let (mut ids, mut keys) = (HashMap::new(), HashMap::new());
    for mut section in root.sections(file, "project") {
        let id = section.required_integer(file, "id", "1");
        if let Some(At { value, span }) = &id
            && ids.insert(*value, ()).is_some()
        {
            file.report(span.clone(), format!("project {value} is there twice"), None);
        }
        let id = id.map_or(0, |i| i.value);
        let project = Project {
            id,
            name: section.text(file, "name").map_or_else(|| id.to_string(), |t| t.value),
            disabled: section.flag(file, "disabled").is_some_and(|f| f.value),
            allowed_origins: section.texts(file, "allowed_origins").map(|t| t.value).unwrap_or_default(),
            quotas: quotas(file, &mut section),
            keys: project_keys(file, &mut section, id, &mut keys),
        };
        section.finish(file);
        projects.push(project);
    }
    if projects.is_empty() {
        let suggestion = "add [[project]] with an id and [[project.key]] with a public_key".to_owned();
        file.report(0..0, "no project: nobody could send anything", Some(suggestion));
    }
    projects
}

fn project_keys(
    file: &mut File<'_>,
    project: &mut Section<'_>,
    id: ProjectId,
    seen: &mut HashMap<String, ProjectId>,
) -> Vec<ProjectKey> {
    let mut keys = Vec::new();
    let sections = project.sections(file, "key");
    if sections.is_empty() {
        let suggestion = "add [[project.key]] with a public_key".to_owned();
        let what = format!("project {id} has no key: nobody could send to it");
        file.report(project.span.clone(), what, Some(suggestion));
    }
    for mut section in sections {
        let environment = section.text(file, "environment").map(|t| t.value).unwrap_or_default();
        if let Some(At { value, span }) =
            section.required_text(file, "public_key", "\"0123456789abcdef0123456789abcdef\"")
        {
            let public_key = value.to_ascii_lowercase();
            if public_key.len() != 32 || !public_key.bytes().all(|b| b.is_ascii_hexdigit()) {
                let suggestion = "make one with: openssl rand -hex 16".to_owned();
                file.report(span, "project.key.public_key must be 32 hexadecimal digits", Some(suggestion));
            } else if let Some(other) = seen.insert(public_key.clone(), id) {
                file.report(span, format!("this public_key belongs to project {other} already"), None);
            } else {
                keys.push(ProjectKey { public_key, environment });
            }
        }
        section.finish(file);
    }
    keys
}

fn quotas(file: &mut File<'_>, project: &mut Section<'_>) -> Vec<ProjectQuota> {
    let mut quotas = Vec::new();
    for mut section in project.sections(file, "quota") {
        let name = section.text(file, "name").map_or_else(|| "quota".to_owned(), |t| t.value);
        let mut categories = Vec::new();
        if let Some(At { value, span }) = section.texts(file, "categories") {
            for name in value {
                match Category::ALL.into_iter().find(|c| c.as_str() == name) {
                    Some(category) => categories.push(category),
                    None => {
                        let names = Category::ALL.map(Category::as_str);
                        let suggestion = match nearest(&name, names.into_iter()) {
                            Some(known) => Some(format!("did you mean {known}?")),
                            None => Some(format!("there are {}", names.join(", "))),
                        };
                        file.report(
                            span.clone(),
                            format!("project.quota.categories: {name:?} is not known"),
                            suggestion,
                        );
                    }
                }
            }
        }
        let window = section.duration(file, "window");
        if let Some(At { value, span }) = window.as_ref().filter(|window| window.value < QUOTA_WINDOW_MIN) {
            file.report(
                span.clone(),
                format!("project.quota.window is {value:?}, and must be at least 1s"),
                None,
            );
        }
        let window = window.map_or(Duration::from_secs(60), |d| d.value);
        let items_max = section.required_integer(file, "items_max", "1000");
        let items_max =
            in_range(items_max, file, "project.quota.items_max", 0, u64::from(u32::MAX), 0) as u32;
        section.finish(file);
        quotas.push(ProjectQuota { name, categories, items_max, window });
    }
    quotas
}
