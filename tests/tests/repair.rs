//! `tamis repair` on a real broker: table files that are gone are rebuilt from the topic, byte for byte in what they say.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tamis_tests::{Home, Kafka, Options, tools};

const TOPIC: &str = "repaired-events";
const EVENTS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn tables_that_are_gone_are_rebuilt_from_the_topic() -> Result<()> {
    let kafka = Kafka::start(1, "")?;
    kafka.make_topic(TOPIC, 1, &[])?;
    let home = Home::new(&Options::default())?;
    let config = home.path().join("tamis.toml");
    let section = format!("[queue.kafka]\nbrokers = \"{}\"\ntopic = \"{TOPIC}\"\n", kafka.brokers());
    fs::write(&config, fs::read_to_string(&config)? + &section)?;
    home.check(|home| {
        let host = home.start()?;
        for chunk in 1..=3 {
            kafka.publish(TOPIC, 0, EVENTS)?;
            wait_for(chunk, &home.store().join("outcomes"))?;
        }
        // Beside a worker that goes on.
        let before = rows(home)?;
        let lost = &files(&home.store().join("events"))?[0];
        fs::remove_file(lost)?;

        let refused = home.tamis(&["repair", "--config", "tamis.toml"])?.output()?;
        let said = String::from_utf8_lossy(&refused.stdout).into_owned();
        ensure!(refused.status.code() == Some(1) && !lost.exists(), "it asks first: {said}");
        ensure!(said.contains("built anew from the queue"), "{said}");
        let (code, said) = on_a_terminal(&mut home.tamis(&["repair", "--config", "tamis.toml"])?, "n")?;
        ensure!(said.contains("do 1 repair? [y/N] ") && said.contains("nothing was changed"), "{said}");
        ensure!(code == Some(1) && !lost.exists(), "a no is a no: {said}");
        let (code, said) = on_a_terminal(&mut home.tamis(&["repair", "--config", "tamis.toml"])?, "y")?;
        ensure!(code == Some(0) && said.contains("done: outcomes/") && lost.exists(), "{said}");
        ensure!(rows(home)? == before, "all rows are back, and the store is sound");
        fs::remove_file(lost)?;
        let said = tools::run(&mut home.tamis(&["repair", "--config", "tamis.toml", "--yes"])?)?;
        ensure!(said.contains("done: outcomes/") && lost.exists(), "{said}");
        ensure!(rows(home)? == before, "and without a question");

        // Of the last chunk there is nothing left, and only the group knows of it.
        let ledgers = files(&home.store().join("outcomes"))?;
        let name = ledgers.last().and_then(|ledger| ledger.file_name()).context("a last chunk")?;
        let mut last = files(&home.store())?;
        last.retain(|path| path.file_name() == Some(name));
        let aside = |index: usize| home.path().join(format!("aside-{index}"));
        for (index, path) in last.iter().enumerate() {
            fs::rename(path, aside(index))?;
        }
        ensure!(home.verify()?["breaches_count"] == 0, "the store alone can not know");
        let verify = home.tamis(&["verify", "--config", "tamis.toml"])?.output()?;
        let said = String::from_utf8_lossy(&verify.stdout).into_owned();
        let start = name.to_str().and_then(|name| name.strip_suffix(".parquet")?.rsplit_once("-o"));
        let (start, end): (usize, _) = (start.context("an offset")?.1.parse()?, 3 * EVENTS);
        let gap = format!("committed at {end}, and offsets {start}..{end} are in no chunk");
        ensure!(verify.status.code() == Some(1) && said.contains(&gap), "{said}");
        for (index, path) in last.iter().enumerate() {
            fs::rename(aside(index), path)?;
        }
        tools::run(&mut home.tamis(&["verify", "--config", "tamis.toml"])?)?;

        // What the topic has forgotten can not be rebuilt, and nothing is made up.
        fs::remove_file(lost)?;
        kafka.forget(TOPIC, 0, EVENTS as i64)?;
        let failed = home.tamis(&["repair", "--config", "tamis.toml", "--yes"])?.output()?;
        let said = String::from_utf8_lossy(&failed.stdout).into_owned();
        ensure!(failed.status.code() == Some(1) && !lost.exists(), "{said}");
        ensure!(said.contains("failed: outcomes/") && said.contains("no longer"), "{said}");
        host.kill9()
    })
}

/// Runs it where somebody sits at a terminal and gives this answer: its exit code, and all that is seen there.
fn on_a_terminal(command: &mut Command, answer: &str) -> Result<(Option<i32>, String)> {
    let terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut terminal_of = Command::new("python3");
    terminal_of.args(["-c", terminal]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => terminal_of.env(name, value),
            None => terminal_of.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        terminal_of.current_dir(folder);
    }
    let mut child = terminal_of.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("its input")?.write_all(format!("{answer}\n").as_bytes())?;
    let output = child.wait_with_output()?;
    Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Of events, in a store that is sound.
fn rows(home: &Home) -> Result<Value> {
    Ok(home.verify()?["rows"]["events"].clone())
}

/// Waits until there are so many chunks.
fn wait_for(chunks: usize, folder: &Path) -> Result<()> {
    let begun = Instant::now();
    while files(folder)?.len() < chunks {
        if begun.elapsed() > PATIENCE {
            bail!("no {chunks} chunks within {PATIENCE:?}");
        }
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// All below a folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    Ok(found)
}
