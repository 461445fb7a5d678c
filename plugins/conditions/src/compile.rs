//! From JSON to a condition, with errors that name the place.

use std::fmt;

use serde_json::{Map, Value};

use crate::condition::{Bound, Comparison, Test, Values};
use crate::field::Field;
use crate::glob::{Globs, lower};

/// Conditions within conditions.
const DEPTH_MAX: usize = 32;
/// Parts of one condition.
const PARTS_MAX: usize = 4096;

const OPERATORS: &str = "eq, gte, lte, gt, lt, glob, and, or, not, any, all";

/// What is wrong in a condition, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionError {
    /// Such as `inner[2].value`; empty for the condition itself.
    pub path: String,
    pub what: String,
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.what),
            path => write!(f, "{path}: {}", self.what),
        }
    }
}

impl std::error::Error for ConditionError {}

/// The test, and the first name in it that is not of the trace header.
pub(crate) fn compile(json: &Value) -> Result<(Test, Option<String>), ConditionError> {
    let mut compiler = Compiler { depth: 0, parts: 0, within: false, beyond_trace: None };
    let test = compiler.condition(json, "")?;
    Ok((test, compiler.beyond_trace))
}

struct Compiler {
    depth: usize,
    parts: usize,
    /// Whether names are relative to an item of a list.
    within: bool,
    beyond_trace: Option<String>,
}

type Result_<T> = Result<T, ConditionError>;

fn fail<T>(path: &str, what: impl Into<String>) -> Result_<T> {
    Err(ConditionError { path: path.trim_start_matches('.').to_owned(), what: what.into() })
}

