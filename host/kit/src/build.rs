//! Builds a plugin's folder: its language's compiler for the code, then the encoder, then what `plugin.toml` says of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use host_pipeline::StageKind;
use host_plugin::{ABOUT_SECTION, Interfaces};
use serde::Serialize;
use serde_json::json;

use crate::lang::{self, Job, Made};
use crate::project::{Language, Project, Said};
use crate::{DebugInfo, KitError, WIT, encode_with};

/// A component on disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Built {
    pub path: PathBuf,
    pub name: String,
    pub kind: StageKind,
    pub language: &'static str,
    pub bytes: usize,
    pub seconds: f64,
}

/// What compilers leave lies in this folder of the plugin, and by default the component does.
pub const OUT: &str = "target";

/// Builds the plugin in `dir` and writes `NAME.wasm` into the folder `out`, as it is shipped. Compilers report on standard error.
pub fn build(dir: &Path, out: &Path) -> Result<Built, KitError> {
    build_with(dir, out, DebugInfo::Dropped)
}

/// The same, with the lines of its functions in it or not. Both are made of one module, so that asking for the other costs no build.
pub fn build_with(dir: &Path, out: &Path, debug: DebugInfo) -> Result<Built, KitError> {
    let begun = Instant::now();
    let project = Project::read(dir)?;
    let (name, component) = match &project.said {
        Some(said) => (said.name.clone(), of_project(&project, said, debug)?),
        None => {
            let (module, package) = lang::rust::build(&project.dir)?;
            (package.name, encode_with(&module, None, debug)?)
        }
    };
    let kind = checked(&component, project.said.as_ref())?;
    let path = out.join(format!("{name}.wasm"));
    write(&path, &component)?;
    Ok(Built {
        path,
        name,
        kind,
        language: project.language.as_str(),
        bytes: component.len(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Encodes a core module that any compiler has made. `kind` is for one that does not say its world, as one with wit-bindgen's
/// bindings does.
pub fn build_module(module: &Path, kind: Option<StageKind>, out: &Path) -> Result<Built, KitError> {
    let begun = Instant::now();
    let core = std::fs::read(module).map_err(|source| KitError::Io { path: module.into(), source })?;
    let component = encode_with(&core, kind, DebugInfo::Dropped)?;
    let kind = checked(&component, None)?;
    // `drop-noisy` of both `drop-noisy.core.wasm` and `drop-noisy.wasm`.
    let name = module.file_stem().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".core").unwrap_or(&name).to_owned();
    let path = out.join(format!("{name}.wasm"));
    if path.exists() && module.canonicalize().ok() == path.canonicalize().ok() {
        return Err(KitError::SameFile { path });
    }
    write(&path, &component)?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Built { path, name, kind, language: "any", bytes: component.len(), seconds })
}

fn of_project(project: &Project, said: &Said, debug: DebugInfo) -> Result<Vec<u8>, KitError> {
    let made = match project.language {
        // Cargo has its own place for what it leaves.
        Language::Rust => {
            let (module, package) = lang::rust::build(&project.dir)?;
            if package.name != said.name {
                return Err(KitError::OtherName { said: said.name.clone(), package: package.name });
            }
            Made::Module(module)
        }
        language => {
            let work = project.dir.join(OUT).join("build");
            let wit = work.join("tamis.wit");
            write(&wit, WIT.as_bytes())?;
            lang::build(language, &Job { project, said, work, wit })?
        }
    };
    let mut component = match made {
        Made::Module(module) => encode_with(&module, None, debug)?,
        Made::BareModule(module) => encode_with(&module, Some(said.kind), debug)?,
        Made::Component(component) => component,
    };
    if Interfaces::read(&component).map_err(KitError::NotAPlugin)?.about.is_none() {
        append_section(&mut component, ABOUT_SECTION, about(said, project.language).as_bytes());
    }
    Ok(component)
}

/// What the SDKs of other languages than Rust have no way to leave in a module.
fn about(said: &Said, language: Language) -> String {
    let Said { name, version, kind, reads, writes, .. } = said;
    let sdk = format!("tamis-plugin-{language} {}", env!("CARGO_PKG_VERSION"));
    json!({ "kind": kind.as_str(), "name": name, "version": version, "sdk": sdk, "reads": reads, "writes": writes })
        .to_string()
}

fn append_section(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut section = Vec::with_capacity(name.len() + data.len() + 5);
    crate::encode::write_leb(name.len(), &mut section);
    section.extend_from_slice(name.as_bytes());
    section.extend_from_slice(data);
    component.push(0);
    crate::encode::write_leb(section.len(), component);
    component.extend_from_slice(&section);
}

/// Whether a host takes it, and it is what it was said to be.
fn checked(component: &[u8], said: Option<&Said>) -> Result<StageKind, KitError> {
    let found = Interfaces::read(component).and_then(|interfaces| interfaces.check());
    let found = found.map_err(KitError::NotAPlugin)?;
    match said {
        Some(said) if said.kind != found => Err(KitError::OtherKind { said: said.kind, found }),
        _ => Ok(found),
    }
}

/// A host may be reading the file that is there: puts the new one in its place as a whole.
fn write(path: &Path, bytes: &[u8]) -> Result<(), KitError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| KitError::Io { path, source }
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    let temporary = path.with_extension("tmp");
    let written = std::fs::File::create(&temporary).and_then(|mut file| file.write_all(bytes));
    written.map_err(io(&temporary))?;
    std::fs::rename(&temporary, path).map_err(io(path))
}
