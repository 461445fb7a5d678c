//! The macro that makes a component of a plugin, and what a component says of itself.

/// The SDK's name and version, for the manifest.
pub const SDK: &str = concat!(env!("CARGO_PKG_NAME"), "-rust ", env!("CARGO_PKG_VERSION"));

/// Exports a plugin: `export!(filter: T)`, `export!(sampler: T)`, `export!(scrubber: T)` or `export!(fingerprinter: T)`,
/// once per crate, at the top of a module.
///
/// `reads = ["release", "user.**"]` and `writes = ["**"]` may follow. They are what the plugin asks for: selectors that
/// `tamis plugin inspect` shows, and that an operator grants in the pipeline's definition. Together with the name and version of
/// the crate they stand, as JSON, in the component's custom section `tamis:plugin`.
///
/// ```
/// use tamis_plugin::{Event, Rate, Sampler};
///
/// struct Tenth;
/// impl Sampler for Tenth {
///     type Config = serde::de::IgnoredAny;
///     fn init(_: Self::Config) -> Result<Self, String> {
///         Ok(Tenth)
///     }
///     fn sample(&mut self, _: &Event<'_>) -> Rate {
///         Rate::by(0.1, "tenth")
///     }
/// }
/// tamis_plugin::export!(sampler: Tenth, reads = []);
/// ```
#[macro_export]
macro_rules! export {
    (filter: $plugin:ty $(, $($asks:tt)*)?) => {
        $crate::__export!(filter, Filter, filtering, $plugin, filter -> Verdicts, $($($asks)*)?);
    };
    (sampler: $plugin:ty $(, $($asks:tt)*)?) => {
        $crate::__export!(sampler, Sampler, sampling, $plugin, sample -> Rates, $($($asks)*)?);
    };
    (scrubber: $plugin:ty $(, $($asks:tt)*)?) => {
        $crate::__export!(scrubber, Scrubber, scrubbing, $plugin, scrub -> Edits, $($($asks)*)?);
    };
    (fingerprinter: $plugin:ty $(, $($asks:tt)*)?) => {
        $crate::__export!(
            fingerprinter, Fingerprinter, fingerprinting, $plugin, fingerprint -> Fingerprints, $($($asks)*)?
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (
        $world:ident, $trait:ident, $interface:ident, $plugin:ty, $call:ident -> $answer:ident,
        $(reads = [$($reads:literal),* $(,)?] $(,)?)? $(writes = [$($writes:literal),* $(,)?] $(,)?)?
    ) => {
        const _: () = {
            const fn is_a_plugin<T: $crate::$trait>() {}
            is_a_plugin::<$plugin>();
        };

        /// What this plugin says of itself, as JSON.
        #[doc(hidden)]
        pub const TAMIS_MANIFEST: $crate::__private::Manifest<'static> = $crate::__private::Manifest {
            kind: stringify!($world),
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            sdk: $crate::__private::SDK,
            reads: &[$($($reads),*)?],
            writes: &[$($($writes),*)?],
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: ::std::cell::RefCell<Option<$plugin>> = const { ::std::cell::RefCell::new(None) };
            }

            struct Exported;

            impl $crate::bindings::$world::exports::tamis::plugin::$interface::Guest for Exported {
                fn init(config: ::std::string::String) -> Result<(), ::std::string::String> {
                    $crate::__private::init(
                        &INSTANCE,
                        &config,
                        <$plugin as $crate::$trait>::init,
                        $crate::__private::at_start::$call::<$plugin>,
                    )
                }

                fn $call() -> $crate::bindings::$world::exports::tamis::plugin::$interface::$answer {
                    $crate::__private::call(&INSTANCE, $crate::__private::$call::<$plugin>)
                }
            }

            $crate::bindings::$world::export!(Exported with_types_in $crate::bindings::$world);

            #[unsafe(link_section = "tamis:plugin")]
            #[used]
            static SECTION: [u8; TAMIS_MANIFEST.len()] = TAMIS_MANIFEST.json();
        };
    };
}

/// What a component says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Manifest<'a> {
    /// `filter`, `sampler`, `scrubber` or `fingerprinter`.
    pub kind: &'a str,
    /// The crate's name.
    pub name: &'a str,
    /// The crate's version.
    pub version: &'a str,
    /// The SDK and its version.
    pub sdk: &'a str,
    /// Selectors of what it asks to read.
    pub reads: &'a [&'a str],
    /// Selectors of what it asks to edit.
    pub writes: &'a [&'a str],
}

impl Manifest<'_> {
    /// The number of bytes of [`Manifest::json`].
    pub const fn len(&self) -> usize {
        self.write([]).at
    }

    /// Never: there are braces at least.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The manifest as JSON; `N` must be [`Manifest::len`].
    pub const fn json<const N: usize>(&self) -> [u8; N] {
        self.write([0; N]).out
    }

    const fn write<const N: usize>(&self, out: [u8; N]) -> Writer<N> {
        Writer { out, at: 0 }
            .raw("{\"kind\":")
            .text(self.kind)
            .raw(",\"name\":")
            .text(self.name)
            .raw(",\"version\":")
            .text(self.version)
            .raw(",\"sdk\":")
            .text(self.sdk)
            .raw(",\"reads\":")
            .list(self.reads)
            .raw(",\"writes\":")
            .list(self.writes)
            .raw("}")
    }
}

/// Writes JSON while the compiler runs; what does not fit is only counted.
struct Writer<const N: usize> {
    out: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    const fn byte(mut self, byte: u8) -> Self {
        if self.at < N {
            self.out[self.at] = byte;
        }
        self.at += 1;
        self
    }

