//! Dates and times, in the forms that runtimes print.

use super::cursor::Cursor;

const WEEKDAYS: &[&str] = &["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const WEEKDAYS_IN_FULL: &[&str] =
    &["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: &[&str] = &["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What begins with a digit, in the order in which Sentry tries it.
pub(crate) fn from_digit(cursor: &mut Cursor<'_>, at: usize, bounded: bool) -> Option<usize> {
    // All begin with one or two digits and a colon, with four digits, or with a day and a space.
    let digits = cursor.digits_end(at) - at;
    let text = Text(cursor);
    if digits >= 4 {
        let found = text.rfc3339(at).or_else(|| text.date_time(at));
        if found.is_some() {
            return found;
        }
    }
    let behind = cursor.byte(at + digits.min(3));
    if digits <= 2 && behind == b':' {
        let found = text.kitchen(at, true).or_else(|| text.kitchen(at, false));
        return found.or_else(|| text.fixed(at, "H:N:N"));
    }
    if digits == 4 {
        return text.fixed(at, "dddd-M-D");
    }
    if digits <= 2 && bounded && text.0.space(at + digits).is_some() { text.day_first(at) } else { None }
}

/// What begins with the name of a day or a month, or is how Python prints a `datetime`.
pub(crate) fn from_letter(cursor: &Cursor<'_>, at: usize, bounded: bool) -> Option<usize> {
    let text = Text(cursor);
    match cursor.bytes[at] {
        b'S' | b'M' | b'T' | b'W' | b'F' => {
            let weekday = text.one_of(at, WEEKDAYS);
            let found = weekday.and_then(|end| text.rfc822(end));
            let found = found.or_else(|| text.month_day_year(text.space(weekday?)?));
            let found = found.or_else(|| text.month_day_year(at));
            let found = found.or_else(|| text.rfc850(at));
            let found = found.or_else(|| text.javascript(weekday?));
            let old = || {
                let spaced = weekday.and_then(|end| text.spaces(end)).and_then(|at| text.ctime(at));
                let with_comma = || text.day_first(text.spaces(text.literal(weekday?, ",")?)?);
                spaced.or_else(|| text.ctime(at)).or_else(with_comma)
            };
            found.or_else(|| bounded.then(old).flatten())
        }
        b'J' | b'A' | b'O' | b'N' | b'D' => {
            let found = text.month_day_year(at);
            found.or_else(|| bounded.then(|| text.ctime(at)).flatten())
        }
        b'd' => text.python(at),
        _ => None,
    }
}

/// The forms. Each takes where to begin and gives where the form ends.
struct Text<'c, 'a>(&'c Cursor<'a>);

impl Text<'_, '_> {
    /// `2026-11-24T12:34:56.789Z`, `2026-11-24T12:34:56+01:00`.
    fn rfc3339(&self, at: usize) -> Option<usize> {
        let mut end = self.fixed(at, "dddd-dd-ddTdd:dd:dd")?;
        end = self.decimals(end).unwrap_or(end);
        end = self.literal(end, "Z").unwrap_or(end);
        let sign = usize::from(matches!(self.0.byte(end), b'+' | b'-'));
        Some(self.fixed(end + sign, "dd:dd").unwrap_or(end))
    }

    /// `2026-11-24 12:34:56,789`, `20261124T123456+0100`: colons and dashes may be missing.
    fn date_time(&self, at: usize) -> Option<usize> {
        let hour = self.fixed(at, "dddd-?M-?D")?;
        let hour = match self.0.byte(hour) {
            b'T' => hour + 1,
            _ => self.space(hour)?,
        };
        let minutes = self.fixed(hour, "H:?N");
        let seconds = self.fixed(hour, "H:?N:?N");
        let decimals = seconds.and_then(|end| self.decimals(end));
        let forms = [decimals, seconds, minutes];
        let with_zone = forms.into_iter().flatten().find_map(|end| self.zone(end));
        with_zone.or_else(|| forms.into_iter().flatten().next())
    }

    fn zone(&self, at: usize) -> Option<usize> {
        match self.0.byte(at) {
            b'Z' => Some(at + 1),
            b'+' | b'-' => self.fixed(at + 1, "H:?N"),
            _ => None,
        }
    }

    /// `3:04`, `3:04:05 pm` by the twelve hour clock, or `03:04`, `15:04:05` by the other.
    fn kitchen(&self, at: usize, twelve: bool) -> Option<usize> {
        if at > 0 && self.0.bytes[at - 1].is_ascii_digit() {
            return None;
        }
        let digits = self.digits(at, 2);
        let hour: u8 = self.0.text[at..at + digits].parse().ok()?;
        let is_hour = match twelve {
            true => (1..=12).contains(&hour) && self.0.bytes[at] != b'0',
            false => hour < 24,
        };
        let minute = self.fixed(at + digits, ":N").filter(|_| is_hour)?;
        let end = self.fixed(minute, ":N").unwrap_or(minute);
        if matches!(self.0.byte(end), b'0'..=b'9' | b':') {
            return None;
        }
        let half = self.space(end).unwrap_or(end);
        let is_half = twelve
            && matches!(self.0.byte(half), b'a' | b'A' | b'p' | b'P')
            && matches!(self.0.byte(half + 1), b'm' | b'M');
        Some(if is_half { half + 2 } else { end })
    }

    /// `Tue, 24 Nov 2026 12:34:56 GMT`, from behind the day's name.
    fn rfc822(&self, at: usize) -> Option<usize> {
        let day = self.space(self.literal(at, ",")?)?;
        let month = self.space(self.some_digits(day, 1, 2)?)?;
        let year = self.space(self.one_of(month, MONTHS)?)?;
        let hour = self.space(self.some_digits(year, 2, 4)?)?;
        let minute = self.literal(self.some_digits(hour, 1, 2)?, ":")?;
        let end = self.some_digits(minute, 1, 2)?;
        let second = self.literal(end, ":").and_then(|at| self.some_digits(at, 1, 2));
        self.named_zone(self.space(second.unwrap_or(end))?)
    }

    /// `Nov 24, 2026`.
    fn month_day_year(&self, at: usize) -> Option<usize> {
        let day = self.space(self.one_of(at, MONTHS)?)?;
        let year = self.space(self.fixed(day, "D,")?)?;
        self.some_digits(year, 2, 4)
    }

    /// `Tuesday, 24-Nov-26 12:34:56 UTC`.
    fn rfc850(&self, at: usize) -> Option<usize> {
        let weekday = self.one_of(at, WEEKDAYS_IN_FULL).or_else(|| self.one_of(at, WEEKDAYS))?;
        let day = self.space(self.literal(weekday, ",")?)?;
        let month = self.one_of(self.fixed(day, "dd-")?, MONTHS)?;
        let time = self.space(self.fixed(month, "-dd")?)?;
        self.zone_name(self.space(self.fixed(time, "dd:dd:dd")?)?)
    }

    /// `Tue Nov 24 2026 12:34:56 GMT+0100 (Central European Standard Time)`, from behind the day's name.
    fn javascript(&self, at: usize) -> Option<usize> {
        let day = self.space(self.one_of(self.space(at)?, MONTHS)?)?;
        let year = self.space(self.fixed(day, "dd")?)?;
        let time = self.space(self.fixed(year, "dddd")?)?;
        let zone = self.space(self.fixed(time, "dd:dd:dd")?)?;
        let sign = self.literal(zone, "GMT")?;
        if !matches!(self.0.byte(sign), b'+' | b'-') {
            return None;
        }
        let end = self.fixed(sign + 1, "dddd")?;
        let named = || {
            let name = self.literal(self.space(end)?, "(")?;
            let length = self.0.bytes[name..].iter().position(|b| *b == b')')?;
            (length > 0).then_some(name + length + 1)
        };
        Some(named().unwrap_or(end))
    }

    /// `Nov 24 12:34:56 2026`, as C prints it.
    fn ctime(&self, at: usize) -> Option<usize> {
        let day = self.spaces(self.one_of(at, MONTHS)?)?;
        let time = self.spaces(self.some_digits(day, 1, 2)?)?;
        let year = self.spaces(self.fixed(time, "dd:dd:dd")?)?;
        self.fixed(year, "dddd")
    }

    /// `24 Nov 2026 12:34 +0100`.
    fn day_first(&self, at: usize) -> Option<usize> {
        let end = self.some_digits(at, 1, 2)?;
        let is_day = self.0.text[at..end].parse::<u8>().is_ok_and(|day| day < 32);
        let month = self.spaces(end).filter(|_| is_day)?;
        let year = self.spaces(self.one_of(month, MONTHS)?)?;
        let is_year = matches!(self.0.byte(year), b'2'..=b'9') || self.0.bytes[year..].starts_with(b"19");
        let hour = self.spaces(self.fixed(year, "dddd").filter(|_| is_year)?)?;
        let end = self.fixed(hour, "dd:N")?;
        if self.0.text[hour..hour + 2].parse::<u8>().is_ok_and(|hour| hour > 23) {
            return None;
        }
        let second = self.fixed(end, ":N").or_else(|| self.literal(end, ":60"));
        self.named_zone(self.spaces(second.unwrap_or(end))?)
    }

    /// `datetime.datetime(2026, 11, 24, 12, 34)`.
    fn python(&self, at: usize) -> Option<usize> {
        let dot = self.literal(at, "datetime")?;
        let bracket =
            self.literal(self.0.text.get(dot..)?.chars().next().map(|c| dot + c.len_utf8())?, "datetime(")?;
        let behind = &self.0.bytes[bracket..];
        let end = behind.iter().position(|b| matches!(b, b')' | b'\n'))?;
        (behind[end] == b')').then_some(bracket + end + 1)
    }

    /// An offset or a zone's name.
    fn named_zone(&self, at: usize) -> Option<usize> {
        match self.0.byte(at) {
            b'+' | b'-' => self.fixed(at + 1, "ddN"),
            _ => self.zone_name(at),
        }
    }

    fn zone_name(&self, at: usize) -> Option<usize> {
        let us = || {
            let at = matches!(self.0.byte(at), b'E' | b'C' | b'M' | b'P').then_some(at + 1)?;
            self.one_of(at, &["ST", "DT"])
        };
        let military = || matches!(self.0.byte(at), b'A'..=b'I' | b'K'..=b'Z').then_some(at + 1);
        self.one_of(at, &["UT", "GMT"]).or_else(us).or_else(military)
    }

    /// Matches a form: `d` a digit, `M D H N` two digits of a month, day, hour and minute or second; `x?` is `x` or
    /// nothing; everything else is itself.
    fn fixed(&self, at: usize, form: &str) -> Option<usize> {
        let mut end = at;
        let mut form = form.bytes().peekable();
        while let Some(code) = form.next() {
            let byte = self.0.byte(end);
            let first = match code {
                b'd' => b'9',
                b'M' => b'1',
                b'H' => b'2',
                b'D' => b'3',
                b'N' => b'5',
                literal => {
                    let is_optional = form.next_if_eq(&b'?').is_some();
                    match (byte == literal, is_optional) {
                        (true, _) => end += 1,
                        (false, true) => {}
                        (false, false) => return None,
                    }
                    continue;
                }
            };
            if !(b'0'..=first).contains(&byte) {
                return None;
            }
            end += 1;
            if code != b'd' {
                if !self.0.byte(end).is_ascii_digit() {
                    return None;
                }
                end += 1;
            }
        }
        Some(end)
    }

    fn decimals(&self, at: usize) -> Option<usize> {
        let digits = self.literal(at, ".")?;
        let end = self.0.run(digits, |b| b.is_ascii_digit());
        (end > digits).then_some(end)
    }

    fn digits(&self, at: usize, max: usize) -> usize {
        let limit = self.0.bytes.len().min(at + max);
        self.0.bytes[at.min(limit)..limit].iter().take_while(|b| b.is_ascii_digit()).count()
    }

    fn some_digits(&self, at: usize, min: usize, max: usize) -> Option<usize> {
        let digits = self.digits(at, max);
        (digits >= min).then_some(at + digits)
    }

    fn one_of(&self, at: usize, words: &[&str]) -> Option<usize> {
        let rest = self.0.bytes.get(at..)?;
        let word = words.iter().find(|word| rest.starts_with(word.as_bytes()))?;
        Some(at + word.len())
    }

    fn literal(&self, at: usize, text: &str) -> Option<usize> {
        self.0.bytes.get(at..)?.starts_with(text.as_bytes()).then_some(at + text.len())
    }

    fn space(&self, at: usize) -> Option<usize> {
        self.0.space(at)
    }

    fn spaces(&self, at: usize) -> Option<usize> {
        let mut end = self.space(at)?;
        while let Some(next) = self.space(end) {
            end = next;
        }
        Some(end)
    }
}
