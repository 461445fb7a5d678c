//! `tamis plugin new`: a folder that builds, passes its tests and is ready to commit.

use std::borrow::Cow;
use std::path::PathBuf;

use host_pipeline::StageKind;
use serde::Serialize;
use thiserror::Error;

use crate::KitError;
use crate::project::{Language, check_name};
use crate::sdk::{self, SdkFile, VERSION, embedded};

/// What a plugin is written from. TypeScript has templates of its own, and is JavaScript afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    Of(Language),
    TypeScript,
}

#[derive(Debug, Clone)]
pub struct NewPlugin {
    pub name: String,
    pub kind: StageKind,
    pub template: Template,
    pub dir: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scaffolded {
    pub dir: PathBuf,
    pub files: usize,
    /// What its author runs next, in that folder: what installs its tools if that needs more than the compiler, the native test,
    /// the test as a component.
    pub next: Vec<&'static str>,
}

#[derive(Debug, Error)]
pub enum ScaffoldError {
    #[error("the name {0}")]
    Name(String),
    #[error("{dir}: there is something in it already: name another folder with --dir, or `tamis plugin upgrade` its SDK", dir = dir.display())]
    NotEmpty { dir: PathBuf },
    #[error(transparent)]
    Kit(#[from] KitError),
}

impl Template {
    pub const ALL: [Template; 7] = [
        Template::Of(Language::Rust),
        Template::Of(Language::Go),
        Template::Of(Language::Python),
        Template::Of(Language::Js),
        Template::TypeScript,
        Template::Of(Language::C),
        Template::Of(Language::Zig),
    ];

    /// Also the folder of its templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Template::Of(language) => language.as_str(),
            Template::TypeScript => "ts",
        }
    }

    pub fn language(self) -> Language {
        match self {
            Template::Of(language) => language,
            Template::TypeScript => Language::Js,
        }
    }

    fn next(self) -> Vec<&'static str> {
        let native: &[&str] = match self.language() {
            Language::Rust => &["cargo test"],
            Language::Go => &["go test ./..."],
            Language::Python => &[
                "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
                ".venv/bin/python -m pytest",
            ],
            Language::Js => &["npm ci", "npm test"],
            Language::C => &["make test"],
            Language::Zig => &[
                "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
                ".venv/bin/python -m ziglang build test",
            ],
        };
        [native, &["tamis plugin test ."]].concat()
    }
}

/// Writes the folder.
pub fn scaffold(new: &NewPlugin) -> Result<Scaffolded, ScaffoldError> {
    let language = new.template.language();
    check_name(&new.name).map_err(ScaffoldError::Name)?;
    if language == Language::Rust {
        check_crate(&new.name).map_err(ScaffoldError::Name)?;
    }
    let is_empty = match std::fs::read_dir(&new.dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
        Err(source) => return Err(KitError::Io { path: new.dir.clone(), source }.into()),
    };
    if !is_empty {
        return Err(ScaffoldError::NotEmpty { dir: new.dir.clone() });
    }
    let mut files = from_templates(new);
    let in_sdk = |(path, bytes): SdkFile| (format!("sdk/{path}"), bytes);
    files.extend(sdk::files(language).into_iter().map(in_sdk));
    if language == Language::Rust {
        files.push(("Cargo.lock".to_owned(), Cow::Owned(sdk::lock(&new.name).into_bytes())));
    }
    let count = files.len();
    sdk::write(&new.dir, files)?;
    Ok(Scaffolded { dir: new.dir.clone(), files: count, next: new.template.next() })
}

/// What cargo would refuse as a crate's name, or confuse with another one.
fn check_crate(name: &str) -> Result<(), String> {
    const TAKEN: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum extern false \
        final fn for gen host-event if impl in let loop macro match mod move mut override priv proc-macro pub ref return self \
        serde static std struct super tamis-plugin test trait true try type typeof unsafe unsized use virtual where while yield";
    match TAKEN.split_whitespace().any(|taken| taken == name) {
        true => Err(format!("is {name:?}, which means something else in Rust")),
        false => Ok(()),
    }
}

const SUFFIX: &str = ".tmpl";

fn from_templates(new: &NewPlugin) -> Vec<SdkFile> {
    let folder = new.template.as_str();
    let of = |part: &str| sdk::below(embedded::TEMPLATES, &format!("{folder}/{part}"));
    let filled = |(path, bytes): SdkFile| match path.strip_suffix(SUFFIX) {
        Some(path) => (path.to_owned(), Cow::Owned(fill(&bytes, new).into_bytes())),
        None => (path, bytes),
    };
    of("common").chain(of(new.kind.as_str())).map(filled).collect()
}

fn fill(template: &[u8], new: &NewPlugin) -> String {
    let snake = new.name.replace('-', "_");
    let words = new.name.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    let pascal: String = words.collect();
    String::from_utf8_lossy(template)
        .replace("{{name}}", &new.name)
        .replace("{{name_snake}}", &snake)
        .replace("{{Name}}", &pascal)
        .replace("{{kind}}", new.kind.as_str())
        .replace("{{tamis_version}}", VERSION)
}
