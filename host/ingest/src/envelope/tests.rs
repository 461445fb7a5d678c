use proptest::prelude::*;

use super::*;

/// What came of an envelope, in a form that a table can hold: items as `type:payload`, then `!what` of a broken one.
fn told(envelope: &Envelope) -> Vec<String> {
    let item = |item: &Item| {
        let payload = match &item.payload {
            Payload::Kept(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Payload::TooLarge(bytes) => format!("TOO LARGE {bytes}"),
            Payload::Unsupported(bytes) => format!("UNSUPPORTED {bytes}"),
        };
        format!("{}:{payload}", item.kind.as_str())
    };
    let broken = envelope.broken.iter().map(|b| format!("!{}x{}", b.category, b.quantity));
    envelope.items.iter().map(item).chain(broken).collect()
}

fn check(bytes: &[u8], want: Result<&[&str], &str>) {
    let limits = Limits { event_bytes_max: 20, ..Limits::default() };
    let got = split(bytes, &limits).map(|e| told(&e)).map_err(|e| e.to_string());
    let want = want.map(|w| w.iter().map(|s| s.to_string()).collect::<Vec<_>>()).map_err(str::to_owned);
    assert_eq!(got, want, "{}", String::from_utf8_lossy(bytes));
}

#[test]
fn framing() {
    let cases: &[(&str, &[&str])] = &[
        ("{}", &[]),
        ("{}\n", &[]),
        ("{}\n\n\n", &[]),
        // Implicit lengths, with and without the last newline; `\r` belongs to the payload.
        ("{}\n{\"type\":\"event\"}\n{\"a\":1}", &["event:{\"a\":1}"]),
        ("{}\n{\"type\":\"event\"}\n{\"a\":1}\r\n", &["event:{\"a\":1}\r"]),
        ("{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"log\"}\n[]\n", &["event:{}", "log:[]"]),
        // Lengths, a payload with newlines, a payload at the end, nothing at all.
        ("{}\n{\"type\":\"event\",\"length\":4}\n{\n\n}\n", &["event:{\n\n}"]),
        ("{}\n{\"type\":\"event\",\"length\":2}\n{}", &["event:{}"]),
        ("{}\n{\"type\":\"session\",\"length\":0}\n", &["session:"]),
        ("{}\n{\"type\":\"session\",\"length\":0}\n\n{\"type\":\"event\"}\n{}", &["session:", "event:{}"]),
        ("{}\n{\"type\":\"session\"}", &["session:"]),
        ("{}\n{\"type\":\"session\"}\n\n{\"type\":\"event\"}\n{}", &["session:", "event:{}"]),
        ("{}\n{\"type\":\"event\",\"length\":null}\n{}", &["event:{}"]),
        // Types that are not kept, and items that are too large, let the others live.
        (
            "{}\n{\"type\":\"attachment\",\"length\":3}\na\nb\n{\"type\":\"event\"}\n{}",
            &["attachment:UNSUPPORTED 3", "event:{}"],
        ),
        (
            "{}\n{\"type\":\"event\",\"length\":21}\n012345678901234567890\n{\"type\":\"log\"}\n1",
            &["event:TOO LARGE 21", "log:1"],
        ),
        (
            "{}\n{\"type\":\"event\"}\n012345678901234567890\n{\"type\":\"log\"}\n1",
            &["event:TOO LARGE 21", "log:1"],
        ),
        // Lying and truncated lengths: what was before survives.
        ("{}\n{\"type\":\"log\"}\n1\n{\"type\":\"event\",\"length\":3}\n{}", &["log:1", "!errorx1"]),
        (
            "{}\n{\"type\":\"log\"}\n1\n{\"type\":\"event\",\"length\":1}\n{}\n{\"type\":\"log\"}\n1",
            &["log:1", "!errorx1"],
        ),
        ("{}\n{\"type\":\"event\",\"length\":9}", &["!errorx1"]),
        ("{}\n{\"type\":\"span\",\"item_count\":3,\"length\":9}\n{}{}{}", &["!spanx3"]),
        ("{}\n{\"type\":\"span\",\"item_count\":99999999,\"length\":9}\n{}{}{}", &["!spanx4"]),
        ("{}\n{\"type\":\"event\",\"length\":-1}\n{}", &["!unknownx1"]),
        ("{}\n{\"type\":\"event\",\"length\":\"2\"}\n{}", &["!unknownx1"]),
        ("{}\n{\"length\":2}\n{}", &["!unknownx1"]),
        ("{}\n{\"type\":\"log\"}\n1\n{nonsense\n{}", &["log:1", "!unknownx1"]),
        ("{}\n[]\n{}", &["!unknownx1"]),
        ("{}\n{\"type\":\"event\",\"length\":18446744073709551615}\n{}", &["!unknownx1"]),
        ("{}\n{\"type\":\"event\",\"length\":9223372036854775807}\n{}", &["!errorx1"]),
    ];
    for (bytes, want) in cases {
        check(bytes.as_bytes(), Ok(want));
    }
    check(b"", Err("envelope is empty"));
    check(b"\n{}", Err("envelope header is invalid JSON at byte 0: text ends where a value should be"));
    check(b"[]", Err("envelope header is no JSON object"));
    check(b"{\"event_id\":\"x\"}", Err("envelope header is without a valid event_id"));
    check(b"\xff\n", Err("envelope header is invalid JSON at byte 0: not UTF-8"));
}

#[test]
fn limits_of_the_whole() {
    let small = Limits { envelope_bytes_max: 50, header_bytes_max: 30, items_max: 2, ..Limits::default() };
    let long_header = format!("{{\"a\":\"{}\"}}", "x".repeat(30));
    let split_as = |bytes: &str| split(bytes.as_bytes(), &small).map(|e| told(&e));
    assert_eq!(split_as(&"x".repeat(51)), Err(Fault::TooLarge(50)));
    assert_eq!(split_as(&long_header), Err(Fault::HeaderTooLarge(30)));
    assert_eq!(split_as(&format!("{{}}\n{long_header}")).unwrap(), ["!unknownx1"]);
    let item = "\n{\"type\":\"x\"}\n";
    assert_eq!(
        split_as(&format!("{{}}{item}{item}{item}")).unwrap(),
        ["x:UNSUPPORTED 0", "x:UNSUPPORTED 0", "!unknownx1"]
    );
    let kept = Limits { kept_bytes_max: 10, ..Limits::default() };
    let two = "{}\n{\"type\":\"log\"}\n123456\n{\"type\":\"log\"}\n123456";
    assert!(split(two.as_bytes(), &kept).is_err_and(|f| f.is_too_large()));
}

#[test]
fn header_fields() {
    let header = r#"{"event_id":"9ec79c33-ec99-42ab-8353-589fcb2e04dc","sent_at":"2026-11-22T19:00:00.5Z","dsn":"d",
        "sdk":{"name":"sentry.python","version":"2.75.0"},"trace":{"trace_id":"0123456789abcdef0123456789abcdef"},"new":1}"#;
    let got = split(header.replace('\n', " ").as_bytes(), &Limits::default()).unwrap().header;
    let want = Header {
        event_id: EventId::parse("9ec79c33ec9942ab8353589fcb2e04dc"),
        dsn: Some("d".into()),
        sent_at: Some(1_795_374_000_500),
        sdk: "sentry.python/2.75.0".into(),
        trace: Bytes::from_static(br#"{"trace_id":"0123456789abcdef0123456789abcdef"}"#),
        trace_id: EventId::parse("0123456789abcdef0123456789abcdef"),
    };
    assert_eq!(got, want);
    let odd =
        split(br#"{"event_id":null,"sent_at":7,"sdk":[],"trace":"x","dsn":1}"#, &Limits::default()).unwrap();
    assert_eq!(odd.header, Header::default());
}

/// Pieces of envelopes, so that random text is not only noise.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"{}\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"{\"type\":\"event\"}\n".to_vec()),
        Just(b"{\"type\":\"attachment\",\"length\":3}\n".to_vec()),
        (0u64..40)
            .prop_map(|n| format!("{{\"type\":\"log\",\"length\":{n},\"item_count\":{n}}}\n").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..30),
    ]
}

