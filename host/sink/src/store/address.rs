//! The address of a store: what may stand in it, found out without asking anybody, so that a configuration can be checked by it.
//!
//! An address ends up in logs, on command lines and in messages. So nothing secret may stand in it.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    url: String,
    pub(super) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Folder(PathBuf),
    Bucket(Bucket),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) cloud: Cloud,
    pub(super) name: String,
    /// Empty, or folders without a slash at either end.
    pub(super) prefix: String,
    /// By the name that object_store has for it.
    pub(super) options: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cloud {
    S3,
    Google,
    Azure,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct AddressError {
    /// Without what follows the question mark: it may be a secret.
    pub url: String,
    pub what: String,
    /// What to write instead.
    pub hint: String,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store {}: {} ({})", self.url, self.what, self.hint)
    }
}

impl Address {
    /// `s3://bucket/prefix?key=value&…`, `gs://bucket/prefix`, `az://container/prefix?account=…`, `file:///folder`, or a folder.
    pub fn parse(url: &str) -> Result<Address, AddressError> {
        let shown = url.split(['?', '#']).next().unwrap_or_default();
        let fault = |(what, hint): Fault| AddressError { url: without_user(shown), what, hint };
        let place = match url.split_once("://") {
            None => Place::Folder(PathBuf::from(url)),
            Some(("file", path)) => Place::Folder(local_path(path).map_err(fault)?),
            Some((scheme, rest)) => Place::Bucket(bucket(scheme, rest).map_err(fault)?),
        };
        Ok(Address { url: url.to_owned(), place })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of a store that is one.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::Bucket(_) => None,
        }
    }
}

/// What is wrong, and what to write instead.
type Fault = (String, String);

fn without_user(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => url.to_owned(),
    }
}

fn local_path(path: &str) -> Result<PathBuf, Fault> {
    let (host, rest) = path.split_once('/').unwrap_or((path, ""));
    match host {
        "" | "localhost" => Ok(Path::new("/").join(rest)),
        host => {
            let hint = format!("write file:///{path}, with three slashes");
            Err((format!("only local folders can be named, not the host {host:?}"), hint))
        }
    }
}

fn bucket(scheme: &str, rest: &str) -> Result<Bucket, Fault> {
    let cloud = match scheme {
        "s3" | "s3a" => Cloud::S3,
        "gs" => Cloud::Google,
        "az" | "azure" => Cloud::Azure,
        "http" | "https" => {
            let hint = "write s3://BUCKET/PREFIX?endpoint=URL, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX?account=NAME";
            return Err(("the address of a web server does not say which bucket".into(), hint.into()));
        }
        _ => {
            let hint = "write a folder, file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";
            return Err((format!("there is no store for {scheme}://"), hint.into()));
        }
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.contains('@') {
        return Err(("there is a user or a password in it".into(), SECRET_HINT.into()));
    }
    let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
    let example = || format!("write {scheme}://BUCKET/PREFIX");
    if name.is_empty() {
        return Err(("there is no bucket in it".into(), example()));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.chars().all(is_name) {
        return Err((format!("{name:?} can not be the name of a bucket"), example()));
    }
    let prefix = prefix.trim_end_matches('/');
    let is_folder = |part: &str| !part.is_empty() && part != "." && part != "..";
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '%' | '#' | '\\');
    let is_prefix = prefix.is_empty() || prefix.split('/').all(is_folder) && prefix.chars().all(is_plain);
    if !is_prefix {
        let what = format!("{prefix:?} can not be a prefix");
        return Err((what, "write folders with one slash between them, in ASCII".into()));
    }
    let options = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| option(cloud, pair));
    let options = options.collect::<Result<_, _>>()?;
    Ok(Bucket { cloud, name: name.to_owned(), prefix: prefix.to_owned(), options })
}

const SECRET_HINT: &str =
    "addresses end up in logs: give credentials by the environment, a profile or the machine's role";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    /// true or false
    Flag,
    /// Such as 30s.
    Time,
    /// It must not stand in an address.
    Secret,
}

use Shape::{Flag, Secret, Text, Time};

/// What can be set of each client of HTTP.
const CLIENT_KEYS: [(&str, Shape); 12] = [
    ("allow_http", Flag),
    ("allow_invalid_certificates", Flag),
    ("connect_timeout", Time),
    ("http1_only", Flag),
    ("http2_only", Flag),
    ("pool_idle_timeout", Time),
    ("pool_max_idle_per_host", Text),
    ("proxy_ca_certificate", Text),
    ("proxy_excludes", Text),
    ("proxy_url", Text),
    ("timeout", Time),
    ("user_agent", Text),
];

