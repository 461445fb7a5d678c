//! Keeps compiled components on disk. Loading native code runs it, so every artefact carries a keyed hash, and one that
//! does not match it is compiled anew.

use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::LoadError;
use crate::runtime::{Runtime, chain};

const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;
/// Ends the name of an artefact that is being written.
const UNFINISHED: &str = ".aot.tmp";
/// Artefacts that are kept: those of a few versions of every plugin.
const ARTEFACTS_MAX: usize = 256;

/// The compiled component, from the cache if it is there.
pub(crate) fn component(runtime: &Runtime, stage: &str, bytes: &[u8]) -> Result<Component, LoadError> {
    let dir = &runtime.config.cache_dir;
    let broken = |what: &str| {
        let what = what.to_owned();
        move |e: io::Error| LoadError::Cache { dir: dir.clone(), what: format!("{what}: {e}") }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(broken("it can not be created"))?;
    let key = secret(dir).map_err(broken("its key can not be read or made"))?;
    let name = artefact_name(&runtime.engine, bytes);
    let path = dir.join(format!("{name}.aot"));
    match read(&path, &key, &name) {
        Ok(Some(code)) => match deserialize(&runtime.engine, &code) {
            Ok(component) => return Ok(component),
            Err(e) => tracing::warn!(stage, ?path, "compiled plugin does not load, compiling it anew: {e}"),
        },
        Ok(None) => tracing::warn!(stage, ?path, "compiled plugin was changed or torn, compiling it anew"),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => tracing::warn!(stage, ?path, "compiled plugin can not be read, compiling it anew: {e}"),
    }
    let failed = |what| LoadError::Compile { stage: stage.to_owned(), what };
    tracing::info!(stage, kilobytes = bytes.len() / 1000, "compiling plugin");
    let begun = (runtime.config.clock)();
    let code = runtime.config.compile.run(&runtime.engine, bytes, dir).map_err(failed)?;
    let millis = (runtime.config.clock)().duration_since(begun).as_millis();
    tracing::info!(stage, millis, kilobytes = code.len() / 1000, "compiled plugin");
    if let Err(e) = write(&path, &key, &name, &code) {
        tracing::warn!(stage, ?path, "compiled plugin can not be kept: {e}");
    }
    deserialize(&runtime.engine, &code).map_err(|e| failed(chain(&e)))
}

/// A new file in the folder under a name of its own. Its path is there to rename or remove it.
pub(crate) fn temporary(dir: &Path, suffix: &str) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!(".{}-{next}{suffix}", std::process::id()));
        let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        match made {
            // Left behind by a process that had the same id, as in a container.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (file, path)),
        }
    }
}

#[expect(
    unsafe_code,
    reason = "wasmtime runs what it deserializes; both callers hand over code that this engine's compiler made: fresh, or \
              with the keyed hash of a process that could read the 0600 key"
)]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: see the reason above; the bytes are in memory, so nobody changes them after the check.
    unsafe { Component::deserialize(engine, code) }
}

/// Names everything that the code depends on: the component, and by the engine's hash wasmtime's version, its settings
/// and the features of the processor.
fn artefact_name(engine: &Engine, bytes: &[u8]) -> String {
    struct Blake(blake3::Hasher);
    impl Hasher for Blake {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            unreachable!("the whole hash is taken instead")
        }
    }
    let mut hasher = Blake(blake3::Hasher::new());
    hasher.0.update(blake3::hash(bytes).as_bytes());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().to_hex().to_string()
}

/// The name is authenticated too: an artefact of one component is none of another.
fn mac(key: &[u8; KEY_BYTES], name: &str, code: &[u8]) -> blake3::Hash {
    blake3::Hasher::new_keyed(key).update(name.as_bytes()).update(code).finalize()
}

