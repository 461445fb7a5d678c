//! From names of rules to what is looked for and what is done about it.

use std::collections::BTreeMap;

use regex::Regex;

use crate::config::{Method, RedactionConfig, RuleConfig};
use crate::keys::KeyTest;
use crate::scan::Kind;

/// A rule with everything resolved.
#[derive(Debug, Clone)]
pub struct Rule {
    /// As `_meta` names it.
    pub name: String,
    pub what: What,
    pub redaction: Redaction,
}

#[derive(Debug, Clone)]
pub enum What {
    Text(Kind),
    Pattern {
        regex: Regex,
        groups: Vec<usize>,
    },
    /// Whatever stands under a key.
    Key(KeyTest),
    Anything,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redaction {
    Remove,
    Replace(String),
    Mask(char),
    Hash(String),
}

/// What stands where something was filtered.
pub const FILTERED: &str = "[Filtered]";

/// Builtin types, what their text becomes, and what they look for.
const TYPES: [(&str, &str, Builtin); 15] = [
    ("email", "[email]", Builtin::Text(Kind::Email)),
    ("ip", "[ip]", Builtin::Text(Kind::Ip)),
    ("creditcard", "[creditcard]", Builtin::Text(Kind::CreditCard)),
    ("iban", "[iban]", Builtin::Text(Kind::Iban)),
    ("imei", "[imei]", Builtin::Text(Kind::Imei)),
    ("mac", "[mac]", Builtin::Text(Kind::Mac)),
    ("uuid", "[uuid]", Builtin::Text(Kind::Uuid)),
    ("userpath", "[user]", Builtin::Text(Kind::UserPath)),
    ("pemkey", "[pemkey]", Builtin::Text(Kind::PemKey)),
    ("urlauth", "[auth]", Builtin::Text(Kind::UrlAuth)),
    ("usssn", "[us-ssn]", Builtin::Text(Kind::UsSsn)),
    ("bearer", "[token]", Builtin::Text(Kind::Bearer)),
    ("password", "[password]", Builtin::Secrets),
    ("redact_pair", FILTERED, Builtin::Secrets),
    ("anything", FILTERED, Builtin::Anything),
];

#[derive(Clone, Copy)]
enum Builtin {
    Text(Kind),
    Secrets,
    Anything,
}

/// What `@common` stands for.
const COMMON: [&str; 10] = [
    "@iban",
    "@ip",
    "@email",
    "@creditcard",
    "@pemkey",
    "@urlauth",
    "@userpath",
    "@bearer",
    "@password",
    "@usssn",
];
/// What `@common:filter` and its like stand for: what nobody wants to keep, whatever the application is.
const COMMON_SECRETS: [&str; 7] = ["creditcard", "iban", "usssn", "pemkey", "urlauth", "bearer", "password"];
/// What `@type` alone does, where it does not replace by the placeholder.
const METHODS_BY_TYPE: [(&str, &str); 4] =
    [("mac", "mask"), ("uuid", "mask"), ("usssn", "mask"), ("password", "remove")];
const METHODS: [&str; 5] = ["replace", "mask", "hash", "remove", "filter"];
/// Rules that rules may lead to, so that a circle ends.
const DEPTH_MAX: usize = 16;

/// Resolves names of rules, those of the configuration first.
pub struct Book<'a> {
    pub rules: &'a BTreeMap<String, RuleConfig>,
}

