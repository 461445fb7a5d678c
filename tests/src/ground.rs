//! What a fleet stands on: a Kafka cluster, an S3 server on a disk of its own, and a folder for all logs.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::fleet::Fleet;
use crate::kafka::Kafka;
use crate::s3::S3;
use crate::tools;

/// Dropped, all of it is stopped and gone.
pub struct Ground {
    pub kafka: Kafka,
    pub s3: S3,
    pub disk: Disk,
    pub nodes: u32,
    folder: TempDir,
}

impl Ground {
    /// `nodes` of Kafka; `disk_bytes` is what the store can take, and lies in memory.
    pub fn new(nodes: u32, disk_bytes: u64) -> Result<Ground> {
        let folder = tempfile::Builder::new().prefix("tamis-cluster-").tempdir()?;
        let disk = Disk::new(disk_bytes)?;
        let s3 = S3::start(disk.root(), &folder.path().join("s3.log"))?;
        let kafka = Kafka::start(nodes, "")?;
        Ok(Ground { kafka, s3, disk, nodes, folder })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// If `checked` failed: keeps what there is for whoever looks into it, says where it is, and shows the ends of all logs.
    pub fn report(self, fleets: &[&Fleet], checked: Result<()>) -> Result<()> {
        let Err(error) = checked else {
            if std::env::var_os("TAMIS_TORTURE_KEEP").is_some() {
                eprintln!("kept in {}", self.folder.keep().display());
            }
            return Ok(());
        };
        let mut tails = String::new();
        for fleet in fleets {
            tails += &fleet.log_tails();
            let topic = &fleet.common.topic;
            if let Err(e) = self.kafka.dump(topic, &self.folder.path().join(format!("{topic}.tsv"))) {
                tails += &format!("--- the topic could not be written down: {e:#}\n");
            }
            // The disk is gone with this process.
            let files = self.s3.files(&fleet.common.prefix);
            let into = self.folder.path().join("store");
            std::fs::create_dir_all(&into)?;
            drop(tools::run(Command::new("cp").arg("-r").arg(files).arg(into)));
        }
        for node in 1..=self.nodes {
            drop(std::fs::copy(self.kafka.log(node), self.folder.path().join(format!("kafka-{node}.log"))));
        }
        tails += &format!("--- faults\n{}\n", tools::tail(&self.folder.path().join("faults.log")));
        bail!("{error:?}\nkept in {}\n{tails}", self.folder.keep().display())
    }
}