/// `None` is an artefact that is not what was written.
fn read(path: &Path, key: &[u8; KEY_BYTES], name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut code = fs::read(path)?;
    let Some(end) = code.len().checked_sub(MAC_BYTES) else { return Ok(None) };
    let stored: [u8; MAC_BYTES] = code[end..].try_into().expect("the end is that long");
    code.truncate(end);
    // Comparing hashes takes the same time wherever they differ.
    Ok((mac(key, name, &code) == stored).then_some(code))
}

fn write(path: &Path, key: &[u8; KEY_BYTES], name: &str, code: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let (mut file, unfinished) = temporary(dir, UNFINISHED)?;
    let written = file.write_all(code).and_then(|()| file.write_all(mac(key, name, code).as_bytes()));
    // No fsync: an artefact torn by a crash fails its hash.
    let kept = written.and_then(|()| fs::rename(&unfinished, path));
    if kept.is_err() {
        fs::remove_file(&unfinished)?;
    }
    kept?;
    prune(dir, ARTEFACTS_MAX)
}

/// Removes what is oldest, and what a crash left unfinished. Losing an artefact costs a compilation, nothing else.
fn prune(dir: &Path, artefacts_max: usize) -> io::Result<()> {
    let mut artefacts = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".aot") || name.ends_with(UNFINISHED) {
            // Another process may be pruning too.
            let Ok(meta) = fs::metadata(&path) else { continue };
            artefacts.push((meta.mtime(), meta.mtime_nsec(), path));
        }
    }
    artefacts.sort();
    let surplus = artefacts.len().saturating_sub(artefacts_max);
    for (_, _, path) in &artefacts[..surplus] {
        tracing::debug!(?path, "old compiled plugin removed");
        fs::remove_file(path)?;
    }
    Ok(())
}

/// The key of this cache, made at its first use. One that others could have read is replaced, and all artefacts with it.
fn secret(dir: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let path = dir.join(KEY_FILE);
    match fs::metadata(&path) {
        Ok(meta) if meta.mode() & 0o077 != 0 || meta.uid() != rustix::process::geteuid().as_raw() => {
            tracing::warn!(?path, "the key of the cache was open to others, or theirs, and is replaced");
            fs::remove_file(&path)?;
        }
        Ok(meta) if meta.len() != KEY_BYTES as u64 => fs::remove_file(&path)?,
        _ => {}
    }
    if !path.exists() {
        let mut fresh = [0; KEY_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut fresh)?;
        let (mut file, unnamed) = temporary(dir, ".key")?;
        file.write_all(&fresh)?;
        // Another process may have been faster: its key counts then.
        let linked = fs::hard_link(&unnamed, &path);
        fs::remove_file(&unnamed)?;
        linked.or_else(|e| if e.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) })?;
    }
    let key = fs::read(&path)?;
    key.try_into().map_err(|_| io::Error::other("the key has the wrong length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["key", "a.aot", ".1-0.aot.tmp", "b.aot", "c.aot"] {
            fs::write(dir.path().join(name), name).unwrap();
            // Files of one instant have no order.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let left = |artefacts_max| {
            prune(dir.path(), artefacts_max).unwrap();
            let names = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name());
            let mut names: Vec<String> = names.map(|n| n.into_string().unwrap()).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(left(4), ".1-0.aot.tmp a.aot b.aot c.aot key");
        assert_eq!(left(2), "b.aot c.aot key");
        assert_eq!(left(0), "key");
    }

    #[test]
    fn a_name_left_behind_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let (_, first) = temporary(dir.path(), ".key").unwrap();
        let number = |path: &Path| -> u64 {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.trim_end_matches(".key").rsplit('-').next().unwrap().parse().unwrap()
        };
        for after in 1..20 {
            let name = format!(".{}-{}.key", std::process::id(), number(&first) + after);
            fs::write(dir.path().join(name), "left behind").unwrap();
        }
        let (_, second) = temporary(dir.path(), ".key").unwrap();
        assert!(number(&second) >= number(&first) + 20);
    }
}
