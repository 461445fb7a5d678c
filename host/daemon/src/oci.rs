//! Components in OCI registries, `oci://registry/name@sha256:…`, in the format of Bytecode Alliance's wkg (one layer of `application/wasm`).
//!
//! Only by digest: a tag may mean something else tomorrow, and a generation must not. What was read is kept beside the compiled plugins, and checked
//! against the digest each time, so a registry is asked once.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use host_pipeline::generation::digest_of;
use host_plugin::limits::COMPONENT_BYTES_MAX;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::Value;

pub const SCHEME: &str = "oci://";
/// The media type of the layer that is the component.
const COMPONENT_MEDIA_TYPE: &str = "application/wasm";
/// Bytes of a manifest. It lists a handful of layers.
const MANIFEST_BYTES_MAX: usize = 1 << 20;
/// Between two reads from a registry.
const READ_TIME_MAX: Duration = Duration::from_secs(30);

/// A component in a registry.
#[derive(Debug, Clone, PartialEq)]
pub struct OciReference {
    reference: Reference,
    /// Of the manifest, without `sha256:`.
    digest: String,
}

impl std::fmt::Display for OciReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{SCHEME}{}", self.reference.whole())
    }
}

impl OciReference {
    /// `text` without the scheme. What is wrong with it, otherwise.
    pub fn parse(text: &str) -> Result<OciReference, String> {
        let reference: Reference = text.parse().map_err(|e| format!("{SCHEME}{text}: {e}"))?;
        let digest = reference.digest().and_then(|digest| digest.strip_prefix("sha256:"));
        let digest = digest.ok_or_else(|| {
            format!(
                "{SCHEME}{text} must end with @sha256:DIGEST, since a tag may mean something else tomorrow"
            )
        })?;
        Ok(OciReference { digest: digest.to_owned(), reference })
    }

    /// The component, from `cache` if it was read before.
    pub fn read(&self, cache: &Path) -> anyhow::Result<Vec<u8>> {
        let folder = cache.join("oci");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let manifest =
            self.kept_or_pulled(&folder, &self.digest, MANIFEST_BYTES_MAX, || self.pull_manifest())?;
        let layer = component_layer(&manifest).with_context(|| self.to_string())?;
        let digest = layer.digest.strip_prefix("sha256:").context("a layer's digest is not sha256")?;
        self.kept_or_pulled(&folder, digest, COMPONENT_BYTES_MAX, || self.pull_layer(&layer))
    }

