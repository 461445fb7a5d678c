//! Which browser a user agent is, as far as the filters care: its family and major version.

use serde::de::{Deserialize, Deserializer, Error as _};

/// What a user agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agent {
    Crawler,
    Browser(Browser),
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Browser {
    pub family: Family,
    pub major: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// The stock browser of Android before Chrome.
    Android,
    Chrome,
    Edge,
    Firefox,
    InternetExplorer,
    Opera,
    OperaMini,
    Safari,
}

/// Versions of one family that count as old: `from..=to`.
type Old = (Family, u32, u32);

/// The sets that a configuration names. The plain names are the ones that Sentry offers today; the ones with versions in their
/// names are older, and kept for configurations that have them.
const SETS: &[(&str, Old)] = &[
    ("android", (Family::Android, 0, 3)),
    ("chrome", (Family::Chrome, 0, 62)),
    ("edge", (Family::Edge, 0, 78)),
    ("firefox", (Family::Firefox, 0, 66)),
    ("ie", (Family::InternetExplorer, 0, 11)),
    ("opera", (Family::Opera, 0, 50)),
    ("opera_mini", (Family::OperaMini, 0, 34)),
    ("safari", (Family::Safari, 0, 11)),
    ("android_pre_4", (Family::Android, 0, 3)),
    ("edge_pre_79", (Family::Edge, 0, 78)),
    ("ie_pre_9", (Family::InternetExplorer, 0, 8)),
    ("ie9", (Family::InternetExplorer, 9, 9)),
    ("ie10", (Family::InternetExplorer, 10, 10)),
    ("ie11", (Family::InternetExplorer, 11, 11)),
    ("opera_pre_15", (Family::Opera, 0, 14)),
    ("opera_mini_pre_8", (Family::OperaMini, 0, 7)),
    ("safari_pre_6", (Family::Safari, 0, 5)),
];

/// What `default` stands for.
const DEFAULT: &[&str] = &["ie_pre_9", "opera_pre_15", "opera_mini_pre_8", "android_pre_4", "safari_pre_6"];

/// Browsers that are too old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Browsers(Vec<Old>);

impl Default for Browsers {
    fn default() -> Browsers {
        Browsers(DEFAULT.iter().filter_map(|name| named(name)).collect())
    }
}

fn named(name: &str) -> Option<Old> {
    SETS.iter().find(|(known, _)| *known == name).map(|(_, old)| *old)
}

impl Browsers {
    pub(crate) fn contain(&self, browser: Browser) -> bool {
        let is_old =
            |(family, from, to): &Old| *family == browser.family && (*from..=*to).contains(&browser.major);
        self.0.iter().any(is_old)
    }
}

impl<'de> Deserialize<'de> for Browsers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Browsers, D::Error> {
        struct Name(Vec<Old>);
        impl<'de> Deserialize<'de> for Name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
                let name = String::deserialize(from)?;
                if name == "default" {
                    return Ok(Name(Browsers::default().0));
                }
                let known: Vec<_> = SETS.iter().map(|(name, _)| *name).collect();
                let unknown =
                    || format!("unknown browsers {name:?}; there are default, {}", known.join(", "));
                Ok(Name(vec![named(&name).ok_or_else(|| D::Error::custom(unknown()))?]))
            }
        }
        let names = Vec::<Name>::deserialize(from)?;
        Ok(Browsers(names.into_iter().flat_map(|name| name.0).collect()))
    }
}

impl Agent {
    /// Browsers pretend to be each other, the younger ones to be all older ones: so the more particular marks come first.
    pub(crate) fn of(text: &str) -> Agent {
        match browser(text) {
            Some((family, major)) => Agent::Browser(Browser { family, major }),
            None => Agent::Other,
        }
    }
}

fn browser(text: &str) -> Option<(Family, u32)> {
    let after = |mark| major_after(text, mark);
    if let Some(version) = after("Opera Mini/") {
        return Some((Family::OperaMini, version));
    }
    if let Some(version) = after("OPR/").or_else(|| after("OPiOS/")).or_else(|| after("OPT/")) {
        return Some((Family::Opera, version));
    }
    if text.contains("Opera") {
        // Opera 10 to 12 call themselves 9.80 and have the truth behind `Version/`.
        let version = after("Version/").or_else(|| after("Opera/")).or_else(|| after("Opera "))?;
        return Some((Family::Opera, version));
    }
    if let Some(version) = ["Edge/", "Edg/", "EdgA/", "EdgiOS/"].into_iter().find_map(after) {
        return Some((Family::Edge, version));
    }
    if let Some(version) = internet_explorer(text) {
        return Some((Family::InternetExplorer, version));
    }
    if let Some(version) = after("Firefox/").or_else(|| after("FxiOS/")) {
        return Some((Family::Firefox, version));
    }
    if let Some(version) = after("Chrome/").or_else(|| after("CriOS/")).or_else(|| after("Chromium/")) {
        return Some((Family::Chrome, version));
    }
    if text.contains("Android") {
        // The stock browser is versioned as the system is; `Version/4.0` is the same in all of them.
        return text.contains("AppleWebKit").then_some((Family::Android, after("Android ")?));
    }
    text.contains("Safari/").then_some((Family::Safari, after("Version/")?))
}