/// The number of items that the header lines announce, found by a second, naive reading from the left.
fn announced(bytes: &[u8], limits: &Limits) -> usize {
    let mut rest = match bytes.iter().position(|b| *b == b'\n') {
        Some(at) => &bytes[at + 1..],
        None => return 0,
    };
    let mut count = 0;
    while !rest.is_empty() {
        let at = rest.iter().position(|b| *b == b'\n');
        let (line, behind) = rest.split_at(at.unwrap_or(rest.len()));
        rest = behind.get(1..).unwrap_or_default();
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        count += 1;
        let Ok(open) = parse_item_header(line.to_vec()) else { return count };
        let length = open.announced.map_or_else(
            || rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
            |n| usize::try_from(n).unwrap_or(usize::MAX),
        );
        match (rest.get(length), rest.len() >= length) {
            (Some(b'\n'), _) => rest = &rest[length + 1..],
            (None, true) => rest = &[],
            _ => return count,
        }
        if count > limits.items_max {
            return count;
        }
    }
    count
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_are_answered_the_same_and_every_item_is_accounted(
        pieces in proptest::collection::vec(piece(), 0..12),
        cuts in proptest::collection::vec(0usize..400, 0..6),
        well_begun in any::<bool>(),
    ) {
        let mut bytes = if well_begun { b"{}\n".to_vec() } else { Vec::new() };
        bytes.extend(pieces.concat());
        let limits = Limits { event_bytes_max: 9, ..Limits::default() };
        let whole = split(&bytes, &limits);
        let mut framer = Framer::new(limits);
        let mut cuts: Vec<_> = cuts.into_iter().filter(|c| *c < bytes.len()).collect();
        cuts.sort_unstable();
        let mut from = 0;
        let mut fed = Ok(());
        for cut in cuts.into_iter().chain([bytes.len()]) {
            fed = fed.and_then(|()| framer.feed(&bytes[from..cut]));
            from = cut;
        }
        prop_assert_eq!(&fed.and_then(|()| framer.finish()), &whole);
        if let Ok(envelope) = whole {
            let found = envelope.items.len() + usize::from(envelope.broken.is_some());
            prop_assert_eq!(found, announced(&bytes, &limits));
        }
    }
}
