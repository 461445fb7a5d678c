//! A compiled condition and its evaluation.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value;
use tamis_plugin::{Event, Item};

use crate::compile::{self, ConditionError};
use crate::field::Field;
use crate::glob::{Globs, lower};

/// A condition on an event, compiled.
#[derive(Debug, Clone)]
pub struct Condition {
    test: Test,
    /// The first name in it that is not of the trace header.
    beyond_trace: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum Test {
    Equal { field: Field, values: Values },
    Compare { field: Field, how: Comparison, with: Bound },
    Glob { field: Field, globs: Globs },
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Any { list: Field, inner: Box<Test> },
    All { list: Field, inner: Box<Test> },
}

/// What a field may be equal to; an empty part is not asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    /// Sorted; in lower case if case is ignored.
    pub texts: Vec<String>,
    pub numbers: Vec<f64>,
    pub flags: Vec<bool>,
    /// A missing field is equal to null.
    pub null: bool,
    pub ignore_case: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone)]
pub(crate) enum Bound {
    Number(f64),
    Text(String),
}

impl Condition {
    /// Compiles Sentry's JSON form. The error names the place in it.
    pub fn compile(json: &Value) -> Result<Condition, ConditionError> {
        let (test, beyond_trace) = compile::compile(json)?;
        Ok(Condition { test, beyond_trace })
    }

    /// The condition that always holds, for rules without one.
    pub fn always() -> Condition {
        Condition { test: Test::And(Vec::new()), beyond_trace: None }
    }

    /// Whether it holds for an event. A field that is missing equals nothing but null, and compares to nothing.
    pub fn matches(&self, event: &Event<'_>) -> bool {
        self.test.holds(&event.as_item())
    }

    /// A name that it looks at and that is not of the trace header, if there is one.
    pub fn beyond_trace(&self) -> Option<&str> {
        self.beyond_trace.as_deref()
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Condition, D::Error> {
        let json = Value::deserialize(from)?;
        Condition::compile(&json).map_err(D::Error::custom)
    }
}

impl Test {
    /// Its depth is bounded by the compiler.
    fn holds(&self, of: &Item<'_>) -> bool {
        match self {
            Test::Equal { field, values } => values.contain(field, of),
            Test::Compare { field, how, with: Bound::Number(with) } => {
                field.number(of).is_some_and(|n| how.holds(n.partial_cmp(with)))
            }
            Test::Compare { field, how, with: Bound::Text(with) } => {
                field.text(of).is_some_and(|text| how.holds(Some(text.cmp(with))))
            }
            Test::Glob { field, globs } => field.text(of).is_some_and(|text| globs.matches(text)),
            Test::And(inner) => inner.iter().all(|test| test.holds(of)),
            Test::Or(inner) => inner.iter().any(|test| test.holds(of)),
            Test::Not(inner) => !inner.holds(of),
            Test::Any { list, inner } => of.items(list.list()).any(|item| inner.holds(&item)),
            Test::All { list, inner } => {
                let mut items = of.items(list.list());
                items.len() > 0 && items.all(|item| inner.holds(&item))
            }
        }
    }
}

impl Values {
    fn contain(&self, field: &Field, of: &Item<'_>) -> bool {
        let equals_text = |text: &str| match self.ignore_case {
            true => self.has_text(&lower(text)),
            false => self.has_text(text),
        };
        (!self.texts.is_empty() && field.text(of).is_some_and(equals_text))
            || (!self.numbers.is_empty() && field.number(of).is_some_and(|n| self.numbers.contains(&n)))
            || (!self.flags.is_empty() && field.flag(of).is_some_and(|f| self.flags.contains(&f)))
            || (self.null && !field.is_present(of))
    }

    fn has_text(&self, text: &str) -> bool {
        self.texts.binary_search_by(|known| known.as_str().cmp(text)).is_ok()
    }
}

impl Comparison {
    fn holds(self, order: Option<std::cmp::Ordering>) -> bool {
        match self {
            Comparison::Greater => order.is_some_and(|o| o.is_gt()),
            Comparison::GreaterOrEqual => order.is_some_and(|o| o.is_ge()),
            Comparison::Less => order.is_some_and(|o| o.is_lt()),
            Comparison::LessOrEqual => order.is_some_and(|o| o.is_le()),
        }
    }
}

#[cfg(test)]
mod tests;