const S3_KEYS: [(&str, Shape); 21] = [
    ("region", Text),
    ("endpoint", Text),
    ("virtual_hosted_style_request", Flag),
    ("unsigned_payload", Flag),
    ("checksum_algorithm", Text),
    ("skip_signature", Flag),
    ("request_payer", Flag),
    ("server_side_encryption", Text),
    ("sse_kms_key_id", Text),
    ("sse_bucket_key_enabled", Flag),
    ("role_arn", Text),
    ("role_session_name", Text),
    ("web_identity_token_file", Text),
    ("container_credentials_relative_uri", Text),
    ("endpoint_url_sts", Text),
    ("metadata_endpoint", Text),
    ("imdsv1_fallback", Flag),
    ("access_key_id", Secret),
    ("secret_access_key", Secret),
    ("session_token", Secret),
    ("sse_customer_key_base64", Secret),
];

const GOOGLE_KEYS: [(&str, Shape); 6] = [
    ("service_account", Text),
    ("application_credentials", Text),
    ("base_url", Text),
    ("skip_signature", Flag),
    ("service_account_key", Secret),
    ("bearer_token", Secret),
];

const AZURE_KEYS: [(&str, Shape); 18] = [
    ("account_name", Text),
    ("endpoint", Text),
    ("client_id", Text),
    ("tenant_id", Text),
    ("authority_host", Text),
    ("federated_token_file", Text),
    ("msi_endpoint", Text),
    ("msi_resource_id", Text),
    ("object_id", Text),
    ("credential_type", Text),
    ("use_azure_cli", Flag),
    ("use_fabric_endpoint", Flag),
    ("skip_signature", Flag),
    ("account_key", Secret),
    ("access_key", Secret),
    ("client_secret", Secret),
    ("sas_token", Secret),
    ("bearer_token", Secret),
];

impl Cloud {
    fn keys(self) -> impl Iterator<Item = (&'static str, Shape)> {
        let own: &[_] = match self {
            Cloud::S3 => &S3_KEYS,
            Cloud::Google => &GOOGLE_KEYS,
            Cloud::Azure => &AZURE_KEYS,
        };
        own.iter().chain(&CLIENT_KEYS).copied()
    }

    /// What each of its environment variables begins with.
    pub(super) fn variables(self) -> &'static str {
        match self {
            Cloud::S3 => "AWS_",
            Cloud::Google => "GOOGLE_",
            Cloud::Azure => "AZURE_",
        }
    }
}

/// Names that others use for the same.
const ALIASES: [(&str, &str); 6] = [
    ("account", "account_name"),
    ("endpoint_url", "endpoint"),
    ("default_region", "region"),
    ("token", "session_token"),
    ("sas_key", "sas_token"),
    ("service_account_path", "service_account"),
];

fn option(cloud: Cloud, pair: &str) -> Result<(&'static str, String), Fault> {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let name = key.to_ascii_lowercase();
    let family = cloud.variables().to_ascii_lowercase();
    let name = name.strip_prefix(&family).unwrap_or(&name);
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| *name);
    let Some((known, shape)) = cloud.keys().find(|(known, _)| *known == name) else {
        return Err((format!("the key {key:?} is not known"), format!("known are {}", near(cloud, name))));
    };
    let value = decode(value);
    let wrong = |want: &str| Err((format!("{known} is {value:?}"), format!("it must be {want}")));
    match shape {
        Secret => Err((format!("the key {key:?} is a secret"), SECRET_HINT.into())),
        Text if value.is_empty() => wrong("something"),
        Text if value.split_once("://").is_some_and(|(_, rest)| rest.contains('@')) => {
            Err((format!("there is a user or a password in {known}"), SECRET_HINT.into()))
        }
        Flag if !matches!(value.as_str(), "true" | "false") => wrong("true or false"),
        Time if !is_time(&value) => wrong("a time such as 500ms, 30s or 5m"),
        _ => Ok((known, value)),
    }
}

