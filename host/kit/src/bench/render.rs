//! The figures for people.

use std::fmt;

use crate::trial::title;

use super::{BatchCost, BenchReport, PulledColumn};

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, version, kind, events, start, .. } = self;
        writeln!(f, "{}, events: {events}", title(plugin, version, kind))?;
        if !self.optimized {
            writeln!(
                f,
                "this tamis was built without optimization: the host's part of every figure is too high"
            )?;
        }
        writeln!(f, "\nns per event   whole call   extraction    the plugin   an empty one")?;
        for BatchCost { events, category, total_ns, extraction_ns, plugin_ns, empty_ns } in &self.batches {
            let batch = if *category == "transactions" {
                format!("{events} transact.")
            } else {
                format!("batch {events}")
            };
            writeln!(f, "{batch:<15}{total_ns:>10.0}{extraction_ns:>13.0}{plugin_ns:>14.0}{empty_ns:>15.0}")?;
        }
        writeln!(
            f,
            "\nextraction is the host's, shared by stages that pull the same; the plugin is a call that finds its columns extracted"
        )?;
        write_pulled(f, &self.pulled)?;
        writeln!(f, "\nmemory         {:.1} MiB", self.memory_bytes as f64 / f64::from(1 << 20))?;
        writeln!(f, "component      {} KiB", self.component_bytes.div_ceil(1024))?;
        writeln!(f, "compile        {:.1} ms, once for each version on a machine", start.compile_ms)?;
        writeln!(f, "load           {:.2} ms, from the compiled code that the host kept", start.load_ms)?;
        writeln!(f, "instance       {:.3} ms, init included", start.instance_ms)
    }
}

fn write_pulled(f: &mut fmt::Formatter<'_>, pulled: &[PulledColumn]) -> fmt::Result {
    writeln!(f, "\npulled of a batch of {}", super::BATCH_USUAL)?;
    if pulled.is_empty() {
        writeln!(f, "  nothing")?;
    }
    write_columns(f, pulled)
}

/// Characters of a path or selector that are shown.
const PULL_SHOWN_MAX: usize = 100;

/// A line for each column.
pub(crate) fn write_columns(f: &mut fmt::Formatter<'_>, pulled: &[PulledColumn]) -> fmt::Result {
    for PulledColumn { pull, times, rows, bytes } in pulled {
        let end = pull.char_indices().nth(PULL_SHOWN_MAX).map_or(pull.len(), |(at, _)| at);
        let more = if end < pull.len() { "…" } else { "" };
        let repeated = if *times == 1 { String::new() } else { format!(", {times} times") };
        writeln!(f, "{rows:>8} rows {bytes:>9} bytes  {}{more}{repeated}", &pull[..end])?;
    }
    Ok(())
}
