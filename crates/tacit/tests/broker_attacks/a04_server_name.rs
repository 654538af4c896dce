//! A4: the name in the TLS handshake is another than that of the CONNECT. It must be the same or absent, and
//! certificates are made for the host of the CONNECT alone.

use std::sync::Arc;

use rustls::{ClientConfig, SupportedProtocolVersion, pki_types::ServerName};

use crate::{
    client::{client_config, roots},
    ensure,
    lease::Lease,
    scene::{Scene, Verdict},
    world::World,
};

const ALERT: u8 = 21;

/// The hello of a client that asks for a name.
fn hello(lease: &Lease, name: &str, versions: &[&'static SupportedProtocolVersion]) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let config = config.with_root_certificates(roots(&lease.ca_pem)).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A4").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let handshakes = world.good.handshakes(&scene.good);

    for name in [scene.evil.as_str(), "good.test", "a4.good.test.evil.test"] {
        let (mut conn, _) = lease.connect(&scene.authority()).await;
        conn.write(hello(&lease, name, rustls::ALL_VERSIONS)).await;
        let first = conn.some().await;
        ensure!(
            first.first() == Some(&ALERT),
            "a handshake for {name} in a tunnel to {} went on",
            scene.good
        );
    }

    // An address as a name is no name (RFC 6066), and gets what no name gets. No library writes one, so a name of the same
    // length is written over; TLS 1.2 shows the certificate in plain.
    let mut literal = hello(&lease, "aaaaaaa.b", &[&rustls::version::TLS12]);
    let at = literal.windows(9).position(|window| window == b"aaaaaaa.b").unwrap();
    literal[at..at + 9].copy_from_slice(b"127.0.0.1");
    let (mut conn, _) = lease.connect(&scene.authority()).await;
    conn.write(literal).await;
    let shown = conn.some().await;
    let holds = |what: &[u8]| memchr::memmem::find(&shown, what).is_some();
    let is_own = holds(scene.good.as_bytes()) && !holds(&[0x87, 4, 127, 0, 0, 1]);
    ensure!(shown.first() == Some(&ALERT) || is_own, "a certificate for an address was made");

    // No name at all is fine, and gets the certificate of the CONNECT's host.
    let mut config = client_config(&lease.ca_pem, &[]);
    config.enable_sni = false;
    let (conn, _) = lease.connect(&scene.authority()).await;
    let conn = conn.tls_with(&scene.good, config).await;
    ensure!(conn.is_ok(), "a handshake without a name was refused: {:?}", conn.err());
    ensure!(world.good.handshakes(&scene.good) == handshakes, "a handshake alone reached the upstream");
    scene.nosend()
}
