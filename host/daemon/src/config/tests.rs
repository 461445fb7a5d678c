use super::*;

fn problems(host: &str, pipeline: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let (h, p) = (dir.path().join("tamis.toml"), dir.path().join("pipeline.toml"));
    std::fs::write(&h, host).unwrap();
    std::fs::write(&p, pipeline).unwrap();
    std::fs::write(dir.path().join("x.wasm"), "").unwrap();
    let all = load(&h, Some(&p)).problems;
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
        "pipeline.toml:7: stage.grants.read: selector \"a &\": expected a second `&` at character 4",
        "pipeline.toml:9: stage.limits.memory_bytes_max must be a number of bytes such as \"64MiB\"",
    ];
    let found = problems(host, pipeline);
    assert_eq!(found[..want.len()], want);
    assert!(found[9].starts_with("pipeline.toml:10: unknown key stage.limits.memory"), "{}", found[9]);
}

/// One of the tables of a list is wrong, and so is the next.
#[test]
fn a_problem_hides_none_of_its_neighbours() {
    let host = "[http]\nlisten = \"127.0.0.1:1\"\ntrusted_proxies = [\"10.0.0.0/8\", \"x\"]\nmemory_bytes_max = \"1KiB\"\n\
        [admin]\nlisten = \"127.0.0.1:1\"\n[queue]\ndisk_bytes_max = 1\n[store]\nurl = \"ftp://x\"\n\
        [[project]]\nid = \"x\"\n[[project.key]]\n[[project]]\nname = \"y\"\n[project.key]\npublic_key = \"0\"\n\
        [[project]]\nid = 3\n[[project.quota]]\n[[project.quota]]\nitems_max = \"9\"\n\
        [[project.quota]]\nitems_max = 9\nwindow = \"500ms\"\n";
    let pipeline = "[[stage]]\nname = 1\n[[stage]]\nkind = \"filter\"\n";
    let want = [
        "tamis.toml:3: http.trusted_proxies: \"x\" is no IP address or network such as 10.0.0.0/8",
        "tamis.toml:4: http.memory_bytes_max is 1KiB, and must be between 4MiB and 1TiB",
        "tamis.toml:5: admin.listen and http.listen are both 127.0.0.1:1 (each needs a port of its own)",
        "tamis.toml:8: queue.disk_bytes_max is 1B, and must be at least 64MiB",
        "tamis.toml:10: store.url: there is no store for ftp:// (write a folder, file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or \
         az://CONTAINER/PREFIX)",
        "tamis.toml:12: project.id must be a whole number",
        "tamis.toml:13: project.key.public_key is missing (for example public_key = \"0123456789abcdef0123456789abcdef\")",
        "tamis.toml:14: project.id is missing (for example id = 1)",
        "tamis.toml:16: project.key must be a list of tables (write [[project.key]], with two brackets)",
        "tamis.toml:17: project.key.public_key must be 32 hexadecimal digits (make one with: openssl rand -hex 16)",
        "tamis.toml:18: project 3 has no key: nobody could send to it (add [[project.key]] with a public_key)",
        "tamis.toml:20: project.quota.items_max is missing (for example items_max = 1000)",
        "tamis.toml:22: project.quota.items_max must be a whole number",
        "tamis.toml:25: project.quota.window is 500ms, and must be at least 1s",
        "pipeline.toml:1: stage.kind is missing (for example kind = \"filter\")",
        "pipeline.toml:1: stage.component is missing (for example component = \"target/plugins/inbound-filters.wasm\")",
        "pipeline.toml:2: stage.name must be a string",
        "pipeline.toml:3: stage.name is missing (for example name = \"inbound-filters\")",
        "pipeline.toml:3: stage.component is missing (for example component = \"target/plugins/inbound-filters.wasm\")",
    ];
    assert_eq!(problems(host, pipeline), want);
}

#[test]
fn keys_of_librdkafka_are_handed_on_and_checked() {
    let kafka = "[queue.kafka]\nbrokers = \"h:9092\"\ntopic = \"t\"\n";
    let with = |more: &str| problems(&format!("{kafka}{more}\n{HOST}"), "");
    assert_eq!(
        with(
            "security.protocol = \"SASL_SSL\"\n\"session.timeout.ms\" = 9000\nsocket.keepalive.enable = true"
        ),
        [""; 0]
    );
    for (more, want) in [
        (
            "sesion.timeout.ms = 9000",
            "tamis.toml:4: queue.kafka: sesion.timeout.ms: librdkafka says: No such",
        ),
        ("acks = 1", "tamis.toml:4: queue.kafka: acks: it can not be set: an answer of 200 means"),
        ("linger.ms = [1]", "tamis.toml:4: queue.kafka.linger.ms must be a string, a number"),
        ("fetch_bytes_max = 1", "tamis.toml:4: queue.kafka.fetch_bytes_max must be at least 1MiB"),
    ] {
        let found = with(more);
        assert!(found.len() == 1 && found[0].starts_with(want), "{found:?}");
    }
    let missing = problems(&format!("[queue.kafka]\ngroup = \"g\"\n{HOST}"), "");
    assert!(
        missing.iter().any(|p| p.starts_with("tamis.toml:1: queue.kafka.brokers is missing")),
        "{missing:?}"
    );
}

