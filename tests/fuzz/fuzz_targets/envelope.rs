//! Framing answers any bytes, says the same however they are cut, and every item that was announced is there or accounted for.
#![no_main]

use host_ingest::Limits;
use host_ingest::envelope::{Framer, Payload, split};
use libfuzzer_sys::fuzz_target;

/// Small limits, so that short inputs reach them.
fn limits() -> Limits {
    Limits {
        envelope_bytes_max: 4096,
        kept_bytes_max: 2048,
        header_bytes_max: 256,
        items_max: 16,
        event_bytes_max: 512,
        transaction_bytes_max: 512,
        span_bytes_max: 128,
        log_bytes_max: 128,
        container_bytes_max: 512,
        session_bytes_max: 128,
        check_in_bytes_max: 128,
        client_report_bytes_max: 128,
        ..Limits::default()
    }
}

fuzz_target!(|data: &[u8]| {
    let whole = split(data, &limits());
    let cut = data.first().map_or(0, |b| usize::from(*b)).min(data.len());
    let mut framer = Framer::new(limits());
    let fed = framer.feed(&data[..cut]).and_then(|()| framer.feed(&data[cut..]));
    let pieces = fed.and_then(|()| {
        assert!(framer.kept_bytes() <= 1 << 14, "{} bytes are held", framer.kept_bytes());
        framer.finish()
    });
    assert_eq!(whole.is_ok(), pieces.is_ok(), "whole {whole:?}, in pieces {pieces:?}");
    let (Ok(whole), Ok(pieces)) = (whole, pieces) else { return };
    assert_eq!(whole, pieces);
    for item in &whole.items {
        assert!(item.quantity() >= 1);
        if let Payload::Kept(payload) = &item.payload {
            assert!(payload.len() <= 512);
        }
    }
});
