//! The real `@sentry/node` in two generations: 10 sends transactions, 11 streams spans. Every field is in its column or in
//! `payload`, and everything that was sent has exactly one outcome.
#![allow(clippy::unwrap_used)]

use anyhow::Result;
use serde_json::Value;
use tamis_tests::{Home, Options, Pipeline, tools};

#[test]
fn every_field_of_node_10_is_found() -> Result<()> {
    check("sentry-node-10", &[("event", 4), ("transaction", 1), ("log", 2), ("check_in", 2), ("session", 1)])
}

#[test]
fn every_field_of_node_11_is_found() -> Result<()> {
    check("sentry-node-11", &[("event", 4), ("span", 3), ("log", 2), ("check_in", 2), ("session", 1)])
}

fn check(package: &str, kinds: &[(&str, u64)]) -> Result<()> {
    let home = Home::new(&Options { pipeline: Pipeline::Empty, ..Options::default() })?;
    home.check(|home| {
        let host = home.start()?;
        let record = home.path().join("record.json");
        tools::run(tools::node("client.js")?.args([package, &host.dsn()]).arg(&record))?;
        assert_eq!(host.terminate()?.code(), Some(0));
        let report = tools::run(tools::python("compare.py")?.arg(home.store()).arg(&record))?;
        let report: Value = serde_json::from_str(&report)?;
        for (kind, least) in kinds {
            assert!(
                report["kinds"][kind].as_u64() >= Some(*least),
                "the client sent too little to say anything: {report}"
            );
        }
        assert!(report["leaves"].as_u64() > Some(500), "{report}");
        home.verify()?;
        Ok(())
    })
}
