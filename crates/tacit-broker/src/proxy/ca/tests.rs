//! What clients make of a lease's certificates: those for bound hosts are good, and whatever the intermediate's key
//! signs beside them is not (attack K3).

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConnection,
    pki_types::{ServerName, pem::PemObject},
};
use tacit_model::Destinations;

use super::*;

fn hosts(names: &[&str]) -> Vec<HostPattern> {
    let destinations = names.iter().map(|name| serde_json::json!({"host": name})).collect();
    let destinations: Destinations = serde_json::from_value(serde_json::Value::Array(destinations)).unwrap();
    destinations.0.into_iter().map(|destination| destination.host).collect()
}

fn authority_for(names: &[&str]) -> Authority {
    Authority::new(&hosts(names), OffsetDateTime::now_utc()).unwrap()
}

/// TLS settings for a host that the authority may not sign for: what a thief of its key would make.
fn rogue_config(authority: &Authority, host: &Host) -> Arc<ServerConfig> {
    Arc::new(authority.make_config(host).unwrap())
}

fn host(name: &str) -> Host {
    Host::parse(name).unwrap()
}

/// Shakes hands in memory. `sni` is the name that is asked for and verified.
fn shake(
    authority: &Authority,
    config: &Arc<ServerConfig>,
    sni: &str,
    says_name: bool,
) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.root_pem().as_bytes()).unwrap())?;
    let mut client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.enable_sni = says_name;
    let name = ServerName::try_from(sni.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::clone(config))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        let answered = server.process_new_packets();
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
        answered?;
    }
    Ok(())
}

#[test]
fn bound_hosts_are_vouched_for() {
    let authority = authority_for(&["good.test", "*.tenant.test", "127.0.0.1", "::1"]);
    for name in ["good.test", "a.tenant.test", "127.0.0.1", "::1"] {
        let config = authority.server_config(&host(name)).unwrap();
        shake(&authority, &config, name, true).unwrap();
        shake(&authority, &config, name, false).unwrap();
    }
    // The same settings each time, so that sessions can be resumed.
    let one = authority.server_config(&host("good.test")).unwrap();
    assert!(Arc::ptr_eq(&one, &authority.server_config(&host("good.test")).unwrap()));
}

/// Even whoever holds the intermediate's key cannot be another host.
#[test]
fn k3_others_are_not() {
    let names = authority_for(&["good.test", "*.tenant.test"]);
    let addresses = authority_for(&["127.0.0.1"]);
    let none = authority_for(&[]);
    for (authority, name) in [
        (&names, "evil.test"),
        (&names, "xgood.test"),
        (&names, "127.0.0.1"),
        (&names, "::1"),
        (&addresses, "good.test"),
        (&addresses, "127.0.0.2"),
        (&addresses, "::1"),
        (&none, "good.test"),
        (&none, "127.0.0.1"),
    ] {
        let config = rogue_config(authority, &host(name));
        assert!(shake(authority, &config, name, true).is_err(), "{name}");
    }
}

/// A lease's authority is no other lease's.
#[test]
fn every_lease_has_its_own() {
    let (one, other) = (authority_for(&["good.test"]), authority_for(&["good.test"]));
    let config = other.server_config(&host("good.test")).unwrap();
    assert!(shake(&one, &config, "good.test", true).is_err());
}

/// A client that connected to one host and asks for another gets no certificate at all.
#[test]
fn a4_another_name_is_not_answered() {
    let authority = authority_for(&["good.test", "other.test"]);
    let config = authority.server_config(&host("good.test")).unwrap();
    assert!(shake(&authority, &config, "other.test", true).is_err());
    assert!(shake(&authority, &config, "good.test", true).is_ok());
}

/// As long as a lease can live, and no longer.
#[test]
fn a_day_and_no_longer() {
    let now = OffsetDateTime::now_utc();
    let (minute, day) = (Duration::minutes(1), Duration::hours(24));
    for (age, is_good) in [(day - minute, true), (day + minute, false), (-minute, true), (-day, false)] {
        let authority = Authority::new(&hosts(&["good.test"]), now - age).unwrap();
        let config = authority.server_config(&host("good.test")).unwrap();
        assert_eq!(shake(&authority, &config, "good.test", true).is_ok(), is_good, "{age}");
    }
}

/// A wildcard does not fill the memory.
#[test]
fn settings_are_kept_for_so_many_hosts() {
    let authority = authority_for(&["*.tenant.test"]);
    for at in 0..HOSTS_MAX + 2 {
        authority.server_config(&host(&format!("h{at}.tenant.test"))).unwrap();
    }
    assert!(authority.configs.lock().unwrap().len() <= HOSTS_MAX);
}

