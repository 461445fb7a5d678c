//! What was compiled is loaded again, unless somebody touched it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use host_pipeline::StageKind;
use host_plugin::StageFactory;

use crate::support::{guest, runtime, spec};

fn artefacts(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "aot")).collect()
}

#[test]
fn a_touched_artefact_is_compiled_anew() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("deep/cache");
    let load = || {
        let component = guest(StageKind::Filter, "mischief.wat");
        StageFactory::load(spec(StageKind::Filter, component), &runtime(&cache)).unwrap();
        artefacts(&cache)[0].clone()
    };
    let artefact = load();
    let inode = || fs::metadata(&artefact).unwrap().ino();
    let good = fs::read(&artefact).unwrap();
    let first = inode();
    load();
    assert_eq!(inode(), first, "the second load took the artefact as it was");
    let flipped = {
        let mut bytes = good.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    for bytes in [&flipped[..], &good[..good.len() - 1], &good[..10], b""] {
        fs::write(&artefact, bytes).unwrap();
        load();
        assert!(fs::read(&artefact).unwrap() == good, "an artefact of {} bytes was taken", bytes.len());
    }
    // With another key the artefact is as good as touched. A key that others can read is no key.
    let key = cache.join("key");
    assert_eq!(fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
    let old = fs::read(&key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    load();
    assert!(fs::read(&key).unwrap() != old && fs::metadata(&key).unwrap().mode() & 0o777 == 0o600);
    assert!(fs::read(&artefact).unwrap() != good);
    assert_eq!(artefacts(&cache).len(), 1);
    let left = fs::read_dir(&cache).unwrap().count();
    assert_eq!(left, 2, "the key, the artefact, and no temporary file");
}

#[test]
fn an_artefact_of_one_component_is_none_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let load = |kind, file| {
        StageFactory::load(spec(kind, guest(kind, file)), &runtime(dir.path())).map(|_| artefacts(dir.path()))
    };
    let filter = load(StageKind::Filter, "mischief.wat").unwrap();
    let both = load(StageKind::Sampler, "sampler.wat").unwrap();
    let sampler = both.iter().find(|path| **path != filter[0]).unwrap();
    fs::copy(&filter[0], sampler).unwrap();
    load(StageKind::Sampler, "sampler.wat").unwrap();
}
