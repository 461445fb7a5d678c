//! Why a plugin can not be loaded.

use std::path::PathBuf;

use host_pipeline::StageKind;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum LoadError {
    #[error("the WebAssembly engine can not be started: {0}")]
    Engine(String),
    #[error("stage {stage}: the component is refused")]
    Component { stage: String, source: BadComponent },
    #[error("stage {stage}: the component exports no {wanted}: it is {found}, not a {kind}", kind = .kind.as_str())]
    WrongKind { stage: String, kind: StageKind, wanted: &'static str, found: String },
    #[error("stage {stage}: {which} = {selector:?}: {what}")]
    Grant { stage: String, which: &'static str, selector: String, what: String },
    #[error("stage {stage}: the component does not fit the interface: {what}")]
    Interface { stage: String, what: String },
    #[error("stage {stage}: the plugin refuses its configuration: {message}")]
    Config { stage: String, message: String },
    #[error("stage {stage}: init failed ({reason}): {detail}")]
    Init { stage: String, reason: &'static str, detail: String },
    #[error("stage {stage}: compiling failed: {what}")]
    Compile { stage: String, what: String },
    #[error("the cache of compiled plugins in {dir:?}: {what}")]
    Cache { dir: PathBuf, what: String },
}

/// Bytes that are no plugin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadComponent {
    #[error("this is not WebAssembly: {0}")]
    NotWasm(String),
    #[error("this is a core module: encode it with `tamis plugin build`")]
    CoreModule,
    #[error("component of {bytes} bytes, more than {max} (component_bytes_max)")]
    TooLarge { bytes: usize, max: usize },
    #[error(
        "the component imports WASI ({0}): Tamis gives plugins no WASI; build it with `tamis plugin build`, or stub WASI out"
    )]
    Wasi(String),
    #[error("the component imports {0}, which no Tamis host has")]
    UnknownImports(String),
    #[error("the component exports none of the plugin interfaces: it exports {0}")]
    NoPlugin(String),
}
