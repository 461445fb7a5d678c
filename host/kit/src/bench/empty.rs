//! Plugins that do nothing: what a call costs by itself.

use host_pipeline::StageKind;

use crate::bench::BATCH_MAX;
use crate::trial::Subject;
use crate::{KitError, encode_as};

/// Where zeros are, and where a sampler has its ones: behind them there is room for a list of the largest batch.
const ZEROS: u32 = 32_768;
const ONES: u32 = 49_152;
/// Where the answer is put together.
const ANSWER: u32 = 64;

/// One that has no opinion about any event.
pub(super) fn empty(kind: StageKind) -> Result<Subject, KitError> {
    let (interface, function, lists) = match kind {
        StageKind::Filter => ("filtering", "filter", &[Some(ZEROS), None][..]),
        StageKind::Sampler => ("sampling", "sample", &[Some(ONES), Some(ZEROS), None][..]),
        StageKind::Scrubber => ("scrubbing", "scrub", &[None; 7][..]),
        StageKind::Fingerprinter => {
            ("fingerprinting", "fingerprint", &[Some(ZEROS), None, None, None, None][..])
        }
    };
    // Memory is zero: lists without entries are there already, and so is the result of `init`.
    let store = |(at, list): (u32, &Option<u32>)| {
        let at = ANSWER + 8 * at;
        list.map(|from| {
            format!(
                "(i32.store (i32.const {at}) (i32.const {from})) (i32.store (i32.const {}) (local.get $len))",
                at + 4
            )
        })
    };
    let stores: String = (0..).zip(lists).filter_map(store).collect();
    let ones = r"\00\00\00\00\00\00\f0\3f".repeat(BATCH_MAX);
    let module = format!(
        r#"(module
        (import "tamis:plugin/batch@0.1.0" "len" (func $len (result i32)))
        (memory (export "memory") 1)
        (data (i32.const {ONES}) "{ones}")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "tamis:plugin/{interface}@0.1.0#init") (param i32 i32) (result i32) (i32.const 0))
        (func (export "tamis:plugin/{interface}@0.1.0#{function}") (result i32) (local $len i32)
            (local.set $len (call $len)) {stores} (i32.const {ANSWER})))"#
    );
    let module = wat::parse_str(module).map_err(|error| KitError::Encode(error.to_string()))?;
    Subject::of("empty", encode_as(kind, &module)?).map_err(KitError::NotAPlugin)
}

#[cfg(test)]
mod tests {
    use host_pipeline::{Answer, Stage, StageAnswer};

    use super::*;
    use crate::bench::corpus;
    use crate::trial::{Lines, Workbench};

    #[test]
    fn none_has_an_opinion() {
        let dir = tempfile::tempdir().unwrap();
        let workbench = Workbench::new(dir.path(), Lines::Ignored).unwrap();
        for kind in StageKind::ALL {
            let mut stage = workbench.load_plain(&empty(kind).unwrap(), "{}").unwrap().instantiate().unwrap();
            for events in [1, BATCH_MAX] {
                let answer = stage.run(&mut crate::batch_of(corpus::errors(events)));
                let want = StageAnswer { answer: Answer::neutral(kind, events), faults: Vec::new() };
                assert_eq!(answer, want, "{kind:?}");
            }
        }
    }
}