fn is_time(text: &str) -> bool {
    let digits = ["ms", "s", "m"].iter().find_map(|unit| text.strip_suffix(unit));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The keys that are most like the one that is not known, or all.
fn near(cloud: Cloud, name: &str) -> String {
    let alike = |known: &str| {
        name.as_bytes().windows(3).filter(|w| known.as_bytes().windows(3).any(|k| k == *w)).count()
    };
    let known = || cloud.keys().filter(|(_, shape)| *shape != Secret).map(|(known, _)| known);
    let mut scored: Vec<_> =
        known().map(|known| (alike(known), known)).filter(|(score, _)| *score > 0).collect();
    scored.sort_unstable_by_key(|(score, _)| std::cmp::Reverse(*score));
    const NEAR_MAX: usize = 4;
    let near: Vec<_> = match scored.is_empty() {
        true => known().collect(),
        false => scored.into_iter().take(NEAR_MAX).map(|(_, known)| known).collect(),
    };
    near.join(", ")
}

/// `%2F` and the like. What is no such thing stays.
fn decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(&part.as_bytes()[2..]);
            }
            None => {
                bytes.push(b'%');
                bytes.extend(part.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket_of(url: &str) -> Bucket {
        match Address::parse(url).unwrap().place {
            Place::Bucket(bucket) => bucket,
            Place::Folder(folder) => panic!("{url} is the folder {}", folder.display()),
        }
    }

    #[test]
    fn what_an_address_says() {
        let url = "s3://lake/a/b/?region=eu-1&endpoint=http://127.0.0.1:9000&allow_http=true";
        let lake = bucket_of(url);
        assert_eq!((lake.cloud, lake.name.as_str(), lake.prefix.as_str()), (Cloud::S3, "lake", "a/b"));
        let text = |text: &str| text.to_owned();
        let want = [
            ("region", text("eu-1")),
            ("endpoint", text("http://127.0.0.1:9000")),
            ("allow_http", text("true")),
        ];
        assert_eq!(lake.options, want);
        assert_eq!(
            bucket_of("gs://lake"),
            Bucket { cloud: Cloud::Google, prefix: text(""), options: vec![], ..lake }
        );
        let azure = bucket_of("az://lake/x?account=me&AZURE_TENANT_ID=a%2fb%");
        assert_eq!(azure.options, [("account_name", text("me")), ("tenant_id", text("a/b%"))]);
        let folder = |url: &str| Address::parse(url).unwrap().folder().map(Path::to_owned);
        assert_eq!(folder("lake/x"), Some("lake/x".into()));
        assert_eq!(folder("file:///lake"), Some("/lake".into()));
        assert_eq!(folder("file://localhost/lake"), Some("/lake".into()));
        assert_eq!(folder("s3://lake"), None);
    }

    #[test]
    fn what_is_wrong_with_an_address() {
        for (url, want) in [
            ("ftp://lake", "store ftp://lake: there is no store for ftp:// (write a folder, "),
            ("https://lake.example/x", "does not say which bucket (write s3://BUCKET/PREFIX?endpoint=URL"),
            ("file://host/lake", "not the host \"host\" (write file:///host/lake"),
            ("file://lake", "not the host \"lake\""),
            ("s3://", "there is no bucket in it (write s3://BUCKET/PREFIX)"),
            ("s3:///prefix", "there is no bucket in it"),
            ("az://la ke/x", "\"la ke\" can not be the name of a bucket"),
            ("s3://lake/a//b", "\"a//b\" can not be a prefix"),
            ("s3://lake/../b", "\"../b\" can not be a prefix"),
            ("s3://lake?regoin=x", "the key \"regoin\" is not known (known are region"),
            ("s3://lake?zz", "known are region, endpoint, virtual_hosted_style_request, "),
            ("gs://lake?region=x", "the key \"region\" is not known"),
            ("s3://lake?allow_http=maybe", "allow_http is \"maybe\" (it must be true or false)"),
            ("s3://lake?timeout=30", "timeout is \"30\" (it must be a time such as"),
            ("s3://lake?region=", "region is \"\" (it must be something)"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn nothing_secret_is_taken_or_shown() {
        for url in [
            "s3://me:hunter2@lake/x",
            "s3://lake/x?secret_access_key=hunter2",
            "s3://lake/x?AWS_SESSION_TOKEN=hunter2",
            "s3://lake/x?token=hunter2",
            "s3://lake/x?proxy_url=http://me:hunter2@proxy",
            "gs://lake/x?service_account_key=hunter2",
            "az://lake/x?sas_key=hunter2",
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains("in logs") && !error.contains("hunter2"), "{error}");
        }
    }
}
