//! The configuration, as operators write it. The README says what each key does.

use std::collections::BTreeMap;
use std::fmt;

use conditions::{Condition, Globs};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::addresses::Networks;
use crate::agent::Browsers;

/// The whole: the section for all projects, and one for each project that has its own.
#[derive(Debug, Default)]
pub struct Config {
    pub(crate) defaults: Section,
    pub(crate) projects: BTreeMap<ProjectKey, Section>,
}

/// What is set of one section. A key that is not set leaves what was there before.
#[derive(Debug, Default)]
pub struct Section {
    pub(crate) conditions: Option<Switch<Vec<Rule>>>,
    pub(crate) client_ips: Option<Switch<Networks>>,
    pub(crate) releases: Option<Switch<Globs>>,
    pub(crate) error_messages: Option<Switch<Globs>>,
    pub(crate) localhost: Option<bool>,
    pub(crate) browser_extensions: Option<bool>,
    pub(crate) legacy_browsers: Option<Switch<Browsers>>,
    pub(crate) web_crawlers: Option<bool>,
    pub(crate) transactions: Option<Switch<Globs>>,
    pub(crate) health_checks: Option<bool>,
}

/// A filter's settings, or `false` for off. `true` is only for filters that have something to do without settings.
#[derive(Debug, Clone)]
pub(crate) enum Switch<T> {
    Off,
    On(T),
}

/// A condition with the reason that it gives.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub id: String,
    pub condition: Condition,
    #[serde(default = "yes", alias = "isEnabled")]
    pub enabled: bool,
}

/// The id of a project, which JSON can only have as a text where it is a key.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProjectKey(pub u64);

fn yes() -> bool {
    true
}

const KEYS: &[&str] = &[
    "conditions",
    "client_ips",
    "releases",
    "error_messages",
    "localhost",
    "browser_extensions",
    "legacy_browsers",
    "web_crawlers",
    "transactions",
    "health_checks",
];

impl Section {
    /// Reads the value of `key`; `false` if there is no such key.
    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "conditions" => self.conditions = Some(map.next_value()?),
            "client_ips" => self.client_ips = Some(map.next_value()?),
            "releases" => self.releases = Some(map.next_value()?),
            "error_messages" => self.error_messages = Some(map.next_value()?),
            "localhost" => self.localhost = Some(map.next_value()?),
            "browser_extensions" => self.browser_extensions = Some(map.next_value()?),
            "legacy_browsers" => self.legacy_browsers = Some(map.next_value()?),
            "web_crawlers" => self.web_crawlers = Some(map.next_value()?),
            "transactions" => self.transactions = Some(map.next_value()?),
            "health_checks" => self.health_checks = Some(map.next_value()?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// By hand, since serde's `flatten` would forget in which key a mistake is.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Config, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Config;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of filters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
                let mut config = Config::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "projects" => config.projects = map.next_value()?,
                        key if config.defaults.read(key, &mut map)? => {}
                        key => return Err(unknown(key, &[KEYS, &["projects"]].concat())),
                    }
                }
                Ok(config)
            }
        }
        from.deserialize_map(Keys)
    }
}

impl<'de> Deserialize<'de> for Section {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Section, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Section;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of filters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Section, A::Error> {
                let mut section = Section::default();
                while let Some(key) = map.next_key::<String>()? {
                    if !section.read(&key, &mut map)? {
                        return Err(unknown(&key, KEYS));
                    }
                }
                Ok(section)
            }
        }
        from.deserialize_map(Keys)
    }
}

fn unknown<E: serde::de::Error>(key: &str, known: &[&str]) -> E {
    E::custom(format!("unknown key `{key}`; there are {}", known.join(", ")))
}

impl<'de> Deserialize<'de> for ProjectKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<ProjectKey, D::Error> {
        let text = String::deserialize(from)?;
        let id =
            text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not the id of a project")))?;
        Ok(ProjectKey(id))
    }
}

/// What `true` stands for, where it stands for something.
pub(crate) trait WhenTrue: Sized {
    const EXPECTED: &'static str;
    fn when_true() -> Option<Self> {
        None
    }
}

impl WhenTrue for Globs {
    const EXPECTED: &'static str = "a list of patterns, or false";
}

impl WhenTrue for Networks {
    const EXPECTED: &'static str = "a list of addresses and networks, or false";
}

impl WhenTrue for Vec<Rule> {
    const EXPECTED: &'static str = "a list of tables with `id` and `condition`, or false";
}

impl WhenTrue for Browsers {
    const EXPECTED: &'static str = "true, false, or a list of browsers";
    fn when_true() -> Option<Browsers> {
        Some(Browsers::default())
    }
}

impl<'de, T: DeserializeOwned + WhenTrue> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Switch<T>, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);
        impl<'de, T: DeserializeOwned + WhenTrue> Visitor<'de> for Either<T> {
            type Value = Switch<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }

            fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Switch<T>, E> {
                match (on, T::when_true()) {
                    (false, _) => Ok(Switch::Off),
                    (true, Some(all)) => Ok(Switch::On(all)),
                    (true, None) => Err(E::custom(format!("true says too little; expected {}", T::EXPECTED))),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Switch<T>, A::Error> {
                T::deserialize(serde::de::value::SeqAccessDeserializer::new(list)).map(Switch::On)
            }
        }
        from.deserialize_any(Either(std::marker::PhantomData))
    }
}
