//! What guests say, made fit for the host's logs and errors: bounded, and unable to pass for a line of the host's own.

use std::fmt::Write;

/// Bytes of one name that a guest made up, such as that of a function or an import.
const NAME_SHOWN_BYTES_MAX: usize = 200;
/// Names of a list that are shown.
const NAMES_SHOWN_MAX: usize = 8;
/// Stands before every further line of a text. What follows a line break could pass for a line of the host's log otherwise.
const NEXT_LINE: &str = "\n  | ";

/// One line of a guest: control characters, and those that change the direction of what is read, stand as escapes.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_line(text, &mut out);
    out
}

/// A text of several lines, each a [`line()`], and each but the first one marked as belonging to it.
pub(crate) fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.trim_end().split('\n').enumerate() {
        if number > 0 {
            out.push_str(NEXT_LINE);
        }
        push_line(line.trim_end(), &mut out);
    }
    out
}

fn push_line(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            c if c.is_control() || turns_the_text(c) => {
                write!(out, "{}", c.escape_default()).expect("a String takes everything");
            }
            c => out.push(c),
        }
    }
}

/// Line and paragraph separators, and the marks of writing direction.
fn turns_the_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name, cut and on one line.
pub(crate) fn name(text: &str) -> String {
    line(cut(text, NAME_SHOWN_BYTES_MAX))
}

/// The first few of many names.
pub(crate) fn names<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    let mut all = all.into_iter();
    let shown: Vec<String> = all.by_ref().take(NAMES_SHOWN_MAX).map(name).collect();
    let mut out = shown.join(", ");
    match all.count() {
        0 => {}
        more => write!(out, " and {more} more").expect("a String takes everything"),
    }
    out
}

/// The beginning of a text, on a character boundary.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The end of a text, on a character boundary.
pub(crate) fn cut_front(text: &str, bytes_max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes_max))..]
}

/// What `value` shows, up to so many bytes: whoever writes it is stopped there.
pub(crate) fn shown(value: &impl std::fmt::Display, bytes_max: usize) -> String {
    struct Bounded(String, usize);
    impl Write for Bounded {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let kept = cut(text, self.1 - self.0.len());
            self.0.push_str(kept);
            if kept.len() == text.len() { Ok(()) } else { Err(std::fmt::Error) }
        }
    }
    let mut out = Bounded(String::new(), bytes_max);
    // An error is the end of the room.
    let _ = write!(out, "{value}");
    out.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_for_a_line_of_the_host() {
        let forged = "fine\u{1b}[2K\r\n2026-11-22T00:00:00Z ERROR tamis: \u{202e}gone\u{7f}\n";
        assert_eq!(
            lines(forged),
            "fine\\u{1b}[2K\n  | 2026-11-22T00:00:00Z ERROR tamis: \\u{202e}gone\\u{7f}"
        );
        assert_eq!(line("a\nb\tc\u{2028}"), "a\\nb\tc\\u{2028}");
        assert_eq!(lines(""), "");
    }

    #[test]
    fn names_are_few_and_short() {
        assert_eq!(names(["a", "b\n"]), "a, b\\n");
        assert_eq!(names(["x"; 11]), "x, x, x, x, x, x, x, x and 3 more");
        assert_eq!(name(&"é".repeat(1000)).len(), NAME_SHOWN_BYTES_MAX);
    }

    #[test]
    fn cuts_on_character_boundaries() {
        assert_eq!((cut("aé", 2), cut("aé", 9)), ("a", "aé"));
        assert_eq!((cut_front("éa", 2), cut_front("éa", 9)), ("a", "éa"));
        assert_eq!((shown(&"aéb", 2), shown(&format_args!("{}-{}", 12, 34), 4)), ("a".into(), "12-3".into()));
    }
}
