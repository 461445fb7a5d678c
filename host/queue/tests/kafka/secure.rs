//! TLS and SASL, as librdkafka's options say it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use host_queue::conformance::record;
use host_queue::{Error, Kafka, KafkaConfig, Queue, Role, Token};

use crate::broker::{ALL, WAIT, open_alone};
use crate::{SECURE, shared};

fn config(topic: &str, secure: bool, options: &[(&str, &str)]) -> KafkaConfig {
    shared().topic(topic, 1);
    let mut config = shared().config(topic, Role::Both);
    let (sasl_ssl, oauth) = SECURE.get().unwrap().ports;
    config.brokers = format!("127.0.0.1:{}", if secure { sasl_ssl } else { oauth });
    config.open_wait_max = Duration::from_secs(4);
    config.options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    config
}

async fn there_and_back(config: KafkaConfig) {
    let queue = open_alone(config);
    queue.append(0, vec![record(1, 10)]).await.unwrap();
    assert_eq!(queue.read(0, 0, ALL, WAIT).unwrap().len(), 1);
    queue.commit_noted(0, 1, "x").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_and_plain_over_tls() {
    let ca = || {
        shared();
        SECURE.get().unwrap().certificate.to_str().unwrap().to_owned()
    };
    for (mechanism, user, password) in [
        ("SCRAM-SHA-512", "alice", "alice-secret"),
        ("SCRAM-SHA-256", "alice", "alice-secret"),
        ("PLAIN", "bob", "bob-secret"),
    ] {
        let ca = ca();
        let options = [
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", &ca),
            ("sasl.mechanism", mechanism),
            ("sasl.username", user),
            ("sasl.password", password),
        ];
        there_and_back(config(&format!("tls-{mechanism}"), true, &options)).await;
    }
}

#[test]
fn a_wrong_password_and_an_unknown_authority_are_said() {
    shared();
    let ca = SECURE.get().unwrap().certificate.to_str().unwrap();
    let mut options = vec![
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "alice"),
        ("sasl.password", "wrong"),
    ];
    match Kafka::open(config("unknown-ca", true, &options)).err() {
        Some(Error::Away(what)) => assert!(what.contains("certificate"), "{what}"),
        other => panic!("{other:?}"),
    }
    options.push(("ssl.ca.location", ca));
    match Kafka::open(config("wrong-password", true, &options)).err() {
        Some(Error::Away(what)) => assert!(what.to_lowercase().contains("authentication"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_tokens() {
    let options = [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "OAUTHBEARER")];
    let unsecure = [
        options[0],
        options[1],
        ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
        ("sasl.oauthbearer.config", "principal=tamis"),
    ];
    there_and_back(config("unsecure-jwt", false, &unsecure)).await;

    let oidc = [
        options[0],
        options[1],
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.client.id", "tamis"),
        ("sasl.oauthbearer.client.secret", "s"),
        ("sasl.oauthbearer.token.endpoint.url", "http://127.0.0.1:1/token"),
    ];
    for role in [Role::Both, Role::Consume] {
        let mut config = config(&format!("oidc-{role:?}"), false, &oidc);
        config.role = role;
        let asked = Arc::new(AtomicU32::new(0));
        let counter = asked.clone();
        config.oauth = Some(Arc::new(move || {
            counter.fetch_add(1, Relaxed);
            Ok(token())
        }));
        match role {
            Role::Both => there_and_back(config).await,
            _ => {
                assert_eq!(Kafka::look(config.clone()).unwrap(), []);
                drop(open_alone(config));
            }
        }
        assert!(asked.load(Relaxed) > 0);
    }
    let mut refused = config("oidc-refused", false, &oidc);
    refused.oauth = Some(Arc::new(|| Err("the provider says 401".into())));
    match Kafka::open(refused).err() {
        Some(Error::Away(what)) => assert!(what.contains("the provider says 401"), "{what}"),
        other => panic!("{other:?}"),
    }
}

/// What a broker takes that checks no signature.
fn token() -> Token {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let ends = now + Duration::from_secs(600).as_secs();
    let part = |json: String| URL_SAFE_NO_PAD.encode(json);
    let claims = format!(r#"{{"sub":"tamis","iat":{now},"exp":{ends}}}"#);
    let token = format!("{}.{}.", part(r#"{"alg":"none"}"#.into()), part(claims));
    Token { token, principal: "tamis".into(), ends_at: ends as i64 * 1000 }
}