impl Book<'_> {
    /// All rules that a name stands for, in their order.
    pub fn resolve(&self, name: &str) -> Result<Vec<Rule>, String> {
        self.resolve_at(name, None, 0)
    }

    fn resolve_at(&self, name: &str, outer: Option<&Redaction>, depth: usize) -> Result<Vec<Rule>, String> {
        if depth > DEPTH_MAX {
            return Err(format!("rule {name:?} leads back to itself"));
        }
        match self.rules.get(name) {
            Some(rule) => self.custom(name, rule, outer, depth),
            None => builtin(name, outer).ok_or_else(|| self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> String {
        let mut known: Vec<String> = self.rules.keys().cloned().collect();
        known.extend(TYPES.iter().map(|(t, ..)| format!("@{t}")));
        known.push("@common".to_owned());
        let bare = name.split(':').next().unwrap_or(name);
        let near = known.iter().min_by_key(|k| distance(bare, k));
        format!("there is no rule {name:?}; did you mean {:?}?", near.map_or("@email", String::as_str))
    }

    fn custom(
        &self,
        name: &str,
        rule: &RuleConfig,
        outer: Option<&Redaction>,
        depth: usize,
    ) -> Result<Vec<Rule>, String> {
        let own = rule.redaction.as_ref().map_or(Ok(None), Redaction::of);
        let own = own.map_err(|what| format!("rule {name:?}: {what}"))?;
        let redaction = outer.or(own.as_ref());
        let hide_inner = rule.hide_inner.unwrap_or(false);
        let named = |mut rules: Vec<Rule>| {
            if hide_inner {
                rules.iter_mut().for_each(|inner| name.clone_into(&mut inner.name));
            }
            rules
        };
        let missing = |key: &str| format!("rule {name:?}: a rule of the type {:?} needs {key:?}", rule.kind);
        let one = |what| {
            vec![Rule {
                name: name.to_owned(),
                what,
                redaction: redaction.cloned().unwrap_or(Redaction::Remove),
            }]
        };
        match rule.kind.as_str() {
            "pattern" => {
                let regex = compile(name, rule.pattern.as_ref().ok_or_else(|| missing("pattern"))?)?;
                let groups = rule.replace_groups.clone().unwrap_or_default();
                match groups.iter().find(|g| **g >= regex.captures_len()) {
                    Some(group) => Err(format!("rule {name:?}: the pattern has no group {group}")),
                    None => Ok(one(What::Pattern { regex, groups })),
                }
            }
            "redact_pair" => {
                let pattern = rule.key_pattern.as_ref().ok_or_else(|| missing("keyPattern"))?;
                Ok(one(What::Key(KeyTest::Regex(compile(name, &format!("(?i){pattern}"))?))))
            }
            "multiple" => {
                let names = rule.rules.as_ref().ok_or_else(|| missing("rules"))?;
                let parts = names.iter().map(|part| self.resolve_at(part, redaction, depth + 1));
                Ok(named(parts.collect::<Result<Vec<_>, _>>()?.concat()))
            }
            "alias" => {
                let inner = rule.rule.as_ref().ok_or_else(|| missing("rule"))?;
                Ok(named(self.resolve_at(inner, redaction, depth + 1)?))
            }
            kind => {
                let found = TYPES.iter().find(|(t, ..)| *t == kind);
                let (_, text, builtin) = found.ok_or_else(|| {
                    let known: Vec<_> = TYPES.iter().map(|(t, ..)| *t).collect();
                    format!(
                        "rule {name:?}: there is no type {kind:?}; there are pattern, multiple, alias, {}",
                        known.join(", ")
                    )
                })?;
                let redaction = redaction.cloned().unwrap_or_else(|| Redaction::Replace((*text).to_owned()));
                Ok(vec![Rule { name: name.to_owned(), what: builtin.what(), redaction }])
            }
        }
    }
}

/// `@type`, `@type:method`, `@common`, `@common:method`.
fn builtin(name: &str, outer: Option<&Redaction>) -> Option<Vec<Rule>> {
    let (kind, method) = match name.strip_prefix('@')?.split_once(':') {
        Some((kind, method)) => (kind, Some(method)),
        None => (name.strip_prefix('@')?, None),
    };
    if method.is_some_and(|m| !METHODS.contains(&m)) {
        return None;
    }
    if kind == "common" {
        let parts: Vec<String> = match method {
            None => COMMON.map(str::to_owned).to_vec(),
            Some(method) => COMMON_SECRETS.iter().map(|part| format!("@{part}:{method}")).collect(),
        };
        let all = parts.iter().map(|part| builtin(part, outer));
        return Some(all.collect::<Option<Vec<_>>>()?.concat());
    }
    let (_, text, what) = TYPES.iter().find(|(t, ..)| *t == kind)?;
    let usual = || METHODS_BY_TYPE.iter().find(|(t, _)| *t == kind).map(|(_, method)| *method);
    let redaction = match (outer, method.or_else(usual)) {
        (Some(outer), _) => outer.clone(),
        (None, None | Some("replace")) => Redaction::Replace((*text).to_owned()),
        (None, Some("filter")) => Redaction::Replace(FILTERED.to_owned()),
        (None, Some("mask")) => Redaction::Mask('*'),
        (None, Some("hash")) => Redaction::Hash(String::new()),
        (None, Some(_)) => Redaction::Remove,
    };
    Some(vec![Rule { name: name.to_owned(), what: what.what(), redaction }])
}

impl Builtin {
    fn what(self) -> What {
        match self {
            Builtin::Text(kind) => What::Text(kind),
            Builtin::Secrets => What::Key(KeyTest::common()),
            Builtin::Anything => What::Anything,
        }
    }
}

impl Redaction {
    /// `None` is what the rule's type does by itself.
    fn of(config: &RedactionConfig) -> Result<Option<Redaction>, String> {
        let RedactionConfig { method, text, mask_char, key } = config;
        let foreign = [
            ("text", text.is_some() && *method != Method::Replace),
            ("maskChar", mask_char.is_some() && *method != Method::Mask),
            ("key", key.is_some() && *method != Method::Hash),
        ];
        if let Some((name, _)) = foreign.iter().find(|(_, is_foreign)| *is_foreign) {
            return Err(format!("{name:?} says nothing to this method of redaction"));
        }
        Ok(match method {
            Method::Default => None,
            Method::Remove => Some(Redaction::Remove),
            Method::Replace => Some(Redaction::Replace(text.clone().unwrap_or_else(|| FILTERED.to_owned()))),
            Method::Mask => Some(Redaction::Mask(mask_char.unwrap_or('*'))),
            Method::Hash => Some(Redaction::Hash(key.clone().unwrap_or_default())),
        })
    }
}

fn compile(name: &str, pattern: &str) -> Result<Regex, String> {
    /// Memory of one compiled pattern: a repetition of repetitions must not eat the instance.
    const SIZE_BYTES_MAX: usize = 1 << 20;
    let built = regex::RegexBuilder::new(pattern).size_limit(SIZE_BYTES_MAX).build();
    built.map_err(|e| {
        let hint = match pattern.contains("(?=") || pattern.contains("(?!") || pattern.contains("(?<") {
            true => "; look-around is not supported, since it can take exponential time",
            false => "",
        };
        format!("rule {name:?}: {e}{hint}")
    })
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
