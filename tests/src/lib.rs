//! The harness of the end-to-end tests: a real `tamis` process, real clients, and readers that know nothing of Tamis.
//!
//! Nothing is mocked. A test makes a [`Home`] (a folder with both configuration files and all data), starts a [`Host`]
//! in it, sends with [`load`] or with Sentry's own clients, and asks the Parquet files what became of it.

pub mod account;
pub mod bounds;
pub mod chaos;
pub mod clock;
pub mod disk;
pub mod faults;
pub mod fleet;
pub mod gcs;
pub mod ground;
pub mod home;
pub mod host;
pub mod kafka;
pub mod load;
pub mod proxy;
pub mod s3;
pub mod sdk;
pub mod servers;
pub mod tools;

pub use account::{Refused, account, account_in};
pub use chaos::{Chaos, Random};
pub use clock::Clock;
pub use disk::Disk;
pub use faults::Faults;
pub use fleet::{Common, Fleet, Member, Role, Turn};
pub use gcs::Gcs;
pub use ground::Ground;
pub use home::{Home, Options, Pipeline};
pub use host::{Host, Launch};
pub use kafka::Kafka;
pub use load::{Load, Sent};
pub use proxy::{Fault, Proxy, Rule};
pub use s3::S3;
pub use sdk::Sdk;
pub use servers::Server;
