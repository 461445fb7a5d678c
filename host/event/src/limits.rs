//! Limits of the model, each with a name. A configuration may lower them, never raise them.

/// Nesting of one JSON document. Sentry's clients stay under 20; the parser itself does not recurse.
pub const JSON_DEPTH_MAX: usize = 512;
/// Bytes of one JSON document: positions in it are 32 bits wide, and four bytes a node stay free for its neighbours.
pub const JSON_BYTES_MAX: usize = 256 << 20;
/// Keys and values of one JSON document: a million take 20 MB of tape, and an event of the largest size that ingest takes has half as
/// many. A span of ten megabytes of `1,1,1` would have five million.
pub const JSON_NODES_MAX: usize = 1 << 20;
/// Events of one micro-batch.
pub const BATCH_EVENTS_MAX: usize = 1024;
/// Bytes of the text of a path or selector.
pub const PATH_BYTES_MAX: usize = 4096;
/// Steps of paths that are compared with segments of one selector, for one batch. A selector is asked once for each distinct path, and for each value
/// where an index decides: a few million comparisons for a batch of real events. It takes an event and a selector that were made for each other to
/// come near.
pub const SELECTOR_STEPS_MAX: u64 = 1 << 25;
/// Distinct paths that a table of paths holds before it is started anew: keys are the users' to choose.
pub const PATHS_MAX: usize = 65_536;
/// Bytes that edits may add to one event.
pub const EDIT_GROWTH_BYTES_MAX: usize = 4 << 20;
