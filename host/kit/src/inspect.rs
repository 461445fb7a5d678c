//! Says what a component is, without running or compiling it.

use host_pipeline::StageKind;
use host_plugin::{BadComponent, Interfaces};
use serde::{Deserialize, Serialize};

/// What can be said of any component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Also the name of its world; absent if it is no plugin.
    pub kind: Option<StageKind>,
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    pub size_bytes: usize,
    /// Whether it imports WASI, which a host refuses.
    pub wasi: bool,
    /// Why a host would not take it.
    pub problem: Option<String>,
    /// What its SDK wrote down; absent if it was made without one.
    pub about: Option<About>,
}

/// What an SDK leaves in the custom section `tamis:plugin`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    pub name: String,
    pub version: String,
    pub sdk: String,
    /// Selectors of what it asks to read and to edit.
    pub reads: Vec<String>,
    pub writes: Vec<String>,
}

/// An error is for bytes that are no component at all.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, BadComponent> {
    let interfaces = Interfaces::read(bytes)?;
    let about = interfaces.about.as_deref().and_then(|json| serde_json::from_slice(json).ok());
    Ok(Inspection {
        kind: interfaces.kind(),
        wasi: interfaces.imports_wasi(),
        problem: interfaces.check().err().map(|bad| bad.to_string()),
        size_bytes: bytes.len(),
        about,
        imports: interfaces.imports,
        exports: interfaces.exports,
    })
}
