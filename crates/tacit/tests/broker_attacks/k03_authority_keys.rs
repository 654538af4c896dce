//! K3: whoever has the key of the authority that a client trusts can show it any certificate. Each lease has a root
//! whose key is gone, and an intermediate, in memory alone, that may vouch for the bound hosts and no others. (That
//! clients refuse a certificate for another host of this intermediate is shown where its key can be had: in the
//! authority's own tests.)

use rustls::pki_types::ServerName;
use std::sync::{Arc, Mutex};

use crate::{
    client::client_config,
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

/// The extension's object identifier, 2.5.29.30, and `critical`.
const NAME_CONSTRAINTS_CRITICAL: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x1e, 0x01, 0x01, 0xff];
const NAME_CONSTRAINTS: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x1e];

/// What a server shows, whatever one thinks of it.
async fn chain(scene: &Scene, lease: &crate::lease::Lease) -> Vec<Vec<u8>> {
    let (conn, _) = lease.connect(&scene.authority()).await;
    let shown = Arc::new(Mutex::new(Vec::new()));
    let mut config = client_config(&lease.ca_pem, &[]);
    config.dangerous().set_certificate_verifier(Arc::new(Looking(Arc::clone(&shown))));
    let _ = conn.tls_with(&scene.good, config).await;
    shown.lock().unwrap().clone()
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "K3").await;
    let (lease, other) = (scene.lease().await, scene.lease_for(&scene.p2, &["KEY"]).await);
    scene.works(&lease).await;
    ensure!(
        lease.ca_pem.matches("BEGIN CERTIFICATE").count() == 1 && !lease.ca_pem.contains("PRIVATE"),
        "{}",
        lease.ca_pem
    );
    ensure!(lease.ca_pem != other.ca_pem, "two leases have one authority");

    let shown = chain(&scene, &lease).await;
    ensure!(shown.len() == 2, "{} certificates are shown", shown.len());
    let holds = |der: &[u8], what: &[u8]| memchr::memmem::find(der, what).is_some();
    ensure!(
        holds(&shown[1], NAME_CONSTRAINTS_CRITICAL),
        "the intermediate's names are not constrained, critically"
    );
    ensure!(holds(&shown[1], scene.good.as_bytes()), "the bound host is not in it");
    ensure!(!holds(&shown[1], scene.evil.as_bytes()), "an unbound host is in it");
    ensure!(
        !holds(&shown[0], NAME_CONSTRAINTS) && holds(&shown[0], scene.good.as_bytes()),
        "the leaf is not one"
    );

    // The same chain is good for its host, by this lease's root, and for nothing else.
    let (conn, _) = lease.connect(&scene.authority()).await;
    ensure!(
        conn.tls(&scene.evil, &lease.ca_pem, &[]).await.is_err(),
        "a certificate for another host was taken"
    );
    let (conn, _) = lease.connect(&scene.authority()).await;
    ensure!(conn.tls(&scene.good, &other.ca_pem, &[]).await.is_err(), "another lease's root was enough");
    let (conn, _) = lease.connect(&scene.authority()).await;
    ensure!(conn.tls(&scene.good, &lease.ca_pem, &[]).await.is_ok(), "its own root was not enough");
    // Nobody is looked into who is not bound: the certificate is the host's own.
    let (conn, _) = lease.connect(&scene.evil_authority()).await;
    ensure!(conn.tls(&scene.evil, &lease.ca_pem, &[]).await.is_err(), "an unbound host was looked into");

    // Keys are in memory alone.
    for entry in std::fs::read_dir(world.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            ensure!(!holds(&bytes, b"PRIVATE KEY"), "{} holds a key", path.display());
        }
    }
    ensure!(!holds(&world.log(), b"PRIVATE KEY"), "the log holds a key");
    Ok(())
}

/// Takes every certificate and remembers it.
#[derive(Debug)]
struct Looking(Arc<Mutex<Vec<Vec<u8>>>>);

impl rustls::client::danger::ServerCertVerifier for Looking {
    fn verify_server_cert(
        &self,
        end_entity: &rustls::pki_types::CertificateDer<'_>,
        intermediates: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        let mut shown = self.0.lock().unwrap();
        shown.push(end_entity.to_vec());
        shown.extend(intermediates.iter().map(|der| der.to_vec()));
        // Seeing is enough.
        Err(rustls::Error::General("looked at".into()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("looked at".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("looked at".into()))
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
