//! Sentry's rule conditions: compiled once from JSON, evaluated over events. Also globs and times, as rules write them.
//!
//! ```
//! use conditions::Condition;
//!
//! let json = serde_json::json!({"op": "glob", "name": "event.release", "value": ["1.*"]});
//! assert!(Condition::compile(&json).is_ok());
//! let json = serde_json::json!({"op": "and", "inner": [{"op": "eq", "name": "event.release"}]});
//! assert_eq!(Condition::compile(&json).unwrap_err().to_string(), "inner[0]: `eq` needs a `value`");
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod compile;
mod condition;
mod field;
mod glob;
mod time;

pub use compile::ConditionError;
pub use condition::Condition;
pub use glob::{Glob, GlobError, Globs};
pub use time::{parse_millis, parse_seconds};
