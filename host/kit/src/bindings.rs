//! Bindings in C, for languages that have no SDK and can call C, and the interface itself for those that bring a generator.

use std::path::{Path, PathBuf};

use host_pipeline::StageKind;
use wit_bindgen_core::Files;
use wit_parser::Resolve;

use crate::{KitError, WIT};

/// Writes the bindings of a world into a folder, and gives the files.
pub fn bindings(kind: StageKind, out: &Path) -> Result<Vec<PathBuf>, KitError> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("tamis.wit", WIT).map_err(wrong)?;
    let world = resolve.select_world(&[package], Some(kind.as_str())).map_err(wrong)?;
    let mut files = Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    generator.generate(&mut resolve, world, &mut files).map_err(wrong)?;
    files.push("tamis.wit", WIT.as_bytes());
    let mut written = Vec::new();
    for (name, bytes) in files.iter() {
        let path = out.join(name);
        let done = std::fs::create_dir_all(out).and_then(|()| std::fs::write(&path, bytes));
        done.map_err(|source| KitError::Io { path: path.clone(), source })?;
        written.push(path);
    }
    Ok(written)
}

fn wrong(error: impl std::fmt::Display) -> KitError {
    KitError::Bindings(format!("{error:#}"))
}
