use std::fmt::Write;

use super::*;
use crate::{Edits as Asked, Event, Fingerprints as Fingers, Leaf, LeafKind, Leaves};

const EVENTS: [&str; 3] = [
    r#"{"release":"1.0","n":1.5,"s":"1.5","on":true,"tags":[["my.tag","x"],["it's","y"]],"extra":{"a.b":{"c":[1,2]}},
        "exception":{"values":[
            {"type":"A","value":"first","stacktrace":{"frames":[{"function":"f","in_app":true},{"function":"g","lineno":7}]}},
            {"type":"B","stacktrace":{"frames":[]}}]},
        "threads":{"values":[{"id":1,"crashed":true}]}}"#,
    r#"{"release":"ünï","tags":{"my.tag":"z"}}"#,
    r#"{"exception":[{"value":"third","stacktrace":{"frames":[{"function":"h"}]}}],"on":"maybe"}"#,
];

/// Says what it reads, as the kind of a fingerprint that is always the same.
struct Reader;

impl Fingerprinter for Reader {
    type Config = Option<String>;
    fn init(wrong: Option<String>) -> Result<Self, String> {
        wrong.map_or(Ok(Reader), Err)
    }
    fn fingerprint(&mut self, event: &Event<'_>, out: &mut Fingers) {
        let mut said = String::new();
        let mut say = |name: &str, value: String| write!(said, "{name}={value};").unwrap();
        say("release", format!("{:?}", event.text("release")));
        say("n", format!("{:?} {:?}", event.number("n"), event.number("s")));
        say("on", format!("{:?} {:?}", event.flag("on"), event.text("on")));
        say("tag", format!("{:?} {:?}", event.tag("my.tag"), event.tag("it's")));
        say("json", format!("{:?}", event.json("extra.'a.b'")));
        say("texts", format!("{:?}", event.texts("exception.values.*.type").collect::<Vec<_>>()));
        let frames = "exception.values.*.stacktrace.frames";
        say("functions", format!("{:?}", event.texts(&format!("{frames}.*.function")).collect::<Vec<_>>()));
        say("count", format!("{} {}", event.count("exception.values"), event.count(frames)));
        say("counts", format!("{:?}", event.counts(frames).collect::<Vec<_>>()));
        say("all frames", event.items(frames).len().to_string());
        for (i, exception) in event.exceptions().enumerate() {
            say("exception", format!("{i} {:?} {:?}", exception.text("type"), exception.text("value")));
            say(
                "inner",
                format!("{:?}", exception.texts("stacktrace.frames.*.function").collect::<Vec<_>>()),
            );
            say("inner count", exception.count("stacktrace.frames").to_string());
            for frame in exception.frames().rev() {
                let number = frame.number("lineno");
                say("frame", format!("{:?} {number:?} {:?}", frame.text("function"), frame.flag("in_app")));
            }
        }
        for thread in event.threads() {
            say("thread", format!("{:?} {:?}", thread.number("id"), thread.flag("crashed")));
        }
        out.push(&said, "same");
    }
}

#[test]
fn everything_that_an_event_has() {
    let read = fingerprint::<Reader>("", &EVENTS).unwrap();
    let said: Vec<&str> = read.iter().map(|of_event| of_event[0].0.as_str()).collect();
    let first = r#"release=Some("1.0");n=Some(1.5) None;on=Some(true) Some("true");tag=Some("x") Some("y");json=Some("{\"c\":[1,2]}");
        texts=[Some("A"), Some("B")];functions=[Some("f"), Some("g")];count=2 2;counts=[2, 0];all frames=2;
        exception=0 Some("A") Some("first");inner=[Some("f"), Some("g")];inner count=2;
        frame=Some("g") Some(7.0) None;frame=Some("f") None Some(true);
        exception=1 Some("B") None;inner=[];inner count=0;thread=Some(1.0) Some(true);"#;
    let second = r#"release=Some("ünï");n=None None;on=None None;tag=Some("z") None;json=None;
        texts=[];functions=[];count=0 0;counts=[];all frames=0;"#;
    let third = r#"release=None;n=None None;on=None Some("maybe");tag=None None;json=None;
        texts=[None];functions=[Some("h")];count=1 1;counts=[1];all frames=1;
        exception=0 None Some("third");inner=[Some("h")];inner count=1;frame=Some("h") None None;"#;
    for (said, want) in said.into_iter().zip([first, second, third]) {
        assert_eq!(said, want.replace("\n        ", ""));
    }
}

