//! Columns for native tests: what a plugin would pull of golden events, from the host's own code.

use host_event::{ColumnError, Columns, Event, LeafList, Reals, Texts};
use serde_json::{Value, json};
use thiserror::Error;

/// One call of a function of the interface `batch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pull {
    Len,
    Strings(String),
    Numbers(String),
    Json(String),
    Counts(String),
    Leaves(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no pull: write len:, strings:PATH, numbers:PATH, json:PATH, counts:PATH or leaves:SELECTOR"
)]
pub struct BadPull(String);

impl std::str::FromStr for Pull {
    type Err = BadPull;

    fn from_str(text: &str) -> Result<Pull, BadPull> {
        // Paths and selectors may have colons themselves.
        let (op, arg) = text.split_once(':').ok_or_else(|| BadPull(text.to_owned()))?;
        let arg = arg.to_owned();
        match op {
            "len" if arg.is_empty() => Ok(Pull::Len),
            "strings" => Ok(Pull::Strings(arg)),
            "numbers" => Ok(Pull::Numbers(arg)),
            "json" => Ok(Pull::Json(arg)),
            "counts" => Ok(Pull::Counts(arg)),
            "leaves" => Ok(Pull::Leaves(arg)),
            _ => Err(BadPull(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Pull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (op, arg) = match self {
            Pull::Len => ("len", ""),
            Pull::Strings(arg) => ("strings", arg.as_str()),
            Pull::Numbers(arg) => ("numbers", arg.as_str()),
            Pull::Json(arg) => ("json", arg.as_str()),
            Pull::Counts(arg) => ("counts", arg.as_str()),
            Pull::Leaves(arg) => ("leaves", arg.as_str()),
        };
        write!(f, "{op}:{arg}")
    }
}

/// What a pull gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Pulled {
    Len(u32),
    Texts(Texts),
    Reals(Reals),
    Counts(Vec<u32>),
    Leaves(LeafList),
}

/// The events as one batch.
pub fn batch_of(events: Vec<Event>) -> Columns {
    let mut columns = Columns::default();
    columns.load(events);
    columns
}

impl Pull {
    pub fn from(&self, columns: &mut Columns) -> Result<Pulled, ColumnError> {
        Ok(match self {
            Pull::Len => Pulled::Len(columns.len() as u32),
            Pull::Strings(path) => Pulled::Texts(columns.strings(path)?.clone()),
            Pull::Numbers(path) => Pulled::Reals(columns.numbers(path)?.clone()),
            Pull::Json(path) => Pulled::Texts(columns.json(path)?),
            Pull::Counts(path) => Pulled::Counts(columns.counts(path)?),
            Pull::Leaves(selector) => Pulled::Leaves(columns.leaves(selector)?),
        })
    }
}

/// Appends an answer in the form that SDKs read: a status (0, or 1 and one list of bytes, the message), then the lists of the
/// WIT record in its order, each as a number of elements and the elements, all little-endian.
pub fn write_raw(pulled: &Result<Pulled, ColumnError>, out: &mut Vec<u8>) {
    out.push(u8::from(pulled.is_err()));
    match pulled {
        Err(error) => write_bytes(error.to_string().as_bytes(), out),
        Ok(Pulled::Len(len)) => write_u32s(&[*len], out),
        Ok(Pulled::Texts(Texts { presence, offsets, data })) => {
            write_bytes(presence, out);
            write_u32s(offsets, out);
            write_bytes(data, out);
        }
        Ok(Pulled::Reals(Reals { presence, values })) => {
            write_bytes(presence, out);
            write_count(values.len(), out);
            out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        Ok(Pulled::Counts(counts)) => write_u32s(counts, out),
        Ok(Pulled::Leaves(list)) => write_leaves(list, out),
    }
}

fn write_leaves(list: &LeafList, out: &mut Vec<u8>) {
    let LeafList { events, ids, kinds, paths, offsets, data, path_offsets, path_data, path_keys } = list;
    write_u32s(events, out);
    write_u32s(ids, out);
    write_bytes(kinds, out);
    write_u32s(paths, out);
    write_u32s(offsets, out);
    write_bytes(data, out);
    write_u32s(path_offsets, out);
    write_bytes(path_data, out);
    write_u32s(path_keys, out);
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn write_u32s(values: &[u32], out: &mut Vec<u8>) {
    write_count(values.len(), out);
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    // Columns are bounded to 4 GiB of text, and have fewer rows than bytes.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_le_bytes());
}

/// An answer for people.
pub fn describe_pull(pull: &Pull, pulled: &Result<Pulled, ColumnError>) -> Value {
    let pull = pull.to_string();
    match pulled {
        Err(error) => json!({ "pull": pull, "error": error.to_string() }),
        Ok(Pulled::Len(len)) => json!({ "pull": pull, "len": len }),
        Ok(Pulled::Texts(texts)) => {
            let values: Vec<_> = (0..texts.len()).map(|row| texts.get(row)).collect();
            json!({ "pull": pull, "values": values })
        }
        Ok(Pulled::Reals(reals)) => {
            let rows = reals.presence.iter().zip(&reals.values);
            let values: Vec<_> = rows.map(|(present, value)| (*present == 1).then_some(*value)).collect();
            json!({ "pull": pull, "values": values })
        }
        Ok(Pulled::Counts(counts)) => json!({ "pull": pull, "values": counts }),
        Ok(Pulled::Leaves(list)) => json!({ "pull": pull, "leaves": leaves(list) }),
    }
}

fn leaves(list: &LeafList) -> Vec<Value> {
    const KINDS: [&str; 5] = ["string", "number", "boolean", "object", "array"];
    let slice = |data: &[u8], offsets: &[u32], at: usize| {
        String::from_utf8_lossy(&data[offsets[at] as usize..offsets[at + 1] as usize]).into_owned()
    };
    let leaf = |at: usize| {
        json!({
            "event": list.events[at],
            "path": slice(&list.path_data, &list.path_offsets, list.paths[at] as usize),
            "kind": KINDS[usize::from(list.kinds[at])],
            "text": slice(&list.data, &list.offsets, at),
        })
    };
    (0..list.ids.len()).map(leaf).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_events;

    const EVENTS: &str = r#"[{"release":"é","n":1.5,"l":[1,2]}, {"n":"x","l":{"a":"b"}}]"#;

    fn pull(text: &str) -> Result<Pulled, ColumnError> {
        let mut columns = batch_of(parse_events(EVENTS.into(), "x").unwrap());
        text.parse::<Pull>().unwrap().from(&mut columns)
    }

    #[test]
    fn raw_is_status_and_lists() {
        let one = |n: u32| n.to_le_bytes().to_vec();
        let message = |text: &str| [vec![1], one(text.len() as u32), text.as_bytes().to_vec()].concat();
        let strings =
            [vec![0], one(2), vec![1, 0], one(3), one(0), one(2), one(2), one(2), "é".as_bytes().to_vec()];
        let numbers =
            [vec![0], one(2), vec![1, 0], one(2), 1.5f64.to_le_bytes().to_vec(), 0f64.to_le_bytes().to_vec()];
        let bad = pull("strings:a..b").unwrap_err().to_string();
        for (text, want) in [
            ("len:", [vec![0], one(1), one(2)].concat()),
            ("strings:release", strings.concat()),
            ("numbers:n", numbers.concat()),
            ("counts:l", [vec![0], one(2), one(2), one(1)].concat()),
            ("strings:a..b", message(&bad)),
        ] {
            let mut out = Vec::new();
            write_raw(&pull(text), &mut out);
            assert_eq!(out, want, "{text}");
        }
    }

    #[test]
    fn raw_leaves_are_nine_lists_in_the_order_of_the_wit() {
        let mut out = Vec::new();
        write_raw(&pull("leaves:**"), &mut out);
        let mut rest = &out[1..];
        let mut take = |size: usize| {
            let count = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
            let list = rest[4..4 + count * size].to_vec();
            rest = &rest[4 + count * size..];
            (count, list)
        };
        let sizes = [4, 4, 1, 4, 4, 1, 4, 1, 4];
        let lists: Vec<_> = sizes.into_iter().map(&mut take).collect();
        let counts: Vec<usize> = lists.iter().map(|(count, _)| *count).collect();
        // Three strings; their paths are release, n and l.a.
        assert_eq!(counts, [3, 3, 3, 3, 4, 4, 4, 11, 3]);
        assert_eq!((lists[5].1.as_slice(), lists[7].1.as_slice()), ("éxb".as_bytes(), &b"releasenl.a"[..]));
        assert!(rest.is_empty());
    }

    #[test]
    fn answers_for_people() {
        for (text, want) in [
            ("len:", r#"{"pull":"len:","len":2}"#),
            ("strings:release", r#"{"pull":"strings:release","values":["é",null]}"#),
            ("numbers:n", r#"{"pull":"numbers:n","values":[1.5,null]}"#),
            ("json:l", r#"{"pull":"json:l","values":["[1,2]","{\"a\":\"b\"}"]}"#),
            ("counts:l", r#"{"pull":"counts:l","values":[2,1]}"#),
            (
                "leaves:release",
                r#"{"pull":"leaves:release","leaves":[{"event":0,"path":"release","kind":"string","text":"é"}]}"#,
            ),
        ] {
            let found = describe_pull(&text.parse().unwrap(), &pull(text));
            assert_eq!(found, serde_json::from_str::<Value>(want).unwrap());
        }
        let error = describe_pull(&Pull::Leaves("&&".into()), &pull("leaves:&&"));
        assert!(error["error"].is_string(), "{error}");
    }

    #[test]
    fn pulls_read_and_write_themselves() {
        for text in ["len:", "strings:a:b", "numbers:", "json:x", "counts:x", "leaves:$string && !a"] {
            assert_eq!(text.parse::<Pull>().unwrap().to_string(), text);
        }
        for text in ["", "len", "len:x", "string:x"] {
            assert_eq!(text.parse::<Pull>(), Err(BadPull(text.to_owned())));
        }
    }
}
