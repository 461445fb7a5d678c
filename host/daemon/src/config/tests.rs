use super::*;

fn problems(host: &str, pipeline: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let (h, p) = (dir.path().join("tamis.toml"), dir.path().join("pipeline.toml"));
    std::fs::write(&h, host).unwrap();
    std::fs::write(&p, pipeline).unwrap();
    std::fs::write(dir.path().join("x.wasm"), "").unwrap();
    let all = load(&h, &p).err().unwrap_or_default();
    let folder = format!("{}/", dir.path().display());
    all.iter().map(|p| p.to_string().replace(&folder, "")).collect()
}

const HOST: &str =
    "[[project]]\nid = 1\n[[project.key]]\npublic_key = \"0123456789abcdef0123456789abcdef\"\n";

#[test]
fn the_smallest_files_are_fine() {
    assert_eq!(problems(HOST, ""), Vec::<String>::new());
    assert_eq!(
        problems(HOST, "[[stage]]\nname = \"f\"\nkind = \"filter\"\ncomponent = \"x.wasm\"\n"),
        Vec::<String>::new()
    );
}

#[test]
fn all_problems_of_both_files_at_once() {
    let host = "[http]\nlisten = \"here\"\n[queue]\npartitions = 0\n[[project]]\nid = 1\n[[project.key]]\npublic_key = \"abc\"\n[chunks]\n";
    let pipeline = "[[stage]]\nname = \"f\"\nkind = \"filer\"\ncomponent = \"y.wasm\"\ncategories = [\"errors\"]\n\
        [stage.grants]\nread = \"a &\"\n[stage.limits]\nmemory_bytes_max = \"lots\"\nmemory = 1\n";
    let want = [
        "tamis.toml:2: http.listen: \"here\" is no address (write IP:PORT, for example \"127.0.0.1:9180\")",
        "tamis.toml:4: queue.partitions is 0, and must be between 1 and 1024",
        "tamis.toml:8: project.key.public_key must be 32 hexadecimal digits (make one with: openssl rand -hex 16)",
        "tamis.toml:9: unknown key chunks (did you mean chunk?)",
        "pipeline.toml:3: stage.kind: \"filer\" is not known (did you mean filter?)",
        "pipeline.toml:4: stage.component: there is no file y.wasm (build it: tamis plugin build DIR --out DIR)",
        "pipeline.toml:5: stage.categories: \"errors\" is not known (did you mean error?)",
        "pipeline.toml:7: selector \"a &\": expected a second `&` at character 4",
        "pipeline.toml:9: stage.limits.memory_bytes_max must be a number of bytes such as \"64MiB\"",
    ];
    let found = problems(host, pipeline);
    assert_eq!(found[..want.len()], want);
    assert!(found[9].starts_with("pipeline.toml:10: unknown key stage.limits.memory"), "{}", found[9]);
}

#[test]
fn text_that_is_no_toml() {
    let found = problems("[[project]\nid = 1", "");
    assert!(found[0].starts_with("tamis.toml:1: "), "{found:?}");
}