#[test]
fn more_columns_than_fit_one_block() {
    struct Many;
    impl Filter for Many {
        type Config = Option<()>;
        fn init(_: Option<()>) -> Result<Self, String> {
            Ok(Many)
        }
        fn filter(&mut self, event: &Event<'_>) -> Verdict {
            let paths = |step: usize| (0..100).step_by(step).map(|i| format!("k{i}"));
            let is_right = |path: String| event.text(&path) == Some(&path[1..]);
            match paths(1).chain(paths(7)).chain(paths(3)).all(is_right) {
                true => Verdict::Keep,
                false => Verdict::drop("wrong"),
            }
        }
    }
    let members: Vec<String> = (0..100).map(|i| format!(r#""k{i}":"{i}""#)).collect();
    let event = format!("{{{}}}", members.join(","));
    assert_eq!(filter::<Many>("", &[&event, &event]).unwrap(), [Verdict::Keep, Verdict::Keep]);
}

#[test]
fn what_the_host_knows() {
    struct Known;
    impl Sampler for Known {
        type Config = f64;
        fn init(rate: f64) -> Result<Self, String> {
            if rate == 7.0 { Err("seven".into()) } else { Ok(Known) }
        }
        fn sample(&mut self, event: &Event<'_>) -> Rate {
            let text = |path| event.text(path).unwrap_or("-");
            let known = [
                text("$meta.category"),
                text("$meta.client_ip"),
                text("$meta.environment"),
                text("$meta.event_id"),
                text("$trace.release"),
            ];
            Rate::by(
                event.project_id() as f64,
                format!("{} {} {}", known.join(" "), event.received_at(), event.index()),
            )
        }
    }
    let input = Input {
        event: r#"{"event_id":"0123456789abcdef0123456789abcdef"}"#,
        project_id: 42,
        client_ip: "10.0.0.1",
        environment: "prod",
        category: "transaction",
        received_at: 1_700_000_000_123,
        trace: Some(r#"{"release":"r"}"#),
        ..Input::default()
    };
    let rates = sample::<Known>("0.5", &[input]).unwrap();
    let want = "transaction 10.0.0.1 prod 0123456789abcdef0123456789abcdef r 1700000000123 0";
    assert_eq!(rates, [Rate::by(1.0, want)], "a rate beyond 1 is 1");
    assert_eq!(sample::<Known>("7", &[input]), Err("seven".into()));
    assert_eq!(sample::<Known>("{}", &[input]), Err("invalid type: map, expected f64".into()));
}

/// One edit of each kind, by the first letter of the text.
struct Letters;

impl Scrubber for Letters {
    type Config = Option<()>;
    fn init(_: Option<()>) -> Result<Self, String> {
        Ok(Letters)
    }
    fn selectors(&self) -> Vec<String> {
        vec!["**".into(), "extra.** && ($number || $string)".into()]
    }
    fn scrub(&mut self, leaf: &Leaf<'_>, edits: &mut Asked) {
        match (leaf.selector, leaf.text.as_bytes().first()) {
            (0, Some(b'r')) => edits.remove(leaf, 1..3, "@remove"),
            (0, Some(b's')) => edits.replace(leaf, 2.., "[new]", "@replace"),
            (0, Some(b'm')) => edits.mask(leaf, ..=2, 'x', "@mask"),
            (0, Some(b'h')) => edits.hash(leaf, .., "key", "@hash"),
            (0, Some(b'w')) => edits.remove(leaf, .., "@whole"),
            (1, Some(b's')) => edits.mask(leaf, 1..3, '*', "@second"),
            (1, Some(b'7')) => {
                assert_eq!(leaf.kind, LeafKind::Number);
                edits.replace(leaf, .., "seven", "@number");
            }
            _ => {}
        }
    }
}

#[test]
fn edits_as_the_host_applies_them() {
    let events = [
        r#"{"a":"r234","b":"m\u00e9é","c":"hash","d":"w"}"#,
        r#"{"extra":{"s":"s2345","n":7,"k":"kept"}}"#,
        r#"{"a":"kept"}"#,
    ];
    let want = [
        r#"{"a":"r4","b":"xxé","c":"86F67AE351884E5B846A7077BF9048AF24ABA28B","d":null,"#,
        r#"{"extra":{"s":"s[new]","n":"seven","k":"kept"},"#,
        r#"{"a":"kept"}"#,
    ];
    let scrubbed = scrub::<Letters>("", &events).unwrap();
    for (got, want) in scrubbed.iter().zip(want) {
        assert!(got.starts_with(want), "{got}\n{want}");
    }
    assert!(scrubbed[1].contains(r#""s":{"":{"len":5,"rem":[["@replace","s",1,6]]}}"#), "{}", scrubbed[1]);
}

#[test]
fn all_leaves_in_one_piece() {
    struct Whole(Vec<String>);
    impl Scrubber for Whole {
        type Config = Option<()>;
        fn init(_: Option<()>) -> Result<Self, String> {
            Ok(Whole(Vec::new()))
        }
        fn selectors(&self) -> Vec<String> {
            vec!["a.**".into()]
        }
        fn scrub(&mut self, _: &Leaf<'_>, _: &mut Asked) {
            unreachable!("scrub_all does not ask it");
        }
        fn scrub_all(&mut self, leaves: &Leaves<'_>, _: &mut Asked) {
            let at = leaves.data().find("two").unwrap();
            let leaf = leaves.get(leaves.leaf_at(at));
            let (first, second) = (leaves.get(0), leaves.get(3));
            assert_eq!((first.path_key, first.path, first.event), (second.path_key, "a.*", 0));
            let key = leaves.paths()[1] as usize;
            assert_eq!((leaves.path_text(key), leaves.path_keys()[key]), (leaf.path, leaf.path_key));
            self.0 = vec![leaves.data().into(), leaf.text.into(), leaf.path.into(), leaves.len().to_string()];
            assert_eq!(leaves.offsets(), [0, 3, 6, 6, 11]);
            assert_eq!(leaves.leaf_at(6), 3, "an empty leaf has no byte");
        }
    }
    let mut plugin = Whole::init(None).unwrap();
    let columns = columns(&[r#"{"a":["one",{"b":"two"},""]}"#, r#"{"a":["three"],"z":"not"}"#]);
    let (edits, _) = run_scrubber(&mut plugin, columns);
    assert_eq!(edits, Edits::default());
    assert_eq!(plugin.0, ["onetwothree", "two", "a.*.b", "4"]);
}

struct Path(&'static str);

impl Filter for Path {
    type Config = Option<()>;
    fn init(_: Option<()>) -> Result<Self, String> {
        Ok(Path("a..b"))
    }
    fn filter(&mut self, event: &Event<'_>) -> Verdict {
        event.text(self.0).map_or(Verdict::Keep, |text| Verdict::drop(text.to_owned()))
    }
}

#[test]
#[should_panic(expected = "the host ends the call: path \"a..b\": a segment is empty")]
fn paths_that_are_none() {
    let _ = filter::<Path>("", &["{}"]);
}

#[test]
#[should_panic(expected = "event 1 is not JSON")]
fn events_that_are_none() {
    let _ = filter::<Path>("", &["{}", "{"]);
}

#[test]
#[should_panic(expected = "a fingerprint of 65 bytes")]
fn fingerprints_that_are_too_long() {
    Fingers::default().push("app", &"x".repeat(65));
}

#[test]
fn no_events() {
    assert_eq!(filter::<Path>("", &[] as &[&str]), Ok(vec![]));
    assert_eq!(fingerprint::<Reader>(r#""no""#, &["{}"]), Err("no".into()));
}

/// Groups by user: a part that is absent is an empty one, and where one ends counts.
struct ByUser;

impl Fingerprinter for ByUser {
    type Config = serde::de::IgnoredAny;
    fn init(_: Self::Config) -> Result<Self, String> {
        Ok(ByUser)
    }
    fn fingerprint(&mut self, event: &Event<'_>, out: &mut Fingers) {
        let user = event.user();
        let parts = [user.id(), user.email(), user.ip_address(), user.username()];
        out.push("user", &crate::hash_of(parts.map(Option::unwrap_or_default)));
    }
}

#[test]
fn a_user_and_a_hash_of_parts() {
    let events = [
        r#"{"user":{"id":7,"email":"a@b","ip_address":"::1","username":"ab"}}"#,
        r#"{"user":{"id":"ab"}}"#,
        r#"{"user":{"id":"a","email":"b"}}"#,
    ];
    let found = fingerprint::<ByUser>("{}", &events).unwrap();
    let hash = |row: usize| found[row][0].1.as_str();
    let want = crate::hash_of(["7", "a@b", "::1", "ab"]);
    assert_eq!((hash(0), want.len()), (want.as_str(), 32));
    assert_ne!(hash(1), hash(2));
    assert_eq!(
        crate::hash_of(["ValueError", "parse"]),
        "d608d6f03bb693b56d468118bd5a48a8",
        "as in every SDK"
    );
}
