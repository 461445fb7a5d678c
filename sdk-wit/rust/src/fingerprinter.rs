//! Plugins that say which events are the same.

use md5::{Digest, Md5};
use serde::de::DeserializeOwned;

use crate::Event;
use crate::batch::Batch;
use crate::intern::Interner;

/// A plugin that says which events are the same.
pub trait Fingerprinter: Sized {
    /// The configuration, as serde reads it from JSON.
    type Config: DeserializeOwned;
    /// Makes an instance. An error refuses the configuration and is shown to the operator.
    fn init(config: Self::Config) -> Result<Self, String>;
    /// Gives the fingerprints of one event, the one that decides its group first. None is no opinion and leaves the
    /// event to the next stage.
    fn fingerprint(&mut self, event: &Event<'_>, out: &mut Fingerprints);
}

/// Where fingerprints go.
#[derive(Debug, Default)]
pub struct Fingerprints {
    flat: FlatFingerprints,
    kinds: Interner,
}

impl Fingerprints {
    /// Adds a fingerprint of 1 to 64 bytes, of a kind such as `app` or `system`.
    ///
    /// # Panics
    /// If it is empty or longer: the host would refuse the whole answer, and this says which one it was.
    pub fn push(&mut self, kind: &str, fingerprint: &str) {
        let bytes = fingerprint.len();
        assert!(
            (1..=FINGERPRINT_BYTES_MAX).contains(&bytes),
            "a fingerprint of {bytes} bytes: {fingerprint:?}"
        );
        let kind = self.kinds.add(kind);
        self.flat.kind.push(kind);
        self.flat.data.extend_from_slice(fingerprint.as_bytes());
        self.flat.offsets.push(self.flat.data.len() as u32);
    }
}

/// A fingerprint of texts: their MD5, as 32 hexadecimal digits. A zero byte follows each, so that `["a", "bc"]` is not
/// `["ab", "c"]`. The SDKs of all languages make the same one.
pub fn hash_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut digest = Md5::new();
    for part in parts {
        digest.update(part);
        digest.update([0]);
    }
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    digest.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Bytes of one fingerprint.
const FINGERPRINT_BYTES_MAX: usize = 64;

/// The answer for a batch, as the WIT has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[doc(hidden)]
pub struct FlatFingerprints {
    pub counts: Vec<u32>,
    pub kind: Vec<u32>,
    pub offsets: Vec<u32>,
    pub data: Vec<u8>,
    pub kinds: Vec<String>,
}

impl Default for FlatFingerprints {
    fn default() -> FlatFingerprints {
        FlatFingerprints {
            counts: Vec::new(),
            kind: Vec::new(),
            offsets: vec![0],
            data: Vec::new(),
            kinds: Vec::new(),
        }
    }
}

pub(crate) fn run<T: Fingerprinter>(plugin: &mut T, batch: &Batch) -> FlatFingerprints {
    let mut out = Fingerprints::default();
    for row in 0..batch.source.len() {
        let before = out.flat.kind.len();
        plugin.fingerprint(&Event::new(batch, row), &mut out);
        out.flat.counts.push((out.flat.kind.len() - before) as u32);
    }
    FlatFingerprints { kinds: out.kinds.into_texts(), ..out.flat }
}
