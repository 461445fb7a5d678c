//! JavaScript and TypeScript: the SDK's own script, with the tools that the plugin's package pins.

use super::{Job, Made, read};
use crate::KitError;
use crate::tools::{command, compile, missing, require};

const INSTALL: &str = "apt-get install nodejs npm";

pub(super) fn build(job: &Job<'_>) -> Result<Made, KitError> {
    let dir = &job.project.dir;
    let node = require("Node.js", "NODE", "node", INSTALL)?;
    let is_installed = |package: &str| dir.join("node_modules").join(package).exists();
    if !is_installed("esbuild") || !is_installed("componentize-qjs") {
        let install = if dir.join("package-lock.json").exists() { "ci" } else { "install" };
        let command = format!("npm {install} --prefix {}", dir.display());
        return Err(missing("what the plugin's package.json names", &command));
    }
    let component = job.work.join("plugin.wasm");
    let mut node = command(node, dir);
    node.arg(job.said.sdk.join("build.mjs")).arg("--wit").arg(&job.wit);
    node.args(["--kind", job.said.kind.as_str(), "--source"]).arg(&job.said.source);
    compile("the build of the bundle", node.arg("--out").arg(&component))?;
    read(component).map(Made::Component)
}