    const fn raw(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            self = self.byte(bytes[i]);
            i += 1;
        }
        self
    }

    const fn text(mut self, text: &str) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let bytes = text.as_bytes();
        self = self.byte(b'"');
        let mut i = 0;
        while i < bytes.len() {
            let b = bytes[i];
            self = match b {
                b'"' | b'\\' => self.byte(b'\\').byte(b),
                0..0x20 => self.raw("\\u00").byte(HEX[(b >> 4) as usize]).byte(HEX[(b & 15) as usize]),
                _ => self.byte(b),
            };
            i += 1;
        }
        self.byte(b'"')
    }

    const fn list(mut self, texts: &[&str]) -> Self {
        self = self.byte(b'[');
        let mut i = 0;
        while i < texts.len() {
            if i > 0 {
                self = self.byte(b',');
            }
            self = self.text(texts[i]);
            i += 1;
        }
        self.byte(b']')
    }
}

/// What runs in a component between the bindings and the author's trait.
#[cfg(target_family = "wasm")]
pub mod guest {
    use std::cell::RefCell;
    use std::thread::LocalKey;

    use serde::de::DeserializeOwned;

    use crate::batch::Batch;
    use crate::bindings::{filter as f, fingerprinter as p, sampler as s, scrubber as e};
    use crate::source::Source;
    use crate::{Filter, Fingerprinter, Sampler, Scrubber, config};

    type Instance<T> = LocalKey<RefCell<Option<T>>>;

    /// Reads the configuration, keeps the instance that it makes, and lets it ask for what it will ask for in every call.
    pub fn init<T, C: DeserializeOwned>(
        instance: &'static Instance<T>,
        json: &str,
        make: fn(C) -> Result<T, String>,
        at_start: fn(&T),
    ) -> Result<(), String> {
        #[cfg(target_os = "unknown")]
        std::panic::set_hook(Box::new(|panic| crate::log::error(&panic.to_string())));
        let made = make(config::parse(json)?)?;
        at_start(&made);
        instance.set(Some(made));
        Ok(())
    }

    /// What each kind asks the host during `init`, where a refusal stops the start and not every batch.
    pub mod at_start {
        use super::{Filter, Fingerprinter, Sampler, Scrubber, Source};

        /// Its paths show when it reads them.
        pub fn filter<T: Filter>(_: &T) {}

        /// Its paths show when it reads them.
        pub fn sample<T: Sampler>(_: &T) {}

        /// Its paths show when it reads them.
        pub fn fingerprint<T: Fingerprinter>(_: &T) {}

        /// Selectors often come from the configuration: one that can not be parsed is a mistake in it.
        pub fn scrub<T: Scrubber>(plugin: &T) {
            for selector in plugin.selectors() {
                let _ = Source.leaves(&selector);
            }
        }
    }

    /// Calls the instance with the current batch.
    pub fn call<T, A>(instance: &'static Instance<T>, run: fn(&mut T, &Batch) -> A) -> A {
        instance.with_borrow_mut(|instance| {
            let plugin = instance.as_mut().expect("the host calls init first");
            run(plugin, &Batch::new(Source))
        })
    }

    /// Answers in the bindings' own type.
    pub fn filter<T: Filter>(
        plugin: &mut T,
        batch: &Batch,
    ) -> f::exports::tamis::plugin::filtering::Verdicts {
        let crate::filter::Verdicts { verdicts, reasons } = crate::filter::run(plugin, batch);
        f::exports::tamis::plugin::filtering::Verdicts { verdicts, reasons }
    }

    /// Answers in the bindings' own type.
    pub fn sample<T: Sampler>(plugin: &mut T, batch: &Batch) -> s::exports::tamis::plugin::sampling::Rates {
        let crate::sampler::Rates { rates, decided_by, rules } = crate::sampler::run(plugin, batch);
        s::exports::tamis::plugin::sampling::Rates { rates, decided_by, rules }
    }

    /// Answers in the bindings' own type.
    pub fn scrub<T: Scrubber>(plugin: &mut T, batch: &Batch) -> e::exports::tamis::plugin::scrubbing::Edits {
        let crate::edits::FlatEdits { leaf, op, start, end, text, rule, strings } =
            crate::scrubber::run(plugin, batch);
        e::exports::tamis::plugin::scrubbing::Edits { leaf, op, start, end, text, rule, strings }
    }

    /// Answers in the bindings' own type.
    pub fn fingerprint<T: Fingerprinter>(
        plugin: &mut T,
        batch: &Batch,
    ) -> p::exports::tamis::plugin::fingerprinting::Fingerprints {
        let crate::fingerprinter::FlatFingerprints { counts, kind, offsets, data, kinds } =
            crate::fingerprinter::run(plugin, batch);
        p::exports::tamis::plugin::fingerprinting::Fingerprints { counts, kind, offsets, data, kinds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_json() {
        const MANIFEST: Manifest<'_> = Manifest {
            kind: "filter",
            name: "x",
            version: "1.0.0",
            sdk: SDK,
            reads: &["tags.'a\"b\\c'", "d\n"],
            writes: &[],
        };
        static JSON: [u8; MANIFEST.len()] = MANIFEST.json();
        let read: serde_json::Value = serde_json::from_slice(&JSON).unwrap();
        assert_eq!(read["reads"], serde_json::json!(["tags.'a\"b\\c'", "d\n"]));
        assert_eq!(read["sdk"], format!("tamis-plugin-rust {}", env!("CARGO_PKG_VERSION")));
        assert_eq!(read["writes"], serde_json::json!([]));
    }
}
