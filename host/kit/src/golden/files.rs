//! The files of golden tests: which there are, and what belongs together.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use host_event::{Doc, Kind};
use thiserror::Error;

use crate::diff::pretty;

const EXPECT: &str = ".expect.json";
const CONFIG: &str = ".config.json";

#[derive(Debug, Error)]
pub enum TestsError {
    #[error("{}: it can not be read", .folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("{}: there are no golden events: write an event to {}", .folder.display(), .folder.join("NAME.json").display())]
    None { folder: PathBuf },
    #[error("{}: no file has {filter:?} in its name", .folder.display())]
    NoneOfThatName { folder: PathBuf, filter: String },
    #[error("{}: there is no {} that it belongs to", .file.display(), .events.display())]
    Orphan { file: PathBuf, events: PathBuf },
}

/// A file of events, and where its configuration and its expectations are.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) events: PathBuf,
    config: PathBuf,
    config_of_all: PathBuf,
    expect: PathBuf,
}

/// The cases of a folder, by name.
pub(super) fn cases(folder: &Path, filter: Option<&str>) -> Result<Vec<Case>, TestsError> {
    let broken = |source| TestsError::Folder { folder: folder.into(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(broken)? {
        let name = entry.map_err(broken)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") && name != "config.json" {
            names.push(name);
        }
    }
    names.sort();
    let (of_events, beside): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| !name.ends_with(EXPECT) && !name.ends_with(CONFIG));
    for name in beside {
        let stem = name.trim_end_matches(EXPECT).trim_end_matches(CONFIG);
        let events = format!("{stem}.json");
        if !of_events.contains(&&events) {
            return Err(TestsError::Orphan { file: folder.join(name), events: folder.join(events) });
        }
    }
    if of_events.is_empty() {
        return Err(TestsError::None { folder: folder.into() });
    }
    let stems = of_events.iter().map(|name| name.trim_end_matches(".json"));
    let chosen = stems.filter(|stem| filter.is_none_or(|filter| stem.contains(filter)));
    let cases: Vec<Case> = chosen.map(|stem| Case::of(folder, stem)).collect();
    match (filter, cases.is_empty()) {
        (Some(filter), true) => {
            Err(TestsError::NoneOfThatName { folder: folder.into(), filter: filter.to_owned() })
        }
        _ => Ok(cases),
    }
}

fn read_config(path: &Path) -> Result<Option<(String, String)>, String> {
    match fs::read_to_string(path) {
        Ok(text) => {
            Doc::parse(text.clone()).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(Some((text, path.display().to_string())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

impl Case {
    fn of(folder: &Path, stem: &str) -> Case {
        Case {
            events: folder.join(format!("{stem}.json")),
            config: folder.join(format!("{stem}{CONFIG}")),
            config_of_all: folder.join("config.json"),
            expect: folder.join(format!("{stem}{EXPECT}")),
        }
    }

    /// The stage's configuration and where it is from: this case's own, else the one that is given, else that of all, else an empty one.
    pub(super) fn config(&self, given: Option<&str>) -> Result<(String, String), String> {
        if let Some(own) = read_config(&self.config)? {
            return Ok(own);
        }
        if let Some(given) = given {
            return Ok((given.to_owned(), "the stage's configuration".to_owned()));
        }
        let of_all = read_config(&self.config_of_all)?;
        Ok(of_all
            .unwrap_or_else(|| ("{}".to_owned(), format!("{}: no configuration", self.events.display()))))
    }

    /// The expected answer for each event, as JSON.
    pub(super) fn expected(&self, events: usize) -> Result<Vec<String>, String> {
        let path = self.expect.display();
        let text = match fs::read_to_string(&self.expect) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(format!("{path} is missing: write it with --update, and look at it"));
            }
            read => read.map_err(|error| format!("{path}: {error}"))?,
        };
        let doc = Doc::parse(text).map_err(|error| format!("{path}: {error}"))?;
        if doc.root().kind() != Kind::Array {
            return Err(format!("{path}: it must be an array with an answer for each event"));
        }
        let entries: Vec<String> =
            doc.root().items().map(|item| String::from_utf8_lossy(item.raw()).into_owned()).collect();
        match entries.len() == events {
            true => Ok(entries),
            false => Err(format!(
                "{path}: it has {} answers, and {} has {events} events: write it anew with --update",
                entries.len(),
                self.events.display()
            )),
        }
    }

    /// Writes these answers as the expected ones; gives the file if that changed it.
    pub(super) fn update(&self, answers: &[String]) -> Result<Option<String>, String> {
        let mut text = "[".to_owned();
        for (at, answer) in answers.iter().enumerate() {
            text.push_str(if at == 0 { "\n  " } else { ",\n  " });
            match Doc::parse(answer.clone()) {
                Ok(doc) => pretty(doc.root(), 2, &mut text),
                Err(error) => return Err(format!("answer {at} is no JSON: {error}")),
            }
        }
        text.push_str("\n]\n");
        let path = self.expect.display().to_string();
        if fs::read_to_string(&self.expect).is_ok_and(|old| old == text) {
            return Ok(None);
        }
        fs::write(&self.expect, text).map_err(|error| format!("{path}: {error}"))?;
        Ok(Some(path))
    }
}
