//! The harness of the end-to-end tests: a real `tamis` process, real clients, and readers that know nothing of Tamis.
//!
//! Nothing is mocked. A test makes a [`Home`] (a folder with both configuration files and all data), starts a [`Host`]
//! in it, sends with [`load`] or with Sentry's own clients, and asks the Parquet files what became of it.

pub mod account;
pub mod faults;
pub mod home;
pub mod host;
pub mod load;
pub mod tools;

pub use account::{Refused, account};
pub use faults::Faults;
pub use home::{Home, Options, Pipeline};
pub use host::Host;
pub use load::{Load, Sent};