    /// Bytes of a digest: those that were kept, if they are what the digest says, else those that are pulled, and kept.
    fn kept_or_pulled(
        &self,
        folder: &Path,
        digest: &str,
        bytes_max: usize,
        pull: impl FnOnce() -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<Vec<u8>> {
        let path = folder.join(digest);
        if let Ok(kept) = fs::read(&path)
            && digest_of(&kept) == digest
        {
            return Ok(kept);
        }
        tracing::info!("reading {self}");
        let pulled = pull().with_context(|| self.to_string())?;
        ensure!(
            pulled.len() <= bytes_max,
            "{self}: {} bytes, and at most {bytes_max} are taken",
            pulled.len()
        );
        let found = digest_of(&pulled);
        ensure!(
            found == digest,
            "{self}: the registry gave bytes of the digest sha256:{found} for sha256:{digest}"
        );
        // As a whole or not at all: somebody else may read at the same time.
        let temporary = path.with_extension(std::process::id().to_string());
        fs::write(&temporary, &pulled)
            .and_then(|()| fs::rename(&temporary, &path))
            .with_context(|| path.display().to_string())?;
        Ok(pulled)
    }

    fn pull_manifest(&self) -> anyhow::Result<Vec<u8>> {
        let (client, auth) = (self.client(), self.auth());
        let pulled =
            async { client.pull_manifest_raw(&self.reference, &auth, &[OCI_IMAGE_MEDIA_TYPE]).await };
        let (manifest, _) = blocking(pulled)??;
        Ok(manifest.into())
    }

    fn pull_layer(&self, layer: &OciDescriptor) -> anyhow::Result<Vec<u8>> {
        ensure!(
            usize::try_from(layer.size).is_ok_and(|size| size <= COMPONENT_BYTES_MAX),
            "the component has {} bytes, and at most {COMPONENT_BYTES_MAX} are taken",
            layer.size
        );
        let (client, auth) = (self.client(), self.auth());
        let mut bytes = Vec::new();
        blocking(async {
            client.store_auth_if_needed(self.reference.resolve_registry(), &auth).await;
            client.pull_blob(&self.reference, layer, &mut bytes).await
        })??;
        Ok(bytes)
    }

    /// A registry on this machine is spoken to without TLS, as docker does.
    fn client(&self) -> Client {
        // Set once for the process; a second time is no news.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let registry = self.reference.resolve_registry();
        let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
        let is_local =
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let protocol = if is_local { ClientProtocol::Http } else { ClientProtocol::Https };
        let read_timeout = Some(READ_TIME_MAX);
        Client::new(ClientConfig {
            protocol,
            read_timeout,
            connect_timeout: read_timeout,
            ..ClientConfig::default()
        })
    }

    /// What `docker login` or `wkg` left, else anonymous.
    fn auth(&self) -> RegistryAuth {
        let set = |name: &str| std::env::var_os(name).map(std::path::PathBuf::from);
        let folder = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")));
        let text = folder.and_then(|folder| fs::read_to_string(folder.join("config.json")).ok());
        let config: Value = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let encoded = config["auths"][self.reference.resolve_registry()]["auth"].as_str();
        encoded.and_then(basic).unwrap_or(RegistryAuth::Anonymous)
    }
}

/// `base64(user:password)`
fn basic(encoded: &str) -> Option<RegistryAuth> {
    use base64::Engine;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(RegistryAuth::Basic(user.to_owned(), password.to_owned()))
}

fn component_layer(manifest: &[u8]) -> anyhow::Result<OciDescriptor> {
    let manifest: OciImageManifest =
        serde_json::from_slice(manifest).context("it is no manifest of an image (an index is not taken)")?;
    let mut layers = manifest.layers.into_iter().filter(|layer| layer.media_type == COMPONENT_MEDIA_TYPE);
    match (layers.next(), layers.next()) {
        (Some(layer), None) => Ok(layer),
        (None, _) => {
            anyhow::bail!("it has no layer of the type {COMPONENT_MEDIA_TYPE}: it holds no component")
        }
        _ => anyhow::bail!("it has several layers of the type {COMPONENT_MEDIA_TYPE}"),
    }
}

fn blocking<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_by_digest() {
        let digest = "a".repeat(64);
        let fine = OciReference::parse(&format!("ghcr.io/team/filter@sha256:{digest}")).unwrap();
        assert_eq!(fine.to_string(), format!("oci://ghcr.io/team/filter@sha256:{digest}"));
        for wrong in
            ["ghcr.io/team/filter:latest", "ghcr.io/team/filter", "ghcr.io/team/filter@sha256:12", "@"]
        {
            OciReference::parse(wrong).unwrap_err();
        }
    }

    #[test]
    fn what_was_read_is_not_read_again_and_is_checked() {
        let component = b"\0asm and so on".to_vec();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
"config":{{"mediaType":"application/vnd.wasm.config.v0+json","digest":"sha256:{0}","size":2}},
"layers":[{{"mediaType":"application/wasm","digest":"sha256:{1}","size":{2}}}]}}"#,
            digest_of(b"{}"),
            digest_of(&component),
            component.len()
        );
        let digest = digest_of(manifest.as_bytes());
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("oci")).unwrap();
        fs::write(dir.path().join("oci").join(&digest), &manifest).unwrap();
        let kept = dir.path().join("oci").join(digest_of(&component));
        fs::write(&kept, &component).unwrap();
        // Nobody listens there.
        let reference = OciReference::parse(&format!("127.0.0.1:9/x@sha256:{digest}")).unwrap();
        assert_eq!(reference.read(dir.path()).unwrap(), component);
        fs::write(&kept, b"tampered").unwrap();
        let error = format!("{:#}", reference.read(dir.path()).unwrap_err());
        assert!(error.starts_with(&format!("{reference}: ")), "{error}");
    }

    #[test]
    fn credentials_as_docker_keeps_them() {
        assert_eq!(basic("dTpwOnE="), Some(RegistryAuth::Basic("u".into(), "p:q".into())));
        assert_eq!(basic("???"), None);
    }
}
