//! What the README tells a newcomer to do first.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use anyhow::Result;
use tamis_tests::tools;

#[test]
fn the_demo_adds_up() -> Result<()> {
    let script = tools::tests().parent().unwrap().join("examples/demo/run.sh");
    // The script ends with 1 if what was sent is not what became of it, if a secret is left, or if verify finds a breach.
    let printed = tools::run(Command::new("bash").arg(script).env_remove("KEEP"))?;
    let line =
        |start: &str| printed.lines().map(str::trim).find(|line| line.starts_with(start)).unwrap_or_default();
    for (start, parts) in [
        ("error  ", ["accepted", "filtered", "client discard"]),
        ("transaction  ", ["accepted", "filtered", "sampled out"]),
    ] {
        let sums: Vec<_> = printed
            .lines()
            .map(str::trim)
            .filter(|l| l.starts_with(start) && l.contains(" sent = "))
            .collect();
        assert_eq!(sums.len(), 1, "{printed}");
        assert!(parts.iter().all(|part| sums[0].contains(part)), "{}", sums[0]);
    }
    // One bug with six messages, and one message with three numbers.
    for (title, count) in [("PaymentDeclined", "6"), ("carrier answered", "3"), ("CarrierError", "3")] {
        let words: Vec<_> = line(title).split_whitespace().collect();
        assert!(words.contains(&count), "{title} is not {count} times in one group:\n{printed}");
    }
    Ok(())
}
