//! Limits of ingest, each with a name and Sentry's own default where it has one.

/// What one request may hold. Cheap to copy; checked while bytes arrive, not after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an encoded body as it comes over the wire. An identity body is held to `envelope_bytes_max` instead.
    pub compressed_bytes_max: u64,
    /// Bytes of an envelope after decompression, also those that are thrown away at once.
    pub envelope_bytes_max: u64,
    /// Bytes of an envelope that are kept in memory. Payloads of unsupported items are not, so that a 100 MiB
    /// attachment costs the event beside it nothing. Also bytes of the records that it becomes: each carries the
    /// envelope's trace header and client, so that a kilobyte of small spans could fill the disk otherwise.
    pub kept_bytes_max: u64,
    /// Bytes of the first line of an envelope, and of the line in front of each item.
    pub header_bytes_max: u64,
    /// Items of an envelope, a container counting as one.
    pub items_max: usize,
    /// Records that one envelope may become.
    pub records_max: usize,
    pub event_bytes_max: u64,
    pub transaction_bytes_max: u64,
    /// Bytes of one span of a container, or of a span that is an item.
    pub span_bytes_max: u64,
    pub log_bytes_max: u64,
    /// Bytes of a container of spans or logs.
    pub container_bytes_max: u64,
    pub session_bytes_max: u64,
    /// Session aggregates of one item.
    pub aggregates_max: usize,
    pub check_in_bytes_max: u64,
    pub client_report_bytes_max: u64,
    /// Rows of all client reports of an envelope whose reasons are kept; what is beyond is one sum a category.
    pub client_report_rows_max: usize,
    /// Frames (members) of one compressed body. One is what clients send.
    pub compressed_frames_max: u32,
    /// The largest zstd window, as a power of two. RFC 8878 recommends 8 MiB; a brotli window is at most 16 MiB by its format.
    pub zstd_window_log_max: u32,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            compressed_bytes_max: 40 * MIB,
            envelope_bytes_max: 200 * MIB,
            kept_bytes_max: 32 * MIB,
            header_bytes_max: 64 * KIB,
            items_max: 1_000,
            records_max: 20_000,
            event_bytes_max: MIB,
            transaction_bytes_max: MIB,
            span_bytes_max: 10 * MIB,
            log_bytes_max: 2 * MIB,
            container_bytes_max: 12 * MIB,
            session_bytes_max: 10 * MIB,
            aggregates_max: 1_000,
            check_in_bytes_max: 100 * KIB,
            client_report_bytes_max: 100 * KIB,
            client_report_rows_max: 100,
            compressed_frames_max: 64,
            zstd_window_log_max: 23,
        }
    }
}
