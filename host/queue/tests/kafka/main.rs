//! The queue in a topic of a real broker. Needs Java 17 and Maven (Debian: apt-get install openjdk-17-jre-headless maven).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod away;
mod broker;
mod groups;
mod load;
mod misuse;
mod mock;
mod others;
mod secure;
mod zombie;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use host_queue::{Role, conformance};

use self::broker::{Cluster, open_alone, target};

/// The one broker that most tests share. Beside the plain port it has one with TLS and SASL, and one for bearer tokens.
fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let secure = SECURE.get_or_init(Secure::make);
        Cluster::start_with(1, &secure.properties(), SCRAM)
    })
}

/// What only the ports with SASL need.
struct Secure {
    certificate: PathBuf,
    keystore: PathBuf,
    /// With TLS, and for bearer tokens.
    ports: (u16, u16),
}

static SECURE: OnceLock<Secure> = OnceLock::new();
const SCRAM: &str = "--add-scram SCRAM-SHA-512=[name=alice,password=alice-secret] \
                     --add-scram SCRAM-SHA-256=[name=alice,password=alice-secret]";

impl Secure {
    fn make() -> Secure {
        let folder = target().join("kafka-tests").join(format!("tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
        let made = Command::new("openssl")
            .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext".split(' '))
            .args(["subjectAltName=IP:127.0.0.1", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl is missing, install it with: apt-get install openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let keystore = folder.join("keystore.pem");
        let both = [std::fs::read(&key).unwrap(), std::fs::read(&certificate).unwrap()].concat();
        std::fs::write(&keystore, both).unwrap();
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [a, b] = listeners.map(|l| l.local_addr().unwrap().port());
        Secure { certificate, keystore, ports: (a, b) }
    }

    fn properties(&self) -> String {
        let (tls, oauth) = self.ports;
        let module = "org.apache.kafka.common.security";
        let listeners =
            format!("PLAINTEXT://127.0.0.1:@PORT@,SECURE://127.0.0.1:{tls},OAUTH://127.0.0.1:{oauth}");
        format!(
            "listeners={listeners},CONTROLLER://127.0.0.1:@CONTROLLER@
advertised.listeners={listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL,OAUTH:SASL_PLAINTEXT
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={}
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
listener.name.secure.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.secure.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.secure.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_bob=\"bob-secret\";
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required \
unsecuredLoginStringClaim_sub=\"broker\";
",
            self.keystore.display()
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let made = AtomicU32::new(0);
    conformance::check(|| {
        let topic = format!("conforms-{}", made.fetch_add(1, Relaxed));
        shared().topic(&topic, 2);
        let begun = std::time::Instant::now();
        let queue = open_alone(shared().config(&topic, Role::Both));
        println!("{topic} open after {:?}", begun.elapsed());
        queue
    })
    .await;
}
