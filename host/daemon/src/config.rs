//! The two files, from text to what the rest of the program may rely on.

mod host;
mod kafka;
mod pipeline;
mod place;
mod reader;

pub use host::{HostConfig, Project, ProjectKey, ProjectQuota};
pub use kafka::KafkaSection;
pub use pipeline::{PipelineConfig, Source, StageConfig};
pub use place::line_of;
pub use reader::{Problem, parse_duration};

use std::path::{Path, PathBuf};

/// Both files, checked.
#[derive(Debug)]
pub struct Config {
    pub host: HostConfig,
    /// Absent if the store's newest generation is to run.
    pub pipeline: Option<PipelineConfig>,
}

/// What can be made out of both files, and everything that is wrong with them.
#[derive(Debug)]
pub struct Loaded {
    /// Absent if the file can not be read. With problems it has defaults in their places, and is only good for finding more.
    pub host: Option<HostConfig>,
    /// The same; without the stages of which nothing can be said. Also absent if it was not asked for.
    pub pipeline: Option<PipelineConfig>,
    pub problems: Vec<Problem>,
}

impl Loaded {
    /// A configuration to run, or every problem of both files.
    pub fn checked(self) -> Result<Config, Vec<Problem>> {
        match self.host {
            Some(host) if self.problems.is_empty() => Ok(Config { host, pipeline: self.pipeline }),
            _ => Err(self.problems),
        }
    }
}

/// Reads both files, or only the first one.
pub fn load(host: &Path, pipeline: Option<&Path>) -> Loaded {
    let mut problems = Vec::new();
    let host = read(host, &mut problems, host::check);
    let pipeline = pipeline.and_then(|pipeline| read(pipeline, &mut problems, pipeline::check));
    Loaded { host, pipeline, problems }
}

/// Reads the second file.
pub fn load_pipeline(pipeline: &Path) -> Result<PipelineConfig, Vec<Problem>> {
    let mut problems = Vec::new();
    match read(pipeline, &mut problems, pipeline::check) {
        Some(pipeline) if problems.is_empty() => Ok(pipeline),
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
    file.problems.sort_by_key(|problem| problem.line);
    problems.append(&mut file.problems);
    Some(checked)
}

#[cfg(test)]
mod tests;
