//! `tamis plugin build`.

use std::process::ExitCode;

use crate::cli::Build;
use crate::report;

pub fn build(args: &Build) -> anyhow::Result<ExitCode> {
    let built = host_kit::build_rust(&args.dir, &args.out)?;
    let (path, kib) = (built.path.display(), built.bytes.div_ceil(1024));
    report::print(&format!("{path}: {kib} KiB in {:.1} s\n", built.seconds))?;
    Ok(ExitCode::SUCCESS)
}
