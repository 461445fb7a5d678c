//! The SDKs as they are written into a plugin's folder, so that it is whole and builds without a network or a checkout of Tamis.

mod rust;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::KitError;
use crate::project::{Language, Project};

pub(crate) use rust::lock;

pub(crate) mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// A file with its path from the folder that it is for.
pub(crate) type SdkFile = (String, Cow<'static, [u8]>);

/// Says which Tamis wrote the folder, and that it is one that may be replaced.
const MARK: &str = "TAMIS_VERSION";
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `tamis plugin upgrade` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgraded {
    pub folder: PathBuf,
    pub from: String,
    pub to: &'static str,
}

/// All files of an SDK.
pub(crate) fn files(language: Language) -> Vec<SdkFile> {
    let mut files = match language {
        Language::Rust => rust::files(),
        language => below(embedded::SDKS, language.as_str()).collect(),
    };
    files.push((MARK.to_owned(), Cow::Owned(format!("{VERSION}\n").into_bytes())));
    files
}

/// The files of one folder of a table, with their paths from there.
pub(crate) fn below(
    table: &'static [(&'static str, &'static [u8])],
    folder: &str,
) -> impl Iterator<Item = SdkFile> + use<> {
    let prefix = format!("{folder}/");
    table.iter().filter_map(move |(path, bytes)| {
        Some((path.strip_prefix(&prefix)?.to_owned(), Cow::Borrowed(*bytes)))
    })
}

/// Replaces the SDK in a plugin's folder by that of this binary.
pub fn upgrade(dir: &Path) -> Result<Upgraded, KitError> {
    let project = Project::read(dir)?;
    let folder = project.said.map_or_else(|| project.dir.join("sdk"), |said| said.sdk);
    let mark = folder.join(MARK);
    let Ok(from) = std::fs::read_to_string(&mark) else {
        return Err(KitError::NoCopy { folder });
    };
    let io = |source| KitError::Io { path: folder.clone(), source };
    // Beside it first: what fails leaves the old one as it was.
    let fresh = folder.with_extension("new");
    let old = folder.with_extension("old");
    for leftover in [&fresh, &old].into_iter().filter(|path| path.exists()) {
        std::fs::remove_dir_all(leftover).map_err(io)?;
    }
    write(&fresh, files(project.language))?;
    std::fs::rename(&folder, &old).and_then(|()| std::fs::rename(&fresh, &folder)).map_err(io)?;
    std::fs::remove_dir_all(&old).map_err(io)?;
    Ok(Upgraded { folder, from: from.trim().to_owned(), to: VERSION })
}

/// Writes files into a folder that is made if it is not there.
pub(crate) fn write(folder: &Path, files: Vec<SdkFile>) -> Result<(), KitError> {
    for (path, bytes) in files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, bytes));
        written.map_err(|source| KitError::Io { path, source })?;
    }
    Ok(())
}
