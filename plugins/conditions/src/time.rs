//! Times as clients and rules write them: RFC 3339 texts.

/// Milliseconds since 1970-01-01 UTC of an RFC 3339 text, e.g. `2026-11-22T19:00:00.5Z` or `2026-11-22 19:00:00+01:00`. A time
/// without a zone is UTC, a date alone is its midnight: clients and people leave them out.
pub fn parse_millis(text: &str) -> Option<i64> {
    parse_seconds(text).map(|seconds| (seconds * 1000.0).round() as i64)
}

/// The same in seconds, with their fraction.
pub fn parse_seconds(text: &str) -> Option<f64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00:00Z"),
    };
    let mut parts = date.split('-');
    let (year, month, day) =
        (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let (clock, zone) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => (time, "Z"),
    };
    let seconds = days_since_1970(year, month, day) * 86_400 - offset(zone)?;
    Some(seconds as f64 + clock_seconds(clock)?)
}

fn clock_seconds(clock: &str) -> Option<f64> {
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().unwrap_or("00");
    let (whole, fraction) = second.split_once('.').unwrap_or((second, "0"));
    let whole = digits(whole, 2)?;
    if parts.next().is_some() || hour > 23 || minute > 59 || whole > 60 {
        return None;
    }
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    Some((hour * 3600 + minute * 60 + whole) as f64 + fraction)
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'Z' | b'z' => return (zone.len() == 1).then_some(0),
        b'+' => 1,
        _ => -1,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts in years that begin in March, so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_before_month = (153 * month + 2) / 5;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    const BEFORE_1970: i64 = 719_469;
    365 * year + leap_days + days_before_month + day - BEFORE_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01", Some(0)),
            ("2000-02-29T12:00:00.250Z", Some(951_825_600_250)),
            ("2026-11-22T19:00:00+01:00", Some(1_795_370_400_000)),
            ("2026-11-22 18:00:00", Some(1_795_370_400_000)),
            ("2026-11-22t18:00z", Some(1_795_370_400_000)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("2026-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-22T24:00:00Z", None),
            ("2026-11-22T18:00:00.Z", None),
            ("2026-11-22T18:00:00+1", None),
            ("26-11-22", None),
            ("yesterday", None),
            ("", None),
            ("é-11-22", None),
        ] {
            assert_eq!(parse_millis(text), want, "{text}");
        }
    }
}