#[test]
fn an_address_of_a_store_is_checked_before_it_is_opened() {
    for (url, want) in [
        ("s3:///prefix", "there is no bucket in it (write s3://BUCKET/PREFIX)"),
        ("s3://lake?regoin=x", "the key \"regoin\" is not known (known are region"),
        (
            "s3://lake?secret_access_key=x",
            "the key \"secret_access_key\" is a secret (addresses end up in logs",
        ),
    ] {
        let found = problems(&format!("[store]\nurl = \"{url}\"\n{HOST}"), "");
        assert!(found[0].starts_with(&format!("tamis.toml:2: store.url: {want}")), "{found:?}");
    }
    let fine = format!("[store]\nurl = \"s3://lake/a?region=x\"\nallow_unsafe = true\n{HOST}");
    assert!(problems(&fine, "").is_empty());
}

/// Read as an empty list, `[stage]` would let every event through untouched.
#[test]
fn one_bracket_too_few() {
    let want = "pipeline.toml:1: stage must be a list of tables (write [[stage]], with two brackets)";
    let stage = "[stage]\nname = \"f\"\nkind = \"filter\"\ncomponent = \"x.wasm\"\n";
    assert_eq!(problems(HOST, stage), [want]);
    assert_eq!(problems(HOST, "stage = 1"), [want]);
    assert_eq!(problems(HOST, "stage = [1]"), [want]);
}

#[test]
fn text_that_is_no_toml() {
    let found = problems("[[project]\nid = 1", "");
    assert!(found[0].starts_with("tamis.toml:1: "), "{found:?}");
}

/// The blocks of docs/configuration.md show every key with its default, so they say the same as files without them.
#[test]
fn the_documentation_has_every_key_and_its_default() {
    let text = include_str!("../../../../docs/configuration.md");
    let block = |nth: usize| text.split("```toml\n").nth(nth).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let load = |host: &str, pipeline: &str| {
        for (name, text) in [("tamis.toml", host), ("pipeline.toml", pipeline), ("f.wasm", "")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        load(&dir.path().join("tamis.toml"), Some(&dir.path().join("pipeline.toml"))).checked().unwrap()
    };
    let pipeline = block(2).replace("target/plugins/inbound-filters.wasm", "f.wasm");
    let said = load(block(1), &pipeline);
    let key = "[[project]]\nid = 42\nname = \"shop\"\n[[project.key]]\npublic_key = \"0123456789abcdef0123456789abcdef\"\n\
        [[project.quota]]\nitems_max = 100000\n";
    let stage = "[[stage]]\nname = \"inbound-filters\"\nkind = \"filter\"\ncomponent = \"f.wasm\"\n";
    let silent = load(key, stage);
    assert_eq!(said.host, silent.host);
    let (said, silent) =
        (&said.pipeline.unwrap().stages[0].clone(), &silent.pipeline.unwrap().stages[0].clone());
    assert_eq!(said.limits.len(), pipeline::LIMITS.len(), "{:?}", said.limits);
    assert_eq!(crate::generations::spec::limits_of(&said.limits), host_plugin::Limits::default());
    assert_eq!(StageConfig { limits: silent.limits.clone(), kind_line: 3, ..said.clone() }, *silent);
    // A key of tamis.toml that is read and not in the block shows here: it is among the keys that are suggested.
    for section in [
        "http",
        "admin",
        "generations",
        "queue",
        "store",
        "cache",
        "chunk",
        "work",
        "batch",
        "project",
        "project.key",
        "project.quota",
    ] {
        let brackets = if section.starts_with("project") { ("[[", "]]") } else { ("[", "]") };
        let unknown = format!("{key}{}{section}{}\nzzzzzzzzzzzz = 1\n", brackets.0, brackets.1);
        let problems = problems(&unknown, "");
        let known = problems
            .iter()
            .find_map(|p| p.split_once("known are "))
            .unwrap_or_else(|| panic!("{problems:?}"))
            .1;
        let documented = block(1).split(&format!("{}{section}{}", brackets.0, brackets.1)).nth(1).unwrap();
        let documented = documented.split("\n[").next().unwrap();
        for name in
            known.trim_end_matches(')').split(", ").filter(|name| !["key", "quota", "kafka"].contains(name))
        {
            assert!(documented.contains(&format!("\n{name} = ")), "{section}.{name}");
        }
    }
}
