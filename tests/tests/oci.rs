//! A component from a real OCI registry (CNCF distribution), in the format that wkg pushes: read once, by digest, and kept in the store.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tamis_tests::{Home, Options, Pipeline, tools};

const READY_TIME_MAX: Duration = Duration::from_secs(20);

/// The registry, ended with the test.
struct Registry {
    child: Child,
    address: String,
}

impl Registry {
    fn start(dir: &Path) -> Result<Registry> {
        let program = tools::target()?.join("test-registry/registry");
        if !program.is_file() {
            bail!("there is no {}: run `tests/setup.sh`, or `make test`, which does", program.display());
        }
        // Free a moment ago: the registry does not say which port it took.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let config = dir.join("registry.yml");
        let storage = dir.join("registry");
        fs::write(
            &config,
            format!(
                "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\nlog:\n  level: error\n",
                storage.display()
            ),
        )?;
        let mut command = Command::new(&program);
        command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none");
        let log = fs::File::create(dir.join("registry.log"))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let registry = Registry { child, address };
        let begun = Instant::now();
        while registry.curl(&["-s", "-f", &registry.url("/v2/")]).is_err() {
            ensure!(begun.elapsed() < READY_TIME_MAX, "the registry is not ready within {READY_TIME_MAX:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(registry)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn curl(&self, arguments: &[&str]) -> Result<String> {
        tools::run(Command::new("curl").args(arguments))
    }

    fn push_blob(&self, name: &str, file: &Path, digest: &str) -> Result<()> {
        let head =
            self.curl(&["-s", "-i", "-X", "POST", &self.url(&format!("/v2/{name}/blobs/uploads/"))])?;
        let location =
            head.lines().find_map(|l| l.to_ascii_lowercase().starts_with("location:").then_some(&l[9..]));
        let location = location.context("the registry says where to upload to")?.trim().to_owned();
        let to = format!("{location}&digest=sha256:{digest}");
        let data = format!("@{}", file.display());
        let kind = "Content-Type: application/octet-stream";
        self.curl(&["-s", "-f", "-X", "PUT", "-H", kind, "--data-binary", &data, &to]).map(drop)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn sha256(file: &Path) -> Result<String> {
    let said = tools::run(Command::new("sha256sum").arg(file))?;
    Ok(said.split(' ').next().context("a digest")?.to_owned())
}

/// Pushes a component as wkg does; gives the digest of the manifest.
fn push(registry: &Registry, dir: &Path, name: &str, component: &Path) -> Result<String> {
    let layer = sha256(component)?;
    let (config, manifest): (PathBuf, PathBuf) = (dir.join("config.json"), dir.join("manifest.json"));
    fs::write(
        &config,
        json!({ "created": "2026-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2", "layerDigests": [format!("sha256:{layer}")] })
            .to_string(),
    )?;
    let of = |kind: &str, file: &Path| -> Result<Value> {
        let size = fs::metadata(file)?.len();
        Ok(json!({ "mediaType": kind, "digest": format!("sha256:{}", sha256(file)?), "size": size }))
    };
    let kind = "application/vnd.oci.image.manifest.v1+json";
    fs::write(
        &manifest,
        json!({
            "schemaVersion": 2,
            "mediaType": kind,
            "config": of("application/vnd.wasm.config.v0+json", &config)?,
            "layers": [of("application/wasm", component)?],
        })
        .to_string(),
    )?;
    registry.push_blob(name, component, &layer)?;
    registry.push_blob(name, &config, &sha256(&config)?)?;
    let (kind, data) = (format!("Content-Type: {kind}"), format!("@{}", manifest.display()));
    let to = registry.url(&format!("/v2/{name}/manifests/1.0.0"));
    registry.curl(&["-s", "-f", "-X", "PUT", "-H", &kind, "--data-binary", &data, &to])?;
    sha256(&manifest)
}

#[test]
fn a_component_of_a_registry_is_read_once_and_kept() -> Result<()> {
    let options = Options { pipeline: Pipeline::Empty, ..Options::default() };
    Home::new(&options)?.check(|home| {
        let dir = home.path();
        let registry = Registry::start(dir)?;
        let component = tools::component("inbound-filters")?;
        let digest = push(&registry, dir, "team/filters", &component)?;
        let reference = format!("oci://{}/team/filters@sha256:{digest}", registry.address);
        let stage = |component: &str| {
            format!("[[stage]]\nname = \"f\"\nkind = \"filter\"\ncomponent = \"{component}\"\n")
        };
        fs::write(dir.join("oci.toml"), stage(&reference))?;
        fs::write(dir.join("tag.toml"), stage(&format!("oci://{}/team/filters:1.0.0", registry.address)))?;
        fs::write(dir.join("gone.toml"), stage(&reference.replace(&digest, &"0".repeat(64))))?;

        let host = home.start()?;
        let admin = format!("http://{}", host.admin());
        let cache = dir.join("cache-of-commands");
        let publish = |file: &str| -> Result<(i32, String)> {
            let mut command = home.tamis(&["pipeline", "publish", file, "--json", "--admin", &admin])?;
            let output = command.env("XDG_CACHE_HOME", &cache).output()?;
            let text = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
            Ok((output.status.code().context("an exit code")?, text))
        };
        let (code, said) = publish("tag.toml")?;
        ensure!(
            code == 64 && said.contains("tag.toml:4: ") && said.contains("must end with @sha256:DIGEST"),
            "{said}"
        );
        let (code, said) = publish("gone.toml")?;
        ensure!(code == 64 && said.contains("gone.toml:4: ") && said.contains(&"0".repeat(64)), "{said}");
        let (code, said) = publish("oci.toml")?;
        ensure!(code == 0, "{said}");
        let kept = dir.join("store/control/components").join(format!("{}.wasm", sha256(&component)?));
        ensure!(kept.is_file(), "{} is not in the store", kept.display());

        // The registry is gone, and nobody needs it any more.
        drop(registry);
        let (code, said) = publish("oci.toml")?;
        ensure!(code == 0, "{said}");
        let status = host.terminate()?;
        ensure!(status.code() == Some(0), "the drain ended with {status}");
        let host = home.start()?;
        let (_, shown) = host.admin_get("/pipeline")?;
        ensure!(shown.contains("\"generation\":2"), "{shown}");
        let status = host.terminate()?;
        ensure!(status.code() == Some(0), "the drain ended with {status}");
        Ok(())
    })
}
