//! `tamis plugin build`, and `tamis plugin bindings` for what it builds of foreign modules.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::{Bindings, Build};
use crate::report;

pub fn build(args: &Build) -> anyhow::Result<ExitCode> {
    let plugin = &args.plugin;
    let built = match plugin.is_file() {
        true => {
            let beside = plugin.parent().map_or_else(PathBuf::new, Path::to_owned);
            let out = args.out.clone().unwrap_or(beside);
            host_kit::build_module(plugin, args.kind.map(Into::into), &out)?
        }
        false => {
            anyhow::ensure!(
                args.kind.is_none(),
                "--kind is for a core module: of a folder, plugin.toml says it"
            );
            // `target` and not `./target`, when it is the folder one is in.
            let folder = || plugin.strip_prefix(".").unwrap_or(plugin).join(host_kit::OUT);
            host_kit::build(plugin, &args.out.clone().unwrap_or_else(folder))?
        }
    };
    let text = match args.json {
        true => serde_json::to_string_pretty(&built)? + "\n",
        false => {
            let (path, kib) = (built.path.display(), built.bytes.div_ceil(1024));
            format!("{path}: {kib} KiB in {:.1} s\n", built.seconds)
        }
    };
    report::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

pub fn bindings(args: &Bindings) -> anyhow::Result<ExitCode> {
    for path in host_kit::bindings(args.kind.into(), &args.out)? {
        report::print(&format!("{}\n", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
