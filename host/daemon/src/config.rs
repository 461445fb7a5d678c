//! The two files, from text to what the rest of the program may rely on.

mod host;
mod pipeline;
mod reader;

pub use host::{HostConfig, Project, ProjectKey, ProjectQuota};
pub use pipeline::{PipelineConfig, StageConfig};
pub use reader::Problem;

use std::path::{Path, PathBuf};

/// Both files, checked.
#[derive(Debug)]
pub struct Config {
    pub host: HostConfig,
    pub pipeline: PipelineConfig,
}

/// Reads both files and gives either a configuration or every problem of both.
pub fn load(host: &Path, pipeline: &Path) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let host = read(host, &mut problems, host::check);
    let pipeline = read(pipeline, &mut problems, pipeline::check);
    match (host, pipeline) {
        (Some(host), Some(pipeline)) if problems.is_empty() => Ok(Config { host, pipeline }),
        _ => Err(problems),
    }
}

fn read<T>(
    path: &Path,
    problems: &mut Vec<Problem>,
    check: impl FnOnce(&mut reader::File<'_>, &Path) -> T,
) -> Option<T> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) => {
            let suggestion = Some("see examples/demo for one that works".to_owned());
            problems.push(Problem {
                file: path.to_owned(),
                line: 0,
                what: format!("can not be read: {e}"),
                suggestion,
            });
            return None;
        }
    };
    let mut file = reader::File::new(path, &text);
    let folder = path.parent().map(PathBuf::from).unwrap_or_default();
    let checked = check(&mut file, &folder);
    problems.append(&mut file.problems);
    Some(checked)
}

#[cfg(test)]
mod tests;
