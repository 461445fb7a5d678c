//! Whether an event is kept at a rate: a function of its trace, so that every machine, and a Relay beside it, says the same.
//!
//! The rule is Relay's published one: Pcg32, seeded with the two halves of the id, gives a number in [0, 1), and an
//! event is kept if that is below the rate.

use host_event::{Category, Doc, Event, EventId, NodeRef};
use rand_pcg::{Pcg32, rand_core::Rng};

/// A number in [0, 1) that belongs to the trace (or, without one, to the event).
pub fn draw(event: &Event) -> f64 {
    uniform(trace_id(event).unwrap_or(event.meta.event_id))
}

/// As `draw`, but another number for each `salt`: whoever is drawn for a canary must not be who is drawn by a sampler.
pub(crate) fn share_draw(event: &Event, salt: u64) -> f64 {
    let id = trace_id(event).unwrap_or(event.meta.event_id);
    // Two odd constants, so that neighbouring salts have nothing in common.
    let salt = u128::from(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64
        | u128::from(salt.wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1);
    uniform(EventId(id.0 ^ salt))
}

fn uniform(id: EventId) -> f64 {
    let mut random = Pcg32::new((id.0 >> 64) as u64, id.0 as u64);
    // 52 bits, as the uniform distribution that Relay uses takes them.
    (random.next_u64() >> 12) as f64 / (1u64 << 52) as f64
}

/// The trace header's, else the one in the event.
fn trace_id(event: &Event) -> Option<EventId> {
    let root = event.doc.root();
    let read = |node: Option<NodeRef<'_>>| node.and_then(NodeRef::as_str).and_then(|id| EventId::parse(&id));
    header(event)
        .and_then(|trace| read(trace.root().get("trace_id")))
        .or_else(|| read(root.dig(&["contexts", "trace", "trace_id"])))
        .or_else(|| read(root.get("trace_id")))
}

/// The rate that the client says it sampled its traces with. An error is no trace: it counts as itself.
pub fn client_sample_rate(event: &Event) -> f64 {
    if !matches!(event.category, Category::Transaction | Category::Span) {
        return 1.0;
    }
    let rate = header(event).and_then(|trace| {
        let rate = trace.root().get("sample_rate")?;
        rate.as_f64().or_else(|| rate.as_str()?.parse().ok())
    });
    rate.filter(|rate| *rate > 0.0 && *rate <= 1.0).unwrap_or(1.0)
}

fn header(event: &Event) -> Option<Doc> {
    if event.meta.trace.is_empty() { None } else { Doc::parse(event.meta.trace.clone()).ok() }
}

#[cfg(test)]
mod tests {
    use host_event::Meta;

    use super::*;

    fn event(category: Category, json: &'static str, trace: &'static str) -> Event {
        let meta = Meta {
            event_id: EventId(5),
            trace: bytes::Bytes::from_static(trace.as_bytes()),
            ..Meta::default()
        };
        Event { offset: 0, queued_at: 0, category, meta, doc: Doc::parse(json).unwrap() }
    }

    #[test]
    fn one_trace_one_draw() {
        const ID: &str = r#"{"trace_id":"4c79f60c11214eb38604f4ae0781bfb2","sample_rate":"0.25"}"#;
        let by_header = event(Category::Transaction, "{}", ID);
        let by_context = event(
            Category::Error,
            r#"{"contexts":{"trace":{"trace_id":"4c79f60c11214eb38604f4ae0781bfb2"}}}"#,
            "",
        );
        let by_field = event(Category::Log, ID, "not json");
        assert_eq!(draw(&by_header), draw(&by_context));
        assert_eq!(draw(&by_header), draw(&by_field));
        assert_ne!(draw(&by_header), draw(&event(Category::Error, "{}", "")));
        assert_eq!(client_sample_rate(&by_header), 0.25);
        assert_eq!(client_sample_rate(&event(Category::Error, "{}", ID)), 1.0);
        assert_eq!(client_sample_rate(&event(Category::Span, "{}", r#"{"sample_rate":0}"#)), 1.0);
    }

    #[test]
    fn a_share_of_traces_is_no_share_of_samples() {
        let mut counts = [0; 4];
        for i in 0..10_000u128 {
            let mut event = event(Category::Error, "{}", "");
            event.meta.event_id = EventId(i << 64 | (i * 7919));
            let (sampled, first, second) = (draw(&event), share_draw(&event, 12), share_draw(&event, 13));
            assert_eq!(first, share_draw(&event, 12));
            let hits = [first < 0.1, second < 0.1, first < 0.1 && second < 0.1, first < 0.1 && sampled < 0.1];
            counts.iter_mut().zip(hits).for_each(|(count, hit)| *count += usize::from(hit));
        }
        let [first, second, both, both_sampled] = counts;
        assert!((900..1100).contains(&first) && (900..1100).contains(&second), "{counts:?}");
        assert!((60..140).contains(&both) && (60..140).contains(&both_sampled), "{counts:?}");
    }

    #[test]
    fn draws_are_uniform() {
        let below = (0..10_000u128).filter(|i| uniform(EventId(i << 64 | (i * 7919))) < 0.1).count();
        assert!((900..1100).contains(&below), "{below}");
    }
}
