//! From an address and an environment to a client of object_store, with the patience that we have.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::address::{Bucket, Cloud};
use super::environment::Environment;
use super::profile;
use super::wire::{Connector, Traffic};

/// For one request with its answer, bodies of the size of a chunk's files included. `timeout` in the address changes it.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Tries of the client itself before its caller hears of it, who waits longer and counts. Few: each try of a create whose answer was
/// lost makes the client say that the object exists, and costs a read to find out.
const RETRIES_MAX: usize = 3;
/// After it there is no other try.
const RETRY_TIME_MAX: Duration = Duration::from_secs(15);
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);

/// A client of one bucket, or below a prefix of it. Nothing is asked yet. What is wrong, otherwise.
pub(super) fn connect(
    bucket: &Bucket,
    environment: &Environment,
    traffic: &Arc<Traffic>,
) -> Result<Arc<dyn ObjectStore>, String> {
    // Set once for the process; a second time is no news. Without it the first use of TLS would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = match bucket.cloud {
        Cloud::S3 => s3(bucket, environment, traffic)?,
        Cloud::Google => google(bucket, environment, traffic)?,
        Cloud::Azure => azure(bucket, environment, traffic)?,
    };
    match bucket.prefix.as_str() {
        "" => Ok(client),
        prefix => {
            let prefix = Path::parse(prefix).map_err(|e| e.to_string())?;
            Ok(Arc::new(PrefixStore::new(client, prefix)))
        }
    }
}

/// Whether it is a server that speaks S3, and not S3 itself.
pub(super) fn is_elsewhere(bucket: &Bucket, environment: &Environment) -> bool {
    let variables = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
    let is_set = || variables.iter().any(|name| environment.get(name).is_some());
    bucket.cloud == Cloud::S3 && (bucket.options.iter().any(|(key, _)| *key == "endpoint") || is_set())
}

fn s3(
    bucket: &Bucket,
    environment: &Environment,
    traffic: &Arc<Traffic>,
) -> Result<Arc<dyn ObjectStore>, String> {
    let mut builder = AmazonS3Builder::new()
        .with_client_options(patience())
        .with_retry(retries())
        .with_http_connector(Connector(Arc::clone(traffic)));
    for (key, value) in profile::options(environment)? {
        builder = builder.with_config(parsed(key)?, value);
    }
    for (key, value) in variables(bucket.cloud, environment) {
        builder = builder.with_config(key, value);
    }
    for (key, value) in &bucket.options {
        builder = builder.with_config(parsed(key)?, value);
        if *key == "endpoint" {
            // That of the environment would come first.
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, value);
        }
    }
    // Without conditions nothing is safe, so these come last. Deleting one by one is what every S3 can do.
    let builder = builder
        .with_bucket_name(&bucket.name)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true");
    Ok(Arc::new(builder.build().map_err(|e| e.to_string())?))
}

fn google(
    bucket: &Bucket,
    environment: &Environment,
    traffic: &Arc<Traffic>,
) -> Result<Arc<dyn ObjectStore>, String> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_client_options(patience())
        .with_retry(retries())
        .with_http_connector(Connector(Arc::clone(traffic)));
    for (key, value) in variables(bucket.cloud, environment) {
        builder = builder.with_config(key, value);
    }
    for (key, value) in &bucket.options {
        builder = builder.with_config(parsed(key)?, value);
    }
    Ok(Arc::new(builder.with_bucket_name(&bucket.name).build().map_err(|e| e.to_string())?))
}

fn azure(
    bucket: &Bucket,
    environment: &Environment,
    traffic: &Arc<Traffic>,
) -> Result<Arc<dyn ObjectStore>, String> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_client_options(patience())
        .with_retry(retries())
        .with_http_connector(Connector(Arc::clone(traffic)));
    for (key, value) in variables(bucket.cloud, environment) {
        builder = builder.with_config(key, value);
    }
    if let Some(endpoint) = environment.get("IDENTITY_ENDPOINT") {
        builder = builder.with_msi_endpoint(endpoint);
    }
    for (key, value) in &bucket.options {
        builder = builder.with_config(parsed(key)?, value);
    }
    Ok(Arc::new(builder.with_container_name(&bucket.name).build().map_err(|e| e.to_string())?))
}

/// The variables that object_store knows, as its own `from_env` finds them.
fn variables<K: FromStr>(cloud: Cloud, environment: &Environment) -> impl Iterator<Item = (K, &str)> {
    let ours = environment.beginning_with(cloud.variables());
    ours.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
}

fn parsed<K: FromStr>(key: &str) -> Result<K, String> {
    key.parse().map_err(|_| format!("the client does not know {key:?}"))
}

fn patience() -> ClientOptions {
    ClientOptions::new().with_timeout(REQUEST_TIME_MAX).with_connect_timeout(CONNECT_TIME_MAX)
}

fn retries() -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: BACK_OFF_MIN, max_backoff: BACK_OFF_MAX, base: 2.0 };
    RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: RETRY_TIME_MAX }
}

#[cfg(test)]
mod tests {
    use super::super::address::{Address, Place};
    use super::*;

    /// Every key that an address may have must be one of object_store's.
    #[test]
    fn every_key_is_known() {
        let environment = Environment::default();
        for url in [
            "s3://b?region=r&endpoint=http://h&virtual_hosted_style_request=true&unsigned_payload=true\
             &checksum_algorithm=SHA256&skip_signature=true&request_payer=true&server_side_encryption=AES256\
             &sse_kms_key_id=k&sse_bucket_key_enabled=true&role_arn=r&role_session_name=s&web_identity_token_file=f\
             &container_credentials_relative_uri=/x&endpoint_url_sts=https://h&metadata_endpoint=http://h\
             &imdsv1_fallback=true&allow_http=true&allow_invalid_certificates=true&connect_timeout=1s\
             &http1_only=true&http2_only=false&pool_idle_timeout=1s&pool_max_idle_per_host=1\
             &proxy_excludes=h&proxy_url=http://h&timeout=1s&user_agent=a",
            "gs://b/p?base_url=http://h&skip_signature=true&allow_http=true",
            "az://b/p?account_name=a&endpoint=http://h/a&client_id=c&tenant_id=t&authority_host=https://h\
             &federated_token_file=f&msi_endpoint=http://h&msi_resource_id=r&object_id=o&credential_type=auto\
             &use_azure_cli=false&use_fabric_endpoint=false&skip_signature=true&allow_http=true",
        ] {
            let Place::Bucket(bucket) = Address::parse(url).unwrap().place else { panic!("{url}") };
            connect(&bucket, &environment, &Arc::default()).unwrap();
        }
        for key in ["service_account", "application_credentials"] {
            parsed::<object_store::gcp::GoogleConfigKey>(key).unwrap();
        }
    }
}
