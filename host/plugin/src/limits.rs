//! Every limit that a plugin lives under, with its name and default.

use std::time::Duration;

use host_pipeline::StageKind;

/// Bytes of a component that are read at all. A Python interpreter with its library is 18 MB.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;
/// Bytes of native stack that one call into a guest may use. Compiled code depends on it, so it is the engine's, not the
/// stage's. Threads have 2 MiB by default: the host's own functions run above the guest's.
pub const STACK_BYTES_MAX: usize = 512 << 10;
/// How often the clock of the guests ticks. A deadline is noticed up to two ticks late.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);
/// Bytes of one line of a guest's log.
pub const LOG_LINE_BYTES_MAX: usize = 4 << 10;
/// Bytes of what a guest wrote last that go into the report of its failure.
pub const LOG_TAIL_BYTES_MAX: usize = 4 << 10;
/// Segments of a path that a plugin pulls. A segment takes much more when it is parsed than its two bytes of text.
pub const PATH_SEGMENTS_MAX: usize = 128;
/// Bytes of a reason or of a rule's name that an answer may hold: they become cells of the tables.
pub const NAME_BYTES_MAX: usize = 512;
/// Bytes of one fingerprint.
pub const FINGERPRINT_BYTES_MAX: usize = 64;
/// Fingerprints of one event.
pub const FINGERPRINTS_MAX: u32 = 64;
/// Edits of one batch, and bytes of the texts in them.
pub const EDITS_MAX: usize = 1 << 18;
pub const EDIT_TEXT_BYTES_MAX: usize = 64 << 20;
/// Entries of the reasons, rules or kinds that an answer brings along. A plugin that sends all that it knows has some hundreds.
pub const NAMES_MAX: usize = 1 << 16;
/// Core instances, tables and memories of one component. What the encoder makes has four, two and one.
pub const INSTANCES_MAX: usize = 64;
/// Handles of resources that one instance may hold at a time. The interface has none; a component can only have its own.
pub const HANDLES_MAX: usize = 1024;
/// A stage that keeps failing is left alone for at least so many times the time that its failure took, up to `back_off_max`: others
/// of the same worker have four fifths of the time then.
pub const BACK_OFF_PER_TIME_SPENT: u32 = 4;

/// What one stage may use. A pipeline's definition may set each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of one instance, all its memories together.
    pub memory_bytes_max: usize,
    /// Memory at which an instance is replaced between two batches: guest memory never shrinks.
    pub memory_bytes_recycle: usize,
    /// Elements of all its tables together.
    pub table_elements_max: usize,
    /// Time of one call, that is of one batch.
    pub call_time_max: Duration,
    /// Time to instantiate and `init`.
    pub init_time_max: Duration,
    /// Bytes that one answer, or the arguments of one host call, may copy into the host.
    pub answer_bytes_max: usize,
    /// Calls of the host's functions during one call.
    pub host_calls_max: u64,
    /// Bytes that the host's functions hand to the guest during one call, and keep for it until the batch ends.
    pub host_call_bytes_max: u64,
    /// Lines that reach the host's log in a second; the others are counted.
    pub log_lines_per_second_max: u32,
    /// Events of one batch that a failure is traced to. When more fail, the rest of the batch fails with them.
    pub isolated_faults_max: usize,
    /// Time spent on finding the events that a batch failed on.
    pub isolation_time_max: Duration,
    /// Failed batches in a row after which the stage is left alone for a while.
    pub failed_batches_max: u32,
    /// The first time that a failing stage is left alone; it doubles with each further failure, up to the second.
    pub back_off_min: Duration,
    pub back_off_max: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes_max: 256 << 20,
            memory_bytes_recycle: 192 << 20,
            table_elements_max: 100_000,
            call_time_max: Duration::from_secs(1),
            init_time_max: Duration::from_secs(5),
            answer_bytes_max: 32 << 20,
            host_calls_max: 100_000,
            host_call_bytes_max: 256 << 20,
            log_lines_per_second_max: 100,
            isolated_faults_max: 64,
            isolation_time_max: Duration::from_secs(5),
            failed_batches_max: 5,
            back_off_min: Duration::from_secs(1),
            back_off_max: Duration::from_secs(60),
        }
    }
}

/// The interface that a plugin of a kind exports, without its version.
pub(crate) fn export_of(kind: StageKind) -> &'static str {
    match kind {
        StageKind::Filter => "tamis:plugin/filtering",
        StageKind::Sampler => "tamis:plugin/sampling",
        StageKind::Scrubber => "tamis:plugin/scrubbing",
        StageKind::Fingerprinter => "tamis:plugin/fingerprinting",
    }
}
