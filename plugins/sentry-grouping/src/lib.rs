//! The first-party fingerprinter: Sentry's grouping, newest configuration. See README.md.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod enhancements;
mod exceptions;
mod fingerprint;
mod frames;
mod lines;
mod names;
mod native;
mod parameterize;
mod platform;
mod variants;

pub use config::Config;

use std::collections::HashMap;

use tamis_plugin::{Event, Fingerprinter, Fingerprints, export};

use config::Settings;
use fingerprint::Facts;
use variants::{FALLBACK, Hash, Variant, hash_of};

pub struct SentryGrouping {
    all: Settings,
    projects: HashMap<u64, Settings>,
}

impl Fingerprinter for SentryGrouping {
    type Config = Config;

    fn init(config: Config) -> Result<Self, String> {
        let all = Settings::new(&config.fingerprinting, &config.enhancements)?;
        let mut projects = HashMap::new();
        for (id, own) in &config.projects {
            let id: u64 = id.parse().map_err(|_| format!("projects: {id:?} is no project id"))?;
            let fingerprinting = own.fingerprinting.as_ref().unwrap_or(&config.fingerprinting);
            let enhancements = own.enhancements.as_ref().unwrap_or(&config.enhancements);
            let settings =
                Settings::new(fingerprinting, enhancements).map_err(|e| format!("project {id}: {e}"))?;
            projects.insert(id, settings);
        }
        Ok(SentryGrouping { all, projects })
    }

    fn fingerprint(&mut self, event: &Event<'_>, out: &mut Fingerprints) {
        if !matches!(event.text("$meta.category"), None | Some("error")) {
            return;
        }
        let settings = match self.projects.is_empty() {
            true => &self.all,
            false => self.projects.get(&event.project_id()).unwrap_or(&self.all),
        };
        for (kind, hash) in group(event, settings) {
            out.push(kind, &hash);
        }
    }
}

/// All hashes of an event, the one that decides first.
fn group(event: &Event<'_>, settings: &Settings) -> Vec<(&'static str, Hash)> {
    if let Some(checksum) = event.text("checksum").filter(|c| !c.is_empty()) {
        let is_digit = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
        return match checksum.len() == 32 && checksum.bytes().all(is_digit) {
            true => vec![("checksum", checksum.to_owned())],
            false => vec![("hashed_checksum", hash_of([checksum]))],
        };
    }
    let variants = variants::of(event, &settings.enhancements);
    let facts = Facts::of(event);
    let client: Vec<&str> = event.texts("fingerprint.*").flatten().collect();
    let by_server = settings.fingerprinting.find(&facts).map(|parts| (parts, "custom_server_fingerprint"));
    let builtin = || fingerprint::builtin(&facts).map(|parts| (parts, "built_in_fingerprint"));
    let by_client =
        || (client.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>(), "custom_client_fingerprint");
    let (parts, kind) = by_server.or_else(builtin).unwrap_or_else(by_client);
    let is_default = |part: &str| fingerprint::variable(part) == Some("default");
    match parts.iter().filter(|part| is_default(part)).count() {
        _ if parts.is_empty() || (parts.len() == 1 && is_default(&parts[0])) => {
            hashes(&variants, hash_of_values)
        }
        0 => vec![(kind, hash_of(parts.iter().map(|part| facts.expand(part))))],
        _ => hashes(&variants, |variant| salted(variant, &parts, &facts)),
    }
}

/// One of each; a variant that is the same as one before says nothing more.
fn hashes(variants: &[Variant], hash: impl Fn(&Variant) -> Hash) -> Vec<(&'static str, Hash)> {
    let mut hashes: Vec<(&'static str, Hash)> = Vec::new();
    for variant in variants {
        let hash = hash(variant);
        if hashes.iter().all(|(_, known)| *known != hash) {
            hashes.push((variant.kind, hash));
        }
    }
    hashes
}

fn hash_of_values(variant: &Variant) -> Hash {
    hash_of(&variant.values)
}

/// `{{ default }}` stands for what the variant would have been without the fingerprint. Where that is nothing, nothing is salted.
fn salted(variant: &Variant, parts: &[String], facts: &Facts<'_>) -> Hash {
    if variant.kind == FALLBACK {
        return hash_of_values(variant);
    }
    let values = parts.iter().flat_map(|part| match fingerprint::variable(part) {
        Some("default") => variant.values.clone(),
        _ => vec![facts.expand(part)],
    });
    hash_of(values)
}

export!(fingerprinter: SentryGrouping, reads = ["**", "$meta.category", "$meta.project_id"]);

#[cfg(test)]
mod tests;