/// In its compatibility mode it calls itself 7; the engine tells the truth.
fn internet_explorer(text: &str) -> Option<u32> {
    match major_after(text, "Trident/") {
        Some(7) => Some(11),
        Some(6) => Some(10),
        Some(5) => Some(9),
        Some(4) => Some(8),
        _ => major_after(text, "MSIE "),
    }
}

/// The number behind a mark.
fn major_after(text: &str, mark: &str) -> Option<u32> {
    let rest = &text[text.find(mark)? + mark.len()..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_versions() {
        use Family::*;
        for (text, want) in [
            ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", Some((InternetExplorer, 6))),
            (
                "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.1; Trident/4.0; SLCC2)",
                Some((InternetExplorer, 8)),
            ),
            ("Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0)", Some((InternetExplorer, 9))),
            (
                "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)",
                Some((InternetExplorer, 10)),
            ),
            ("Mozilla/5.0 (Windows NT 6.3; Trident/7.0; rv:11.0) like Gecko", Some((InternetExplorer, 11))),
            ("Opera/9.80 (Windows NT 6.1; U; en) Presto/2.10.229 Version/11.62", Some((Opera, 11))),
            ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; en) Opera 8.50", Some((Opera, 8))),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 OPR/106.0.0.0",
                Some((Opera, 106)),
            ),
            (
                "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/29.3709; U; en) Presto/2.8.119 Version/11.10",
                Some((OperaMini, 7)),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/64.0 Safari/537.36 Edge/17.17134",
                Some((Edge, 17)),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Edg/120.0",
                Some((Edge, 120)),
            ),
            (
                "Mozilla/5.0 (Linux; U; Android 2.3.5; en-us) AppleWebKit/533.1 (KHTML, like Gecko) Version/4.0 Mobile Safari/533.1",
                Some((Android, 2)),
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Mobile Safari/537.36",
                Some((Chrome, 116)),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/114.0 Mobile/15E148 Safari/604.1",
                Some((Chrome, 114)),
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0", Some((Firefox, 120))),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_6_8) AppleWebKit/534.59 (KHTML, like Gecko) Version/5.1.9 Safari/534.59",
                Some((Safari, 5)),
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15",
                Some((Safari, 17)),
            ),
            ("curl/8.5.0", None),
            ("sentry.python/2.75.0", None),
            ("Chrome/x", None),
            ("", None),
        ] {
            assert_eq!(browser(text), want, "{text}");
        }
    }

    #[test]
    fn sets() {
        for (name, family, old, not) in [
            ("ie_pre_9", Family::InternetExplorer, 8, 9),
            ("ie9", Family::InternetExplorer, 9, 10),
            ("ie10", Family::InternetExplorer, 10, 11),
            ("ie11", Family::InternetExplorer, 11, 10),
            ("opera_pre_15", Family::Opera, 14, 15),
            ("opera_mini_pre_8", Family::OperaMini, 7, 8),
            ("android_pre_4", Family::Android, 3, 4),
            ("safari_pre_6", Family::Safari, 5, 6),
            ("edge_pre_79", Family::Edge, 18, 79),
            ("chrome", Family::Chrome, 62, 63),
            ("firefox", Family::Firefox, 66, 67),
            ("opera", Family::Opera, 50, 51),
            ("opera_mini", Family::OperaMini, 34, 35),
            ("safari", Family::Safari, 11, 12),
        ] {
            let set = Browsers(vec![named(name).unwrap()]);
            assert!(set.contain(Browser { family, major: old }), "{name}");
            assert!(!set.contain(Browser { family, major: not }), "{name}");
        }
        assert_eq!(Browsers::default().0.len(), DEFAULT.len(), "every name of the default is a set");
        assert!(!Browsers::default().contain(Browser { family: Family::InternetExplorer, major: 11 }));
    }
}
