//! `tamis plugin build`.

use std::process::ExitCode;

use crate::cli::Build;
use crate::report;

pub fn build(args: &Build) -> anyhow::Result<ExitCode> {
    // `target` and not `./target`, when it is the folder one is in.
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.dir.strip_prefix(".").unwrap_or(&args.dir).join(host_kit::OUT));
    let built = host_kit::build(&args.dir, &out)?;
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
