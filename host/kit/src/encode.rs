//! Makes a component of a core module, importing nothing but Tamis.

use host_pipeline::StageKind;
use host_plugin::Interfaces;
use wasmparser::{Encoding, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::KitError;

/// The interface, as plugin authors read it.
pub const WIT: &str = include_str!("../../../sdk-wit/wit/v0.1/tamis.wit");
/// What stands in the place of WASI.
const ADAPTER: &str = include_str!("closed-preview1.wat");
const ADAPTED: &str = "wasi_snapshot_preview1";

/// Whether a component keeps the sections from which a debugger, and a host for authors, learns the lines of its functions.
/// They are ten times as large as the code, and no host that serves reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DebugInfo {
    #[default]
    Dropped,
    Kept,
}

/// Encodes what a Rust compiler, or any other with bindings that say their world, has made.
pub fn encode(core_module: &[u8]) -> Result<Vec<u8>, KitError> {
    encode_with(core_module, None, DebugInfo::Dropped)
}

/// Encodes a module; `kind` is for one that does not say which world it is of.
pub fn encode_with(
    core_module: &[u8],
    kind: Option<StageKind>,
    debug: DebugInfo,
) -> Result<Vec<u8>, KitError> {
    let mut module = cleaned(core_module, debug)?;
    let adapter = adapter()?;
    check_edge(&module, &adapter, kind)?;
    if let Some(kind) = kind {
        embed(&mut module, WIT, kind.as_str())?;
    }
    let encoder = ComponentEncoder::default().validate(true).module(&module).map_err(wrong)?;
    let encoder = encoder.adapter(ADAPTED, &adapter).map_err(wrong)?;
    let component = { encoder }.encode().map_err(wrong)?;
    let interfaces = Interfaces::read(&component).map_err(KitError::NotAPlugin)?;
    interfaces.check().map_err(KitError::NotAPlugin)?;
    Ok(component)
}

/// Encodes a module that does not say which world it is of.
pub fn encode_as(kind: StageKind, core_module: &[u8]) -> Result<Vec<u8>, KitError> {
    encode_with(core_module, Some(kind), DebugInfo::Dropped)
}

/// Says in an author's words what the encoder would say in its own: what is imported that no plugin has, and which kind it is.
fn check_edge(module: &[u8], adapter: &[u8], kind: Option<StageKind>) -> Result<(), KitError> {
    let (imports, exports) = edge(module)?;
    let (_, adapted) = edge(adapter)?;
    let is_foreign = |(from, name): &&(String, String)| match from.as_str() {
        ADAPTED => !adapted.contains(name),
        _ => !from.starts_with("tamis:plugin/"),
    };
    let foreign: Vec<String> =
        imports.iter().filter(is_foreign).map(|(from, name)| format!("{from}::{name}")).collect();
    if !foreign.is_empty() {
        return Err(KitError::ForeignImports(foreign.join(", ")));
    }
    let edge = Interfaces { exports, ..Interfaces::default() };
    match (kind, edge.kind()) {
        (Some(said), Some(found)) if !edge.exports_kind(said) => Err(KitError::OtherKind { said, found }),
        _ => Ok(()),
    }
}

type Edge = (Vec<(String, String)>, Vec<String>);

/// What a core module imports and exports.
fn edge(module: &[u8]) -> Result<Edge, KitError> {
    let not_wasm = |e: wasmparser::BinaryReaderError| KitError::NotAModule(e.to_string());
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(not_wasm)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(not_wasm)?;
                    imports.push((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports.push(export.map_err(not_wasm)?.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

fn adapter() -> Result<Vec<u8>, KitError> {
    let mut module = wat::parse_str(ADAPTER).map_err(|e| KitError::Encode(e.to_string()))?;
    let wit = format!("{WIT}\nworld adapter {{ import log; }}\n");
    embed(&mut module, &wit, "adapter")?;
    Ok(module)
}

fn embed(module: &mut Vec<u8>, wit: &str, world: &str) -> Result<(), KitError> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("tamis.wit", wit).map_err(wrong)?;
    let world = resolve.select_world(&[package], Some(world)).map_err(wrong)?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8).map_err(wrong)
}

fn wrong(error: impl std::fmt::Display + std::fmt::Debug) -> KitError {
    // The alternate form has the whole chain on one line.
    KitError::Encode(format!("{error:#}"))
}

/// Leaves the names of functions, for backtraces, and drops what only a debugger reads, unless it shall be kept.
fn cleaned(module: &[u8], debug: DebugInfo) -> Result<Vec<u8>, KitError> {
    let not_wasm = |e: wasmparser::BinaryReaderError| KitError::NotAModule(e.to_string());
    let mut kept = Vec::with_capacity(module.len());
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(not_wasm)?;
        match &payload {
            Payload::Version { encoding: Encoding::Component, .. } => {
                return Err(KitError::NotAModule("it is a component already".to_owned()));
            }
            Payload::Version { range, .. } => kept.extend_from_slice(&module[range.clone()]),
            Payload::CustomSection(section)
                if debug == DebugInfo::Dropped && section.name().starts_with(".debug") => {}
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    kept.push(id);
                    write_leb(range.len(), &mut kept);
                    kept.extend_from_slice(&module[range]);
                }
            }
        }
    }
    Ok(kept)
}

pub(crate) fn write_leb(mut value: usize, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
