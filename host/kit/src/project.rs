//! The folder of a plugin: what its `plugin.toml` says, read precisely.

use std::fmt;
use std::path::{Path, PathBuf};

use host_pipeline::StageKind;
use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

pub const PROJECT_FILE: &str = "plugin.toml";
const NAME_BYTES_MAX: usize = 64;

/// A plugin's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Absolute.
    pub dir: PathBuf,
    /// Absent for a Rust crate that has none: Cargo knows its name, and the module says its kind.
    pub said: Option<Said>,
    pub language: Language,
}

/// What `plugin.toml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub name: String,
    pub version: String,
    pub kind: StageKind,
    /// Absolute, like `sdk`.
    pub source: PathBuf,
    pub sdk: PathBuf,
    pub reads: Vec<String>,
    pub writes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Rust,
    Go,
    Python,
    Js,
    C,
    Zig,
}

#[derive(Debug, Error)]
pub enum ProjectError {
    #[error("{dir}: there is no {PROJECT_FILE}, and no Cargo.toml either (`tamis plugin new` makes a plugin)", dir = dir.display())]
    Nothing { dir: PathBuf },
    #[error("{path}: it can not be read", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}:{line}: {message}", path = path.display())]
    Wrong { path: PathBuf, line: usize, message: String },
}

impl Language {
    pub const ALL: [Language; 6] =
        [Language::Rust, Language::Go, Language::Python, Language::Js, Language::C, Language::Zig];

    /// Also the name of the SDK's folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Go => "go",
            Language::Python => "python",
            Language::Js => "js",
            Language::C => "c",
            Language::Zig => "zig",
        }
    }

    /// Where the source is, if `plugin.toml` does not say it: the first of these that is there, else the first.
    fn sources(self) -> &'static [&'static str] {
        match self {
            Language::Rust | Language::Go => &["."],
            Language::Python => &["plugin.py"],
            Language::Js => &["src/plugin.js", "src/plugin.ts"],
            Language::C => &["src/plugin.c"],
            Language::Zig => &["src/plugin.zig"],
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    plugin: Raw,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Spanned<String>,
    version: Option<Spanned<String>>,
    kind: Spanned<String>,
    language: Spanned<String>,
    source: Option<Spanned<PathBuf>>,
    sdk: Option<Spanned<PathBuf>>,
    reads: Option<Spanned<Vec<String>>>,
    writes: Option<Spanned<Vec<String>>>,
}

impl Project {
    pub fn read(dir: &Path) -> Result<Project, ProjectError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| ProjectError::Io { path, source }
        };
        let absolute = dir.canonicalize().map_err(io(dir))?;
        let path = dir.join(PROJECT_FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Project::parse(&text, &path, absolute),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && absolute.join("Cargo.toml").is_file() => {
                Ok(Project { dir: absolute, said: None, language: Language::Rust })
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Err(ProjectError::Nothing { dir: dir.into() })
            }
            Err(e) => Err(io(&path)(e)),
        }
    }

    /// `path` is for errors.
    fn parse(text: &str, path: &Path, dir: PathBuf) -> Result<Project, ProjectError> {
        let at = |offset: usize, message: String| ProjectError::Wrong {
            path: path.into(),
            line: text[..offset.min(text.len())].bytes().filter(|byte| *byte == b'\n').count() + 1,
            message,
        };
        let file: RawFile = toml::from_str(text)
            .map_err(|e| at(e.span().map_or(0, |span| span.start), e.message().to_owned()))?;
        check(&file.plugin, &dir).map_err(|(offset, message)| at(offset, message))
    }
}

type Mistake = (usize, String);

fn check(raw: &Raw, dir: &Path) -> Result<Project, Mistake> {
    let wrong = |value: &Spanned<String>, message: String| (value.span().start, message);
    check_name(raw.name.get_ref()).map_err(|message| wrong(&raw.name, format!("name {message}")))?;
    let kind = named("kind", &raw.kind, StageKind::ALL, StageKind::as_str)?;
    let language = named("language", &raw.language, Language::ALL, Language::as_str)?;
    if language == Language::Rust {
        refuse_said_twice(raw)?;
    }
    let version = raw.version.as_ref().map_or("0.1.0", |version| version.get_ref());
    let path = |given: &Option<Spanned<PathBuf>>, defaults: &[&str]| match given {
        Some(given) => {
            let path = dir.join(given.get_ref());
            match path.exists() {
                true => Ok(path),
                false => Err((given.span().start, format!("there is no {}", given.get_ref().display()))),
            }
        }
        None => {
            let found = defaults.iter().map(|name| dir.join(name)).find(|path| path.exists());
            Ok(found.unwrap_or_else(|| dir.join(defaults[0])))
        }
    };
    let list = |given: &Option<Spanned<Vec<String>>>| {
        given.as_ref().map(|list| list.get_ref().clone()).unwrap_or_default()
    };
    let said = Said {
        name: raw.name.get_ref().clone(),
        version: version.to_owned(),
        kind,
        source: path(&raw.source, language.sources())?,
        sdk: path(&raw.sdk, &["sdk"])?,
        reads: list(&raw.reads),
        writes: list(&raw.writes),
    };
    Ok(Project { dir: dir.to_owned(), said: Some(said), language })
}

