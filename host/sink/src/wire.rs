//! What clients write, read without trust: members of objects in one walk, times in three notations, ids, rates.

use std::borrow::Cow;

use host_event::{EventId, Kind, Millis, NodeRef};
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// How far an event's time may be from the time of receipt. Beyond that a clock is broken, and the receipt's time counts.
const CLOCK_SKEW_DAYS_MAX: i64 = 3653;
const DAY_MICROS: i64 = 86_400_000_000;

/// Declares a struct of the members that matter of an object, and reads them in one walk over its keys.
///
/// As in `NodeRef::get`, the last of equal keys counts and null is absent.
macro_rules! fields {
    (struct $Name:ident { $($field:ident = $key:literal,)+ }) => {
        #[derive(Default, Clone, Copy)]
        struct $Name<'a> {
            $($field: Option<host_event::NodeRef<'a>>,)+
        }

        impl<'a> $Name<'a> {
            fn of(object: impl Into<Option<host_event::NodeRef<'a>>>) -> Self {
                let mut found = Self::default();
                for (key, value) in object.into().iter().flat_map(|o| o.entries()) {
                    let slot = match &*$crate::wire::key_of(key) {
                        $($key => &mut found.$field,)+
                        _ => continue,
                    };
                    *slot = Some(value).filter(|v| v.kind() != host_event::Kind::Null);
                }
                found
            }
        }
    };
}
pub(crate) use fields;

/// The bytes of a key.
pub(crate) fn key_of(key: NodeRef<'_>) -> Cow<'_, [u8]> {
    if !key.has_escapes() {
        return Cow::Borrowed(key.content());
    }
    match key.as_str() {
        Some(text) => Cow::Owned(text.into_owned().into_bytes()),
        None => Cow::Borrowed(&[]),
    }
}

/// Keys and values of an object, or of a list of `[key, value]` pairs.
pub(crate) fn members<'a>(node: NodeRef<'a>) -> impl Iterator<Item = (NodeRef<'a>, NodeRef<'a>)> {
    let pairs = node.items().filter_map(|pair| {
        let mut items = pair.items();
        Some((items.next()?, items.next()?))
    });
    node.entries().chain(pairs)
}

/// A time in microseconds: seconds since 1970 as a number or in a string, or RFC 3339, whose zone may be missing (UTC then).
fn micros(node: Option<NodeRef<'_>>) -> Option<i64> {
    let node = node?;
    match node.kind() {
        Kind::Number => node.as_f64().and_then(micros_of_seconds),
        Kind::String => {
            let text = node.as_str()?;
            let text = text.trim();
            let zoned = || text.parse::<jiff::Timestamp>().ok();
            let local = || Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
            let seconds = || text.parse().ok().and_then(micros_of_seconds);
            zoned().or_else(local).map(|t| t.as_microsecond()).or_else(seconds)
        }
        _ => None,
    }
}

fn micros_of_seconds(seconds: f64) -> Option<i64> {
    let micros = (seconds * 1e6).round();
    (micros.abs() < 9e18).then_some(micros as i64)
}

/// The event's own time, or that of the receipt where the event's can not be read or is far off.
pub(crate) fn plausible_micros(node: Option<NodeRef<'_>>, received_at: Millis) -> i64 {
    near_micros(node, received_at).unwrap_or(micros_of_millis(received_at))
}

/// A time that is not far off from the receipt. Others would not even fit the calendars of some readers.
pub(crate) fn near_micros(node: Option<NodeRef<'_>>, received_at: Millis) -> Option<i64> {
    micros(node).filter(|t| is_near(*t, received_at))
}

fn is_near(micros: i64, received_at: Millis) -> bool {
    micros.abs_diff(micros_of_millis(received_at)) <= (CLOCK_SKEW_DAYS_MAX * DAY_MICROS) as u64
}

pub(crate) fn micros_of_millis(millis: Millis) -> i64 {
    millis.saturating_mul(1000)
}

/// A trace id: 32 hexadecimal digits, dashes allowed.
pub(crate) fn trace_id(node: Option<NodeRef<'_>>) -> Option<u128> {
    EventId::parse(&node?.as_str()?).map(|id| id.0)
}

/// A span id: 16 hexadecimal digits, in lower case.
pub(crate) fn span_id(node: Option<NodeRef<'_>>) -> Option<String> {
    let text = node?.as_str()?;
    let is_id = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then(|| text.to_ascii_lowercase())
}

/// A number that a column can hold: JSON knows larger ones, which would be infinite.
pub(crate) fn finite(node: Option<NodeRef<'_>>) -> Option<f64> {
    node?.as_f64().filter(|number| number.is_finite())
}

/// The value of an attribute `{"value": …, "type": …}`.
pub(crate) fn attribute_value(attribute: Option<NodeRef<'_>>) -> Option<NodeRef<'_>> {
    attribute?.get("value")
}

/// A sample rate is in (0, 1]; anything else would make weights infinite, negative or nothing, and counts as 1.
pub(crate) fn sane_rate(rate: f64) -> f64 {
    if rate > 0.0 && rate <= 1.0 { rate } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_event::Doc;

    #[test]
    fn times_of_clients() {
        let cases = [
            ("1732450000.123456", Some(1_732_450_000_123_456)),
            ("1732450000", Some(1_732_450_000_000_000)),
            ("\"1732450000.5\"", Some(1_732_450_000_500_000)),
            ("\"2024-11-24T12:06:40Z\"", Some(1_732_450_000_000_000)),
            ("\"2024-11-24T12:06:40.123456Z\"", Some(1_732_450_000_123_456)),
            ("\"2024-11-24T13:06:40+01:00\"", Some(1_732_450_000_000_000)),
            ("\"2024-11-24T12:06:40\"", Some(1_732_450_000_000_000)),
            ("\"2024-11-24T12:06:40.5\"", Some(1_732_450_000_500_000)),
            ("\"yesterday\"", None),
            ("\"\"", None),
            ("1e300", None),
            ("-1e300", None),
            ("\"nan\"", None),
            ("true", None),
            ("[1]", None),
        ];
        for (text, want) in cases {
            let doc = Doc::parse(text).unwrap();
            assert_eq!(micros(Some(doc.root())), want, "{text}");
        }
    }

    #[test]
    fn broken_clocks_do_not_count() {
        let received = 1_732_450_000_000;
        let day = DAY_MICROS;
        let at = received * 1000;
        let cases = [
            (at - day, true),
            (at - 3652 * day, true),
            (at - 3654 * day, false),
            (at + 3654 * day, false),
            (i64::MIN, false),
            (i64::MAX, false),
        ];
        for (own, want) in cases {
            assert_eq!(is_near(own, received), want, "{own}");
        }
        assert_eq!(plausible_micros(None, received), at);
    }

    #[test]
    fn rates_are_sane() {
        for (rate, want) in [(0.25, 0.25), (1.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0)] {
            assert_eq!(sane_rate(rate), want);
        }
    }
}
