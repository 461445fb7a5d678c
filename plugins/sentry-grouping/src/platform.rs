//! Platforms, as far as grouping tells them apart.

use std::borrow::Cow;

use conditions::Glob;

/// What kinds of runtimes a rule can speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Family {
    #[default]
    Other,
    Native,
    JavaScript,
}

impl Family {
    pub(crate) fn of(platform: &str) -> Family {
        match platform {
            "javascript" | "node" => Family::JavaScript,
            "objc" | "cocoa" | "swift" | "native" | "c" => Family::Native,
            _ => Family::Other,
        }
    }

    pub(crate) fn bit(self) -> u8 {
        match self {
            Family::Other => 1,
            Family::Native => 2,
            Family::JavaScript => 4,
        }
    }

    pub(crate) fn bits_of(name: &str) -> Result<u8, String> {
        match name {
            "other" => Ok(Family::Other.bit()),
            "native" => Ok(Family::Native.bit()),
            "javascript" => Ok(Family::JavaScript.bit()),
            "all" => Ok(u8::MAX),
            name => Err(format!("there is no family `{name}`; there are native, javascript, other, all")),
        }
    }
}

/// A glob over paths: without regard to case.
pub(crate) fn path_glob(pattern: &str) -> Result<Glob, String> {
    Glob::parse(pattern, true).map_err(|e| e.to_string())
}

/// Whether a path is meant, whichever way its slashes lean. Relative ones are also tried as if they began at the root.
pub(crate) fn is_path(glob: &Glob, path: &str) -> bool {
    let path = if path.contains('\\') { Cow::Owned(path.replace('\\', "/")) } else { Cow::Borrowed(path) };
    glob.matches(&path) || (!path.starts_with('/') && glob.matches(&format!("/{path}")))
}

/// Whether the lines of source that frames of this platform carry are worth grouping by.
pub(crate) fn has_trusted_lines(platform: &str) -> bool {
    matches!(platform, "javascript" | "node" | "python" | "php" | "ruby")
}

/// Whether a path is an address from which a browser loaded code.
pub(crate) fn is_url(path: &str, files_are: bool) -> bool {
    ["http:", "https:", "applewebdata:", "blob:"].iter().any(|scheme| path.starts_with(scheme))
        || (files_are && path.starts_with("file:"))
}