/// The clients that people use, each with the lease's root as the one it trusts. `scripts/test` installs them.
#[cfg(feature = "acceptance")]
#[allow(clippy::print_stderr, reason = "what a client said is what explains a failure")]
mod real_clients {
    use std::{
        net::TcpListener,
        path::Path,
        process::{Command, Stdio},
        thread,
    };

    use super::*;

    /// Answers every connection with a certificate and, after the handshake, with `hello`.
    fn serve(config: Arc<ServerConfig>) -> u16 {
        use std::io::{Read, Write};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut config = ServerConfig::clone(&config);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let config = Arc::clone(&config);
                thread::spawn(move || {
                    let mut stream =
                        rustls::StreamOwned::new(ServerConnection::new(config).unwrap(), stream.unwrap());
                    let mut seen = Vec::new();
                    let mut byte = [0];
                    while !seen.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
                        seen.push(byte[0]);
                    }
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                });
            }
        });
        port
    }

    /// Whether each client takes the certificate for `https://localhost:PORT/`.
    fn taken(directory: &Path, root_pem: &str, port: u16) -> Vec<(&'static str, bool)> {
        let root = directory.join("root.pem");
        std::fs::write(&root, root_pem).unwrap();
        let root = root.to_str().unwrap();
        let url = format!("https://localhost:{port}/");
        let store = directory.join("store.p12");
        let import = Command::new("keytool")
            .args([
                "-importcert",
                "-noprompt",
                "-alias",
                "lease",
                "-storetype",
                "PKCS12",
                "-storepass",
                "changeit",
                "-file",
                root,
                "-keystore",
            ])
            .arg(&store)
            .stdin(Stdio::null())
            .output()
            .expect("java is installed by scripts/test");
        assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stdout));
        std::fs::write(
            directory.join("Get.java"),
            "public class Get { public static void main(String[] a) throws Exception { System.out.print(new String(new java.net.URL(a[0]).openStream().readAllBytes())); } }",
        )
        .unwrap();
        let trust = format!("-Djavax.net.ssl.trustStore={}", store.display());
        let java_source = directory.join("Get.java").display().to_string();
        let python = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())";
        let node = "require('https').get(process.argv[1], r => r.on('data', d => console.log(String(d)))).on('error', e => { console.error(e.code); process.exit(1) })";
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program)
                .args(arguments)
                .env("SSL_CERT_FILE", root)
                .env("GIT_SSL_CAINFO", root)
                .env("NODE_EXTRA_CA_CERTS", root)
                .env("NO_PROXY", "*")
                .output()
                .unwrap_or_else(|error| panic!("{program}: {error}; scripts/test installs it"));
            let (out, err) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            (out.into_owned(), err.into_owned())
        };
        let hello = |(out, err): (String, String)| {
            eprint!("{err}");
            out.contains("hello")
        };
        // git needs a repository to be content; what it says shows whether it went past the certificate.
        let (_, git) = run("git", &["ls-remote", &url]);
        vec![
            ("curl", hello(run("curl", &["-sS", "--cacert", root, &url]))),
            ("git", !git.contains("certificate") && !git.contains("SSL")),
            ("python", hello(run("python3", &["-c", python, &url]))),
            ("node", hello(run("node", &["-e", node, &url]))),
            (
                "java",
                hello(run(
                    "java",
                    &[&trust, "-Djavax.net.ssl.trustStorePassword=changeit", &java_source, &url],
                )),
            ),
        ]
    }

    /// Bound: all five take it. Not bound, but signed with the stolen key of the intermediate: none does.
    #[test]
    fn k3_five_clients_hold_the_constraint() {
        let directory = tempfile::tempdir().unwrap();
        let bound = authority_for(&["localhost"]);
        let port = serve(bound.server_config(&host("localhost")).unwrap());
        for (client, is_taken) in taken(directory.path(), bound.root_pem(), port) {
            assert!(is_taken, "{client} refuses the certificate of a bound host");
        }
        for names in [&["good.test"][..], &["127.0.0.1"]] {
            let directory = tempfile::tempdir().unwrap();
            let elsewhere = authority_for(names);
            let port = serve(rogue_config(&elsewhere, &host("localhost")));
            for (client, is_taken) in taken(directory.path(), elsewhere.root_pem(), port) {
                assert!(!is_taken, "{client} takes a certificate that the authority may not sign");
            }
        }
    }
}
