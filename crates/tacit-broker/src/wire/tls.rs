//! TLS towards upstreams: always verified, and there is no switch to skip it.
//!
//! The name that is verified is the target's host and nothing else. TLS 1.2 or newer, no early data (a replayed
//! request is a second payment), `h2` or `http/1.1` by ALPN, whichever the upstream picks.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, Error as RustlsError,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, IpAddr as PkiIpAddr, ServerName, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use tacit_model::{Host, Target};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::error::{TlsFault, WireError, WireSetupError};

/// The client side of TLS with its roots.
pub(super) struct Tls {
    connector: TlsConnector,
}

impl Tls {
    /// With the platform's roots and, on top, those of a PEM file.
    pub(super) fn new(extra_roots_pem: Option<&[u8]>) -> Result<Self, WireSetupError> {
        let extra_roots = match extra_roots_pem {
            None => Vec::new(),
            Some(pem) => {
                let roots = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
                let roots = roots.map_err(|_| WireSetupError::ExtraRoots)?;
                // A file without a certificate is a mistake that would show up as refused upstreams much later.
                if roots.is_empty() {
                    return Err(WireSetupError::ExtraRoots);
                }
                roots
            }
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            Verifier::new_with_extra_roots(extra_roots, provider.clone()).map_err(WireSetupError::Tls)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(WireSetupError::Tls)?
            // rustls calls every verifier of one's own dangerous; this one is its own, fed with the platform's roots.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.enable_early_data = false;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Shakes hands and verifies that the other side is the target's host.
    pub(super) async fn handshake(
        &self,
        target: &Target,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, WireError> {
        let name = match target.host() {
            Host::Name(name) => ServerName::try_from(name.to_string())
                .map_err(|_| WireError::TlsFailed(TlsFault::WrongName))?,
            Host::Ip(ip) => ServerName::IpAddress(PkiIpAddr::from(*ip)),
        };
        self.connector.connect(name, stream).await.map_err(|error| {
            let fault = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<RustlsError>())
                .map_or(TlsFault::Handshake, classify);
            tracing::debug!(%target, %fault, "upstream TLS refused");
            WireError::TlsFailed(fault)
        })
    }
}

fn classify(error: &RustlsError) -> TlsFault {
    let RustlsError::InvalidCertificate(reason) = error else { return TlsFault::Handshake };
    match reason {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFault::WrongName
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsFault::Expired,
        CertificateError::UnknownIssuer => TlsFault::Untrusted,
        CertificateError::Revoked => TlsFault::Revoked,
        // A self-signed leaf that is a CA, a bad signature, a wrong purpose: nobody whom we trust vouches for it.
        _ => TlsFault::Untrusted,
    }
}
