use proptest::prelude::*;

use super::*;
use crate::{Category, EventId, Meta};

fn event(json: &str, trace: &'static str) -> Event {
    let meta = Meta {
        project_id: 7,
        received_at: 1_000,
        event_id: EventId(1),
        trace: bytes::Bytes::from_static(trace.as_bytes()),
        ..Meta::default()
    };
    Event {
        offset: 0,
        queued_at: 0,
        category: Category::Error,
        meta,
        doc: Doc::parse(json.to_owned()).unwrap(),
    }
}

fn columns(events: &[&str]) -> Columns {
    let mut columns = Columns::default();
    columns.load(events.iter().map(|e| event(e, r#"{"release":"1.0"}"#)).collect());
    columns
}

fn texts(columns: &mut Columns, path: &str) -> Vec<Option<String>> {
    let column = columns.strings(path).unwrap();
    (0..column.len()).map(|row| column.get(row).map(str::to_owned)).collect()
}

const TWO: [&str; 2] = [
    r#"{"release":"a","n":1.5,"exception":{"values":[{"type":"A","stacktrace":{"frames":[{"f":"1"},{"f":"2"}]}},{"type":"B"}]}}"#,
    r#"{"release":true,"exception":{"values":[{"stacktrace":{"frames":[{"f":"3\n"}]}}]},"tags":[["k","v"]]}"#,
];

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|t| (*t != "-").then(|| (*t).to_owned())).collect()
}

#[test]
fn rows_of_paths() {
    let mut c = columns(&TWO);
    for (path, want) in [
        ("release", some(&["a", "true"])),
        ("nothing", some(&["-", "-"])),
        ("exception", some(&["-", "-"])),
        ("tags.k", some(&["-", "v"])),
        ("exception.values.-1.type", some(&["B", "-"])),
        ("exception.values.*.type", some(&["A", "B", "-"])),
        ("exception.values.*.stacktrace.frames.*.f", some(&["1", "2", "3\n"])),
        ("$trace.release", some(&["1.0", "1.0"])),
        ("$meta.project_id", some(&["7", "7"])),
        ("$meta.client_ip", some(&["-", "-"])),
    ] {
        assert_eq!(texts(&mut c, path), want, "{path}");
    }
    assert_eq!(c.counts("exception.values").unwrap(), [2, 1]);
    assert_eq!(c.counts("exception.values.*.stacktrace.frames").unwrap(), [2, 0, 1]);
    assert_eq!(c.counts("release").unwrap(), [0, 0]);
    assert_eq!(c.numbers("n").unwrap(), &Reals { presence: vec![1, 0], values: vec![1.5, 0.0] });
    assert_eq!(c.numbers("$meta.received_at").unwrap().values, [1000.0, 1000.0]);
    assert_eq!(c.json("tags").unwrap().get(1), Some(r#"[["k","v"]]"#));
    assert!(c.strings("a..b").is_err());
}

#[test]
fn fewer_rows() {
    let mut c = columns(&[TWO[0], TWO[1], r#"{"release":"c"}"#]);
    assert_eq!(texts(&mut c, "release"), some(&["a", "true", "c"]));
    assert_eq!(texts(&mut c, "exception.values.*.type").len(), 3);
    c.retain(&[false, true, true]);
    assert_eq!(texts(&mut c, "release"), some(&["true", "c"]));
    assert_eq!(texts(&mut c, "exception.values.*.type"), some(&["-"]));
    let all = c.narrow(1..2);
    assert_eq!(texts(&mut c, "release"), some(&["c"]));
    c.widen(all);
    assert_eq!(texts(&mut c, "release"), some(&["true", "c"]));
    assert_eq!(c.unload().len(), 3);
}

fn leaves(columns: &mut Columns, selector: &str) -> Vec<String> {
    let list = columns.leaves(selector).unwrap();
    let part = |data: &[u8], offsets: &[u32], i: usize| {
        String::from_utf8(data[offsets[i] as usize..offsets[i + 1] as usize].to_vec()).unwrap()
    };
    (0..list.ids.len())
        .map(|i| {
            let (row, node) = columns.leaf(list.ids[i]).unwrap();
            assert_eq!(row as u32, list.events[i]);
            assert!(columns.event(row).doc.node(node).is_some());
            let path = part(&list.path_data, &list.path_offsets, list.paths[i] as usize);
            format!("{}{} {path}={}", list.events[i], list.kinds[i], part(&list.data, &list.offsets, i))
        })
        .collect()
}

#[test]
fn leaves_of_selectors() {
    let mut c = columns(&[
        r#"{"exception":[{"value":"x"},{"value":"y"}],"request":{"headers":[["Cookie","c"]]},"_meta":{"a":"b"}}"#,
        r#"{"extra":{"a.b":{"n":1},"\u0061":"\t"},"extra":{"a":"dup"},"l":["p",{"q":"r"}]}"#,
    ]);
    let strings = [
        "00 exception.values.*.value=x",
        "00 exception.values.*.value=y",
        "00 request.headers.Cookie=c",
        "10 extra.a=\t",
        "10 extra.a=dup",
        "10 l.*=p",
        "10 l.*.q=r",
    ];
    assert_eq!(leaves(&mut c, "**"), strings);
    assert_eq!(leaves(&mut c, "**"), strings, "the second time from memory");
    assert_eq!(
        leaves(&mut c, "extra.*.** && ($number || $object)"),
        ["13 extra.'a.b'=", "11 extra.'a.b'.n=1"]
    );
    assert_eq!(leaves(&mut c, "$http.headers.cookie"), ["00 request.headers.Cookie=c"]);
    assert_eq!(leaves(&mut c, "exception.values.1.value"), ["00 exception.values.*.value=y"]);
    assert_eq!(c.leaf(u32::MAX), None);
}

proptest! {
    #[test]
    fn any_document_and_path(json in r#"[\[\]{}",:0-9a\\]{0,60}"#, path in r"[a*$.'0-9-]{1,12}") {
        if Doc::parse(json.clone()).is_ok() {
            let mut c = columns(&[&json, "{}"]);
            if let Ok(column) = c.strings(&path) {
                prop_assert_eq!(column.offsets.len(), column.len() + 1);
            }
            let _ = (c.numbers(&path).is_ok(), c.counts(&path).is_ok(), c.json(&path).is_ok());
            let list = c.leaves("** && ($string || $array || $object || $number)").unwrap();
            prop_assert_eq!(list.offsets.len(), list.ids.len() + 1);
        }
    }
}

/// The first column of a star looks for its key, later ones have an index: both must say the same.
fn check_members(json: &str, keys: &[&str]) {
    for key in keys {
        let path = format!("list.*.{key}");
        let looked_for = texts(&mut columns(&[json, TWO[0], json]), &path);
        let mut c = columns(&[json, TWO[0], json]);
        texts(&mut c, "list.*.something");
        assert_eq!(texts(&mut c, &path), looked_for, "{path} of {json}");
        assert_eq!(texts(&mut c, "list.*.none"), vec![None; looked_for.len()], "{json}");
    }
}

#[test]
fn members_of_objects_of_one_shape_and_of_none() {
    let keys = ["a", "b", "c.d", "values.0", "k70"];
    let many: Vec<_> = (0..80).map(|i| format!(r#""k{i}":{i}"#)).collect();
    for json in [
        r#"{"list":[{"a":1,"b":"x"},{"b":"y","a":2},{"a":3,"z":0,"b":null},{}]}"#,
        r#"{"list":[{"a":1,"a":2},{"a":1,"a":null},{"\u0061":4}]}"#,
        r#"{"list":[{"c":{"d":1}},{"c":{"d":null}},{"c":3},{"c":null}]}"#,
        r#"{"list":[{"a":1},[["a",2]],["values"],null,7]}"#,
        r#"{"list":{"one":{"a":1},"two":{"a":2,"b":3}}}"#,
        r#"{"list":[]}"#,
        &format!(r#"{{"list":[{{{}}},{{"a":1}}]}}"#, many.join(",")),
    ] {
        check_members(json, &keys);
    }
}

proptest! {
    #[test]
    fn an_index_of_members_says_what_a_search_says(
        objects in prop::collection::vec(prop::collection::vec(("[abc]", "[0-9]|null|\"t\""), 0..6), 0..6),
    ) {
        let object = |members: &Vec<(String, String)>| {
            let members: Vec<_> = members.iter().map(|(k, v)| format!(r#""{k}":{v}"#)).collect();
            format!("{{{}}}", members.join(","))
        };
        let list: Vec<_> = objects.iter().map(object).collect();
        check_members(&format!(r#"{{"list":[{}]}}"#, list.join(",")), &["a", "b", "c"]);
    }
}

#[test]
fn what_a_selector_names_it_grants_and_nothing_else() {
    const ALL: &str = "$string || $number || $boolean || $object || $array";
    let docs = [
        r#"{"5":"five","l":{"0":"x","00":"y"},"a":["p",{"0":"q"}]}"#,
        r#"{"tags":[["secret","s"],["0","t"],["odd"],"u",["a","b","c"],[1,"v"]],"x":[["secret","w"]]}"#,
        r#"{"exception":[{"type":"E"}],"threads":{"values":[{"name":"m"}]},"o":{"exception":[{"type":"F"}]}}"#,
        r#"{"request":{"headers":[["Cookie",[["k","v"]]]],"data":{"data":[["n",{"m":1}]]}},"_meta":{"a":"b"}}"#,
        r#"{"\u0061":{"k\u0065y":"v"},"n":1,"t":true,"z":null,"d":1,"d":"2"}"#,
    ];
    for (json, selector) in docs.iter().flat_map(|json| {
        [
            "'5'",
            "l.0",
            "l.*",
            "a.*",
            "a.0",
            "a.1.0",
            "tags.secret",
            "tags.0",
            "tags.*",
            "tags.2.0",
            "exception.values.*.type",
            "exception.values.0.type",
            "o.exception.0.type",
            "threads.**",
            "request.headers.cookie.k",
            "request.data.**",
            "a.key",
            "$number",
            "$string && d",
            "!$string",
            "!a.0",
            "** && !l.0 && !tags.2.**",
            "a.* && !(a.1.0 || !a.0)",
            "**.0.*",
            "**.n.m",
        ]
        .map(|selector| (*json, selector))
    }) {
        let mut c = columns(&[json]);
        let parsed = crate::Selector::parse(selector).unwrap();
        let named = c.leaves(selector).unwrap().ids;
        for id in c.leaves(ALL).unwrap().ids {
            let (row, node) = c.leaf(id).unwrap();
            let doc = &c.event(row).doc;
            // A selector without a type names strings; what it grants may be of any kind.
            let is_string = doc.node(node).unwrap().kind() == Kind::String;
            let is_granted = parsed.grants_in(doc).node(node);
            assert!(!named.contains(&id) || is_granted, "{selector} names node {node} of {json}");
            assert!(
                !is_string || is_granted == named.contains(&id),
                "{selector} grants node {node} of {json}"
            );
        }
    }
}

/// A selector and an event that were made for each other: whoever writes both does not get minutes of the host's time.
#[test]
fn a_selector_has_so_many_comparisons() {
    let keys: Vec<String> = (0..20_000).map(|n| format!(r#""{n:x}":"""#)).collect();
    let deep = format!("{}{{{}}}{}", r#"{"a":"#.repeat(400), keys.join(","), "}".repeat(400));
    let long = vec![format!("**.{}b", "a.".repeat(200)); 9].join("||");
    let mut c = columns(&[&deep]);
    let begun = std::time::Instant::now();
    let error = c.leaves(&long).unwrap_err();
    assert!(error.to_string().ends_with("(selector_steps_max)"), "{error}");
    // Without the limit it is 18 s.
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    assert_eq!(c.leaves("**").unwrap().ids.len(), 20_000);
    // What it came to know when it had to stop is not kept.
    c.load(vec![event(&format!("{}{{\"b\":\"x\"}}{}", r#"{"a":"#.repeat(200), "}".repeat(200)), "{}")]);
    assert_eq!(c.leaves(&long).unwrap().ids.len(), 1);
    // One that names elements is asked for each of them.
    let list = format!(r#"{{"l":[{}]}}"#, vec![r#""a""#; 500_000].join(","));
    let numbered: Vec<String> = (0..200).map(|n| format!("l.{n}")).collect();
    let mut c = columns(&[&list]);
    assert!(matches!(c.leaves(&numbered.join("||")), Err(ColumnError::SelectorWork { .. })));
    assert_eq!(c.leaves("l.7||l.8").unwrap().ids.len(), 2);
}

#[test]
fn rows_in_one_text() {
    let mut c = columns(&[r#"{"a":"x"}"#, "{}", r#"{"a":""}"#, r#"{"a":"é"}"#]);
    assert_eq!(c.strings("a").unwrap().joined().unwrap(), "x\u{1e}\u{1f}\u{1e}\u{1e}é");
    assert_eq!(c.strings("l.*").unwrap().joined().unwrap(), "");
    let mut c = columns(&[r#"{"a":"x"}"#, r#"{"a":"\u001f"}"#]);
    assert_eq!(c.strings("a").unwrap().joined(), None);
}
