//! The real sentry-sdk for Python: every field that it sent is in its column or in `payload`, and everything that it
//! sent has exactly one outcome.
#![allow(clippy::unwrap_used)]

use anyhow::Result;
use serde_json::Value;
use tamis_tests::{Home, Options, Pipeline, tools};

#[test]
fn every_field_of_the_python_client_is_found() -> Result<()> {
    let home = Home::new(&Options { pipeline: Pipeline::Grouping, ..Options::default() })?;
    home.check(|home| {
        let host = home.start()?;
        let record = home.path().join("record.json");
        tools::run(tools::python("client.py")?.arg(host.dsn()).arg(&record))?;
        assert_eq!(host.terminate()?.code(), Some(0));
        let report = tools::run(tools::python("compare.py")?.arg(home.store()).arg(&record))?;
        let report: Value = serde_json::from_str(&report)?;
        for (kind, least) in
            [("event", 7), ("transaction", 1), ("log", 3), ("check_in", 2), ("client_report", 1)]
        {
            assert!(
                report["kinds"][kind].as_u64() >= Some(least),
                "the client sent too little to say anything: {report}"
            );
        }
        assert!(report["leaves"].as_u64() > Some(800), "{report}");
        home.verify()?;
        chained_exceptions_make_one_group_each(home)
    })
}

/// Three times the same two exceptions at the same place, with other numbers in their values; one with a fingerprint of its own.
fn chained_exceptions_make_one_group_each(home: &Home) -> Result<()> {
    let rows = home.query(
        "SELECT title[:8] AS title, sum(count)::BIGINT AS events FROM read_parquet('$store/groups/**/*.parquet')
         WHERE title LIKE 'Rejected%' GROUP BY group_id, 1 ORDER BY events DESC",
    )?;
    let counts: Vec<_> = rows.iter().map(|row| row["events"].as_i64()).collect();
    assert_eq!(counts, [Some(2), Some(1)], "{rows:?}");
    Ok(())
}