impl Compiler {
    fn condition(&mut self, json: &Value, path: &str) -> Result_<Test> {
        let Value::Object(object) = json else {
            return fail(path, format!("a condition is an object with `op`, not {}", kind(json)));
        };
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return fail(path, format!("the condition has more than {PARTS_MAX} parts"));
        }
        if self.depth >= DEPTH_MAX {
            return fail(path, format!("conditions are nested deeper than {DEPTH_MAX}"));
        }
        self.depth += 1;
        let op = match object.get("op") {
            Some(Value::String(op)) => op.as_str(),
            Some(other) => {
                return fail(
                    &format!("{path}.op"),
                    format!("expected one of {OPERATORS}, not {}", kind(other)),
                );
            }
            None => return fail(path, format!("`op` is missing; it is one of {OPERATORS}")),
        };
        let test = self.operator(op, object, path)?;
        self.depth -= 1;
        Ok(test)
    }

    fn operator(&mut self, op: &str, object: &Map<String, Value>, path: &str) -> Result_<Test> {
        let allowed: &[&str] = match op {
            "eq" | "glob" => &["op", "name", "value", "options"],
            "gte" | "lte" | "gt" | "lt" => &["op", "name", "value"],
            "any" | "all" => &["op", "name", "inner"],
            "and" | "or" | "not" => &["op", "inner"],
            _ => {
                return fail(
                    &format!("{path}.op"),
                    format!("operator {op:?} is not known; there are {OPERATORS}"),
                );
            }
        };
        if let Some(key) = object.keys().find(|key| !allowed.contains(&key.as_str())) {
            return fail(&format!("{path}.{key}"), format!("unknown key; `{op}` has {}", allowed.join(", ")));
        }
        let compare = |compiler: &mut Self, how| compiler.compare(op, how, object, path);
        match op {
            "eq" => self.equal(object, path),
            "glob" => self.glob(object, path),
            "gte" => compare(self, Comparison::GreaterOrEqual),
            "lte" => compare(self, Comparison::LessOrEqual),
            "gt" => compare(self, Comparison::Greater),
            "lt" => compare(self, Comparison::Less),
            "and" => Ok(Test::And(self.list(op, object, path)?)),
            "or" => Ok(Test::Or(self.list(op, object, path)?)),
            "not" => Ok(Test::Not(Box::new(self.inner(op, object, path)?))),
            "any" => {
                let (list, inner) = self.items(op, object, path)?;
                Ok(Test::Any { list, inner })
            }
            _ => {
                let (list, inner) = self.items(op, object, path)?;
                Ok(Test::All { list, inner })
            }
        }
    }

    fn field(&mut self, op: &str, object: &Map<String, Value>, path: &str) -> Result_<Field> {
        let name = match object.get("name") {
            Some(Value::String(name)) => name,
            Some(other) => {
                return fail(&format!("{path}.name"), format!("expected a text, not {}", kind(other)));
            }
            None => return fail(path, format!("`{op}` needs a `name`")),
        };
        let of_trace = name.starts_with("trace.") || name.starts_with("$trace.");
        if !self.within && !of_trace && self.beyond_trace.is_none() {
            self.beyond_trace = Some(name.clone());
        }
        Field::named(name, self.within).or_else(|what| fail(&format!("{path}.name"), what))
    }

    fn equal(&mut self, object: &Map<String, Value>, path: &str) -> Result_<Test> {
        let field = self.field("eq", object, path)?;
        let mut values = Values { ignore_case: ignore_case(object, path, false)?, ..Values::default() };
        let at = format!("{path}.value");
        match value("eq", object, path)? {
            Value::Array(list) => {
                for (i, one) in list.iter().enumerate() {
                    add_value(&mut values, one, &format!("{at}[{i}]"))?;
                }
            }
            one => add_value(&mut values, one, &at)?,
        }
        values.texts.sort();
        Ok(Test::Equal { field, values })
    }

    fn compare(
        &mut self,
        op: &str,
        how: Comparison,
        object: &Map<String, Value>,
        path: &str,
    ) -> Result_<Test> {
        let field = self.field(op, object, path)?;
        let with = match value(op, object, path)? {
            Value::Number(number) => Bound::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Bound::Text(text.clone()),
            other => {
                return fail(
                    &format!("{path}.value"),
                    format!("expected a number or a text, not {}", kind(other)),
                );
            }
        };
        Ok(Test::Compare { field, how, with })
    }

    fn glob(&mut self, object: &Map<String, Value>, path: &str) -> Result_<Test> {
        let field = self.field("glob", object, path)?;
        let at = format!("{path}.value");
        let list = match value("glob", object, path)? {
            one @ Value::String(_) => std::slice::from_ref(one),
            Value::Array(list) => list.as_slice(),
            other => {
                return fail(&at, format!("expected a pattern or a list of patterns, not {}", kind(other)));
            }
        };
        let text = |(i, one): (usize, &'_ Value)| match one {
            Value::String(text) => Ok(text.clone()),
            other => fail(&format!("{at}[{i}]"), format!("expected a pattern, not {}", kind(other))),
        };
        let texts: Vec<String> = list.iter().enumerate().map(text).collect::<Result_<_>>()?;
        let ignore_case = ignore_case(object, path, true)?;
        let globs = Globs::parse(texts.iter().map(String::as_str), ignore_case);
        Ok(Test::Glob { field, globs: globs.or_else(|error| fail(&at, error.to_string()))? })
    }

    fn list(&mut self, op: &str, object: &Map<String, Value>, path: &str) -> Result_<Vec<Test>> {
        match object.get("inner") {
            Some(Value::Array(list)) => {
                let one = |(i, json)| self.condition(json, &format!("{path}.inner[{i}]"));
                list.iter().enumerate().map(one).collect()
            }
            Some(other) => {
                fail(&format!("{path}.inner"), format!("expected a list of conditions, not {}", kind(other)))
            }
            None => fail(path, format!("`{op}` needs `inner`, a list of conditions")),
        }
    }

    fn inner(&mut self, op: &str, object: &Map<String, Value>, path: &str) -> Result_<Test> {
        match object.get("inner") {
            Some(json) => self.condition(json, &format!("{path}.inner")),
            None => fail(path, format!("`{op}` needs `inner`, a condition")),
        }
    }

    fn items(&mut self, op: &str, object: &Map<String, Value>, path: &str) -> Result_<(Field, Box<Test>)> {
        let list = self.field(op, object, path)?;
        if list.list().starts_with('$') {
            return fail(&format!("{path}.name"), "this is no list");
        }
        let before = std::mem::replace(&mut self.within, true);
        let inner = self.inner(op, object, path)?;
        self.within = before;
        Ok((list, Box::new(inner)))
    }
}

fn value<'a>(op: &str, object: &'a Map<String, Value>, path: &str) -> Result_<&'a Value> {
    object.get("value").map_or_else(|| fail(path, format!("`{op}` needs a `value`")), Ok)
}

fn add_value(values: &mut Values, json: &Value, path: &str) -> Result_<()> {
    match json {
        Value::String(text) if values.ignore_case => values.texts.push(lower(text).into_owned()),
        Value::String(text) => values.texts.push(text.clone()),
        Value::Number(number) => values.numbers.push(number.as_f64().unwrap_or(f64::NAN)),
        Value::Bool(flag) => values.flags.push(*flag),
        Value::Null => values.null = true,
        other => return fail(path, format!("expected a text, number, boolean or null, not {}", kind(other))),
    }
    Ok(())
}

fn ignore_case(object: &Map<String, Value>, path: &str, default: bool) -> Result_<bool> {
    let at = format!("{path}.options");
    let options = match object.get("options") {
        None => return Ok(default),
        Some(Value::Object(options)) => options,
        Some(other) => return fail(&at, format!("expected an object, not {}", kind(other))),
    };
    if let Some(key) = options.keys().find(|key| *key != "ignoreCase") {
        return fail(&format!("{at}.{key}"), "unknown option; there is ignoreCase");
    }
    match options.get("ignoreCase") {
        None => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => {
            fail(&format!("{at}.ignoreCase"), format!("expected true or false, not {}", kind(other)))
        }
    }
}

fn kind(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
