//! From names of rules to what is looked for and what is done about it.

use std::collections::BTreeMap;

use regex::Regex;

use crate::config::{RedactionConfig, RuleConfig};
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

#[derive(Debug, Clone)]
pub enum KeyTest {
    /// The key contains one of these, in lower case.
    Words(Vec<String>),
    Regex(Regex),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redaction {
    Remove,
    Replace(String),
    Mask(char),
    Hash(String),
}

/// Keys whose values are secrets, wherever the word stands in the key.
const SECRET_WORDS: [&str; 22] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "api_key",
    "apikey",
    "api-key",
    "authorization",
    "auth_token",
    "auth-token",
    "access_token",
    "accesstoken",
    "refresh_token",
    "id_token",
    "credentials",
    "private_key",
    "privatekey",
    "mysql_pwd",
    "stripetoken",
    "card[number]",
    "x-csrf",
    "sessionid",
];

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
    ("redact_pair", "[Filtered]", Builtin::Secrets),
    ("anything", "[Filtered]", Builtin::Anything),
];

#[derive(Clone, Copy)]
enum Builtin {
    Text(Kind),
    Secrets,
    Anything,
}

/// What `@common` stands for: what nobody wants to keep, whatever the application is.
const COMMON: [&str; 7] = ["creditcard", "iban", "usssn", "pemkey", "urlauth", "bearer", "password"];
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
        let own = rule.redaction.as_ref().map(Redaction::of);
        let redaction = outer.or(own.as_ref());
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
                Ok(parts.collect::<Result<Vec<_>, _>>()?.concat())
            }
            "alias" => {
                self.resolve_at(rule.rule.as_ref().ok_or_else(|| missing("rule"))?, redaction, depth + 1)
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
        let suffix = method.map(|m| format!(":{m}")).unwrap_or_default();
        let all = COMMON.iter().map(|part| builtin(&format!("@{part}{suffix}"), outer));
        return Some(all.collect::<Option<Vec<_>>>()?.concat());
    }
    let (_, text, what) = TYPES.iter().find(|(t, ..)| *t == kind)?;
    let redaction = match (outer, method) {
        (Some(outer), _) => outer.clone(),
        (None, None | Some("replace")) => Redaction::Replace((*text).to_owned()),
        (None, Some("filter")) => Redaction::Replace("[Filtered]".to_owned()),
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
            Builtin::Secrets => What::Key(KeyTest::Words(SECRET_WORDS.map(str::to_owned).to_vec())),
            Builtin::Anything => What::Anything,
        }
    }
}

impl Redaction {
    fn of(config: &RedactionConfig) -> Redaction {
        match config {
            RedactionConfig::Remove => Redaction::Remove,
            RedactionConfig::Replace { text } => Redaction::Replace(text.clone()),
            RedactionConfig::Mask { mask_char } => Redaction::Mask(mask_char.unwrap_or('*')),
            RedactionConfig::Hash { key } => Redaction::Hash(key.clone().unwrap_or_default()),
        }
    }
}

impl KeyTest {
    /// Whether a value below this path is meant: any of its keys may be the telling one.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            KeyTest::Words(words) => {
                let path = path.to_ascii_lowercase();
                words.iter().any(|word| path.contains(word.as_str()))
            }
            KeyTest::Regex(regex) => path.split('.').any(|key| regex.is_match(key.trim_matches('\''))),
        }
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
