//! The certificate authority of one lease.
//!
//! A program under a lease trusts this authority, and so whoever holds its key could show the program any certificate.
//! Therefore the root signs one intermediate and its key is gone; the intermediate may vouch only for the hosts that the
//! lease's secrets are bound to, for no longer than a day, and lives in memory alone. The constraint stands on the
//! intermediate because one on the trust anchor is not enforced by every client.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData, SanType,
    SignatureAlgorithm, SigningKey,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::{self, sign::any_ecdsa_type},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tacit_model::{Host, destination::HostPattern};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroize;

/// How long everything is valid: as long as a lease can be renewed. An hour of the past comes on top, because clocks
/// differ.
const VALID: Duration = Duration::hours(24);
const BACKDATED: Duration = Duration::hours(1);
/// Hosts whose settings are kept. A wildcard has more hosts than memory should be given for.
const HOSTS_MAX: usize = 256;

/// The authority: an intermediate that may sign for bound hosts. Its root's key no longer exists.
pub(super) struct Authority {
    root_pem: String,
    intermediate: CertifiedIssuer<'static, WipedKey>,
    made_at: OffsetDateTime,
    /// What clients are served with, by host. TLS sessions can be resumed as long as these live.
    configs: Mutex<HashMap<Host, Arc<ServerConfig>>>,
}

/// A certificate or TLS settings could not be made. Says no more: nothing of it depends on the client.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthorityError {
    /// Making or signing a certificate failed.
    #[error("a certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// The certificate cannot be served.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl Authority {
    /// An authority for these hosts and no others, valid from `now` (and a little before) for a day.
    pub(super) fn new(hosts: &[HostPattern], now: OffsetDateTime) -> Result<Self, AuthorityError> {
        let root = CertifiedIssuer::self_signed(authority("Tacit lease", now, 1), WipedKey::generate()?)?;
        let mut params = authority("Tacit lease, bound hosts", now, 0);
        params.name_constraints = Some(constraints(hosts));
        params.use_authority_key_identifier_extension = true;
        let intermediate = CertifiedIssuer::signed_by(params, WipedKey::generate()?, &root)?;
        // The root, and with it its key, ends here.
        Ok(Self { root_pem: root.pem(), intermediate, made_at: now, configs: Mutex::default() })
    }

    /// The root's certificate (PEM): what clients trust.
    pub(super) fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// TLS settings for clients of this host: h2 or HTTP/1.1, TLS 1.2 or newer, no early data.
    pub(super) fn server_config(&self, host: &Host) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(host) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.make_config(host)?);
        if configs.len() >= HOSTS_MAX {
            configs.clear();
        }
        configs.insert(host.clone(), Arc::clone(&config));
        Ok(config)
    }

    fn make_config(&self, host: &Host) -> Result<ServerConfig, AuthorityError> {
        let key = WipedKey::generate()?;
        let leaf = leaf(host, self.made_at)?.signed_by(&key, &self.intermediate)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let signer = any_ecdsa_type(&PrivatePkcs8KeyDer::from(key.0.serialized_der()).into())?;
        let chain: Vec<CertificateDer<'static>> = vec![leaf.into(), self.intermediate.der().clone()];
        let resolver = OneHost { host: host.clone(), key: Arc::new(CertifiedKey::new(chain, signer)) };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.max_early_data_size = 0;
        Ok(config)
    }
}

/// A key (ECDSA P-256) whose encoding is wiped when it is done with. What the crypto library made of it is wiped there.
struct WipedKey(KeyPair);

impl WipedKey {
    fn generate() -> Result<Self, rcgen::Error> {
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map(Self)
    }
}

impl Drop for WipedKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PublicKeyData for WipedKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl SigningKey for WipedKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}

/// What root and intermediate have in common.
fn authority(name: &str, now: OffsetDateTime, authorities_below: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(authorities_below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - BACKDATED;
    params.not_after = now + VALID;
    params
}

fn leaf(host: &Host, now: OffsetDateTime) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Tacit");
    params.subject_alt_names = vec![match host {
        Host::Name(name) => SanType::DnsName(name.to_string().try_into()?),
        Host::Ip(ip) => SanType::IpAddress(*ip),
    }];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = now - BACKDATED;
    params.not_after = now + VALID;
    Ok(params)
}

/// Only these hosts. A constraint says nothing about a form of name that it does not mention, so the form that no host
/// has is ruled out whole.
fn constraints(hosts: &[HostPattern]) -> NameConstraints {
    let mut permitted = Vec::new();
    let (mut has_name, mut has_ip) = (false, false);
    for host in hosts {
        permitted.push(match host {
            // Includes the names below it: X.509 has no way to say one label.
            HostPattern::OneLabel(base) => GeneralSubtree::DnsName(base.to_string()),
            HostPattern::Exact(Host::Name(name)) => GeneralSubtree::DnsName(name.to_string()),
            HostPattern::Exact(Host::Ip(ip)) => {
                let bits = if ip.is_ipv4() { 32 } else { 128 };
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*ip, bits))
            }
        });
        match host {
            HostPattern::Exact(Host::Ip(_)) => has_ip = true,
            _ => has_name = true,
        }
    }
    let mut excluded = Vec::new();
    if !has_ip {
        for any in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
            excluded.push(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(any, 0)));
        }
    }
    if !has_name {
        // Excluding the empty name, which means all, makes the certificate unreadable to Java. A name that cannot exist
        // says the same to everybody (RFC 6761, 6.4).
        permitted.push(GeneralSubtree::DnsName("invalid".to_owned()));
    }
    NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded }
}

/// The certificate of one host, for whoever asks for that host or for none (attack A4). Addresses are never asked for by
/// name.
#[derive(Debug)]
struct OneHost {
    host: Host,
    key: Arc<CertifiedKey>,
}

impl ResolvesServerCert for OneHost {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_meant = match (hello.server_name(), &self.host) {
            (None, _) => true,
            (Some(asked), Host::Name(name)) => {
                asked.strip_suffix('.').unwrap_or(asked).eq_ignore_ascii_case(name)
            }
            (Some(_), Host::Ip(_)) => false,
        };
        is_meant.then(|| Arc::clone(&self.key))
    }
}

#[cfg(test)]
mod tests;