/// What a Rust crate says in its own places may not be said otherwise here.
fn refuse_said_twice(raw: &Raw) -> Result<(), Mistake> {
    let twice = |offset: usize, what: &str, place: &str| {
        Err((offset, format!("of a plugin in Rust, {what} in {place}: leave it out here")))
    };
    match (&raw.version, &raw.reads, &raw.writes) {
        (Some(version), ..) => twice(version.span().start, "the version stands", "Cargo.toml"),
        (_, Some(reads), _) => twice(reads.span().start, "`reads` stand", "export!(…)"),
        (.., Some(writes)) => twice(writes.span().start, "`writes` stand", "export!(…)"),
        _ => Ok(()),
    }
}

/// One of a few names.
fn named<T: Copy, const N: usize>(
    key: &str,
    given: &Spanned<String>,
    all: [T; N],
    name: fn(T) -> &'static str,
) -> Result<T, Mistake> {
    let text = given.get_ref();
    if let Some(found) = all.into_iter().find(|one| name(*one) == text) {
        return Ok(found);
    }
    let hint = match text.as_str() {
        "ts" | "typescript" | "javascript" => " (TypeScript is `js`, with a .ts source)".to_owned(),
        "py" => " (did you mean python?)".to_owned(),
        _ => String::new(),
    };
    let names = all.map(name).join(", ");
    Err((given.span().start, format!("{key} is {text:?}, and must be one of {names}{hint}")))
}

/// Whether it is a name of a plugin: also of a file, a crate, a package and a label of metrics.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let is_whole = !name.ends_with('-') && !name.contains("--");
    match begins && is_whole && name.bytes().all(is_fine) && name.len() <= NAME_BYTES_MAX {
        true => Ok(()),
        false => Err(format!(
            "is {name:?}, and must be of a-z, 0-9 and single -, begin with a letter and have at most {NAME_BYTES_MAX} characters"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Project, String> {
        let parsed = Project::parse(text, Path::new("p/plugin.toml"), PathBuf::from("/nowhere"));
        parsed.map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_of_the_language() {
        let read = parse("[plugin]\nname=\"a-1\"\nkind=\"sampler\"\nlanguage=\"js\"\n").unwrap();
        let said = read.said.unwrap();
        assert_eq!((said.kind, read.language), (StageKind::Sampler, Language::Js));
        assert_eq!((said.version.as_str(), said.reads.len()), ("0.1.0", 0));
        assert_eq!(said.source, Path::new("/nowhere/src/plugin.js"));
        assert_eq!(said.sdk, Path::new("/nowhere/sdk"));
    }

    #[test]
    fn a_mistake_has_a_line() {
        let with =
            |line: &str| format!("[plugin]\nname = \"a\"\nkind = \"filter\"\nlanguage = \"c\"\n{line}\n");
        let rust = with("reads = []").replace("\"c\"", "\"rust\"");
        for (text, want) in [
            (with("sauce = 1"), "p/plugin.toml:5: unknown field `sauce`"),
            (with("reads = [1]"), "p/plugin.toml:5: invalid type: integer"),
            (with("source = \"x.c\""), "p/plugin.toml:5: there is no x.c"),
            (with("[x"), "p/plugin.toml:5: "),
            (rust, "p/plugin.toml:5: of a plugin in Rust, `reads` stand in export!(…)"),
            (with("").replace("\"a\"", "\"A\""), "p/plugin.toml:2: name is \"A\", and must be of a-z"),
            (
                with("").replace("\"filter\"", "\"sieve\""),
                "p/plugin.toml:3: kind is \"sieve\", and must be one of filter, ",
            ),
            (
                with("").replace("\"c\"", "\"ts\""),
                "p/plugin.toml:4: language is \"ts\", and must be one of rust, ",
            ),
            ("\n[plugin]\n".to_owned(), "p/plugin.toml:2: missing field `name`"),
        ] {
            let found = parse(&text).unwrap_err();
            assert!(found.starts_with(want), "{want}\n{found}");
        }
    }

    #[test]
    fn names_are_checked() {
        for name in ["", "-a", "a-", "a--b", "1a", "a_b", "a/b", "..", "é", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for name in ["a", "drop-noisy", "a1-2"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }
}
