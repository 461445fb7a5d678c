//! The configuration, as an operator writes it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Settings for all projects, and what differs in some.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub defaults: Option<bool>,
    #[serde(default)]
    pub scrub_ip_addresses: Option<bool>,
    #[serde(default)]
    pub sensitive_fields: Vec<String>,
    #[serde(default)]
    pub exclude_fields: Vec<String>,
    #[serde(default)]
    pub rules: BTreeMap<String, RuleConfig>,
    #[serde(default)]
    pub applications: BTreeMap<String, Vec<String>>,
    /// By project id.
    #[serde(default)]
    pub projects: BTreeMap<String, ProjectConfig>,
}

/// What one project has of its own. What it leaves out is as for all.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectConfig {
    pub defaults: Option<bool>,
    pub scrub_ip_addresses: Option<bool>,
    pub sensitive_fields: Option<Vec<String>>,
    pub exclude_fields: Option<Vec<String>>,
    #[serde(default)]
    pub rules: BTreeMap<String, RuleConfig>,
    pub applications: Option<BTreeMap<String, Vec<String>>>,
}

/// A rule of one's own, in Sentry's form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub redaction: Option<RedactionConfig>,
    /// `pattern`: the regular expression.
    #[serde(default)]
    pub pattern: Option<String>,
    /// `pattern`: the groups that are redacted; all of the match if there is none.
    #[serde(default, rename = "replaceGroups")]
    pub replace_groups: Option<Vec<usize>>,
    /// `redact_pair`: a regular expression over keys.
    #[serde(default, rename = "keyPattern")]
    pub key_pattern: Option<String>,
    /// `multiple`: names of rules.
    #[serde(default)]
    pub rules: Option<Vec<String>>,
    /// `alias`: the name of a rule.
    #[serde(default)]
    pub rule: Option<String>,
    /// `multiple` and `alias`: whether `_meta` names this rule instead of those that it leads to.
    #[serde(default, rename = "hideInner")]
    pub hide_inner: Option<bool>,
}

/// A method and what it needs. A plain table, since an enumeration with contents is a hundred times the code to read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedactionConfig {
    pub method: Method,
    /// `replace`.
    #[serde(default)]
    pub text: Option<String>,
    /// `mask`.
    #[serde(default, rename = "maskChar")]
    pub mask_char: Option<char>,
    /// `hash`.
    #[serde(default)]
    pub key: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Default,
    Remove,
    Replace,
    Mask,
    Hash,
}

impl Config {
    /// The settings of a project: those for all with its own laid over.
    pub fn of_project(&self, project: &ProjectConfig) -> Config {
        let mut merged = Config { projects: BTreeMap::new(), ..self.clone() };
        merged.defaults = project.defaults.or(merged.defaults);
        merged.scrub_ip_addresses = project.scrub_ip_addresses.or(merged.scrub_ip_addresses);
        if let Some(fields) = &project.sensitive_fields {
            merged.sensitive_fields.clone_from(fields);
        }
        if let Some(fields) = &project.exclude_fields {
            merged.exclude_fields.clone_from(fields);
        }
        if let Some(applications) = &project.applications {
            merged.applications.clone_from(applications);
        }
        merged.rules.extend(project.rules.iter().map(|(name, rule)| (name.clone(), rule.clone())));
        merged
    }
}
