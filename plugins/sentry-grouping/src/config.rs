//! The configuration, as an operator writes it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::enhancements::Enhancements;
use crate::fingerprint::ServerRules;

/// Settings for all projects, and what differs in some.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Rules of the form `matchers -> fingerprint`, one a line.
    #[serde(default)]
    pub fingerprinting: String,
    /// Rules of the form `matchers actions`, one a line.
    #[serde(default)]
    pub enhancements: String,
    /// By project id.
    #[serde(default)]
    pub projects: BTreeMap<String, ProjectConfig>,
}

/// What one project has in the place of the settings for all.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectConfig {
    pub fingerprinting: Option<String>,
    pub enhancements: Option<String>,
}

/// The same, compiled.
pub struct Settings {
    pub fingerprinting: ServerRules,
    pub enhancements: Enhancements,
}

impl Settings {
    pub fn new(fingerprinting: &str, enhancements: &str) -> Result<Settings, String> {
        Ok(Settings {
            fingerprinting: ServerRules::parse(fingerprinting)?,
            enhancements: Enhancements::parse(enhancements)?,
        })
    }
}
