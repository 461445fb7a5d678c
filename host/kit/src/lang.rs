//! One file for each language: how its compiler makes WebAssembly of a plugin.

mod c;
mod go;
mod js;
mod python;
pub(crate) mod rust;
mod zig;

use std::path::PathBuf;

use crate::KitError;
use crate::project::{Language, Project, Said};

/// What a compiler has made.
pub(crate) enum Made {
    /// A core module that says its world itself: made with wit-bindgen.
    Module(Vec<u8>),
    /// A core module that exports the functions of an interface and says no more.
    BareModule(Vec<u8>),
    Component(Vec<u8>),
}

/// A plugin that is about to be built.
pub(crate) struct Job<'a> {
    pub project: &'a Project,
    pub said: &'a Said,
    /// An empty folder for what lies between source and component.
    pub work: PathBuf,
    /// The interface as a file, for tools that want one.
    pub wit: PathBuf,
}

pub(crate) fn build(language: Language, job: &Job<'_>) -> Result<Made, KitError> {
    match language {
        Language::Rust => rust::build(&job.project.dir).map(|(module, _)| Made::Module(module)),
        Language::Go => go::build(job),
        Language::Python => python::build(job),
        Language::Js => js::build(job),
        Language::C => c::build(job),
        Language::Zig => zig::build(job),
    }
}

/// Reads what a compiler has written.
fn read(path: PathBuf) -> Result<Vec<u8>, KitError> {
    std::fs::read(&path).map_err(|source| KitError::Io { path, source })
}
