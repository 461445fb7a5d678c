//! What a component asks for and offers, read from its bytes without compiling them.

use host_pipeline::StageKind;
use wasmparser::{Encoding, Parser, Payload};

use crate::error::BadComponent;
use crate::limits::{COMPONENT_BYTES_MAX, export_of};
use crate::text;

/// The custom section in which an SDK leaves what it knows about a plugin, as JSON.
pub const ABOUT_SECTION: &str = "tamis:plugin";

/// The names at the edge of a component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interfaces {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// The contents of [`ABOUT_SECTION`], if there is one.
    pub about: Option<Vec<u8>>,
}

impl Interfaces {
    pub fn read(bytes: &[u8]) -> Result<Interfaces, BadComponent> {
        if bytes.len() > COMPONENT_BYTES_MAX {
            return Err(BadComponent::TooLarge { bytes: bytes.len(), max: COMPONENT_BYTES_MAX });
        }
        let not_wasm = |e: wasmparser::BinaryReaderError| {
            // Behind its first line it shows the bytes that it met.
            let what = e.message().lines().next().unwrap_or_default();
            BadComponent::NotWasm(format!("{what} (at byte {})", e.offset()))
        };
        let mut found = Interfaces::default();
        // Components nest; only the edge of the outermost one is the plugin's.
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(not_wasm)? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(BadComponent::CoreModule);
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        found.imports.push(import.map_err(not_wasm)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        found.exports.push(export.map_err(not_wasm)?.name.name.to_owned());
                    }
                }
                Payload::CustomSection(section) if section.name() == ABOUT_SECTION => {
                    found.about.get_or_insert_with(|| section.data().to_vec());
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// The kind of plugin this is: the first whose interface it exports.
    pub fn kind(&self) -> Option<StageKind> {
        StageKind::ALL.into_iter().find(|kind| self.exports_kind(*kind))
    }

    pub fn exports_kind(&self, kind: StageKind) -> bool {
        self.exports.iter().any(|name| is(name, export_of(kind)))
    }

    /// The names it imports that a Tamis host does not have.
    pub fn foreign_imports(&self) -> impl Iterator<Item = &str> {
        const OURS: [&str; 2] = ["tamis:plugin/batch", "tamis:plugin/log"];
        let foreign = |name: &&String| !OURS.iter().any(|ours| is(name, ours));
        self.imports.iter().filter(foreign).map(String::as_str)
    }

    pub fn imports_wasi(&self) -> bool {
        self.imports.iter().any(|name| name.starts_with("wasi:"))
    }

    /// Whether a host would take it: it imports nothing foreign and exports a plugin.
    pub fn check(&self) -> Result<StageKind, BadComponent> {
        let foreign: Vec<&str> = self.foreign_imports().collect();
        if self.imports_wasi() {
            let wasi: Vec<&str> = foreign.into_iter().filter(|name| name.starts_with("wasi:")).collect();
            return Err(BadComponent::Wasi(text::names(wasi)));
        }
        if !foreign.is_empty() {
            return Err(BadComponent::UnknownImports(text::names(foreign)));
        }
        let exports = match self.exports.is_empty() {
            true => "nothing".to_owned(),
            false => text::names(self.exports.iter().map(String::as_str)),
        };
        self.kind().ok_or(BadComponent::NoPlugin(exports))
    }
}

/// Whether a versioned name is that of an interface: `a:b/c@0.1.0` is one of `a:b/c`.
fn is(name: &str, interface: &str) -> bool {
    name.strip_prefix(interface).is_some_and(|rest| rest.starts_with("@0.1."))
}
