//! How much text the scrubber goes through, as a component with its default rules, on the errors of the corpus.
//!
//! What counts is the text that its selectors name: the defaults do not look at source code.

use std::hint::black_box;
use std::path::Path;

use host_event::{Columns, Record};
use host_pipeline::{Stage, StageKind};
use pii_scrubber::PiiScrubber;
use tamis_plugin::{Scrubber, testing};

use crate::measure::{Row, in_turn, time};
use crate::{plugin_call, stages};

const BATCH: usize = 256;
const CALLS: usize = 10;
const ROUNDS: usize = 9;

pub fn rows(records: &[Record], cache: &Path) -> anyhow::Result<Vec<Row>> {
    let runtime = stages::runtime(cache)?;
    let mut stage = stages::factory(&runtime, "pii-scrubber", StageKind::Scrubber, "{}")?.instantiate()?;
    let batch = || {
        let mut columns = Columns::default();
        columns.load(records.iter().filter_map(plugin_call::error).take(BATCH).collect());
        columns
    };
    let (mut columns, mut walked) = (batch(), batch());
    let native = testing::init("{}", <PiiScrubber as Scrubber>::init).map_err(anyhow::Error::msg)?;
    let selectors = native.selectors();
    let text = walk_all(&mut walked, &selectors);
    let rate = |seconds: f64| (text * CALLS) as f64 / seconds / 1e6;
    let scrubbed = || {
        let took = time(|| {
            for _ in 0..CALLS {
                columns.changed();
                let answer = stage.run(&mut columns);
                assert!(answer.faults.is_empty(), "{:?}", answer.faults);
                black_box(answer);
            }
        });
        rate(took.cpu.as_secs_f64())
    };
    let walk = || {
        let took = time(|| {
            for _ in 0..CALLS {
                walked.changed();
                black_box(walk_all(&mut walked, &selectors));
            }
        });
        rate(took.cpu.as_secs_f64())
    };
    let (scrubbed, walk) = in_turn(ROUNDS, scrubbed, walk);
    let component = 1.0 / (1.0 / scrubbed - 1.0 / walk);
    let detail = format!(
        "errors of {} bytes of text; the host's walks alone {walk:.0} MB/s, both {scrubbed:.0} MB/s",
        text / BATCH
    );
    let what = "the scrubber as a component beyond the host's walks, MB/s of leaf text per core";
    // The bar does not say whose the walks are, so both readings stand in the table.
    Ok(vec![
        Row::at_least(what, 300.0, component, &detail),
        Row::at_least("the same, the host's walks included", 300.0, scrubbed, &detail),
    ])
}

/// Bytes of the text that the selectors name.
fn walk_all(columns: &mut Columns, selectors: &[String]) -> usize {
    let text = |selector: &String| columns.leaves(selector).expect("a selector of the plugin's").data.len();
    selectors.iter().map(text).sum()
}
