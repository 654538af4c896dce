//! From a host to the addresses that may be dialled: resolve once, vet every answer.
//!
//! Never `getaddrinfo`: it reads `127.1` as an address, asks where it likes and answers one thing now and another at
//! the dial. A name is always looked up as an absolute one, so that a search domain of the machine cannot turn the
//! host that policy saw into another. The hosts file and `localhost` are honoured, and their answers are judged like
//! any other.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ProtocolConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::Name,
};
use tacit_model::{Host, Target};

use super::{
    egress::{EgressPolicy, Naming},
    error::{WireError, WireSetupError},
};

/// More answers than this are refused rather than vetted and ignored.
const ANSWERS_MAX: usize = 64;
/// How long an answer may be reused at most. A changed address must be noticed soon; an unchanged one costs a
/// question every half minute.
const CACHE_MAX: Duration = Duration::from_secs(30);

/// The resolver.
pub(super) struct Resolve {
    inner: Option<TokioResolver>,
}

impl Resolve {
    /// With these name servers, or with the machine's own.
    ///
    /// A machine without `resolv.conf` gets a resolver that knows no names; address literals work without one.
    pub(super) fn new(nameservers: Option<&[SocketAddr]>) -> Result<Self, WireSetupError> {
        let builder = match nameservers {
            Some(servers) => {
                let servers = servers.iter().map(|server| name_server(*server)).collect();
                let config = ResolverConfig::from_parts(None, Vec::new(), servers);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
            None => match TokioResolver::builder_tokio() {
                Ok(builder) => builder,
                Err(_) => {
                    tracing::warn!(
                        "no resolver configuration on this machine: upstream names will not resolve"
                    );
                    return Ok(Self { inner: None });
                }
            },
        };
        let mut builder = builder;
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.positive_max_ttl = Some(CACHE_MAX);
        options.negative_max_ttl = Some(Duration::from_secs(5));
        options.timeout = Duration::from_secs(2);
        options.attempts = 2;
        let inner = builder.build().map_err(|_| WireSetupError::Resolver)?;
        Ok(Self { inner: Some(inner) })
    }

    /// The addresses of a target, all of which passed the policy.
    pub(super) async fn vetted(
        &self,
        target: &Target,
        policy: &EgressPolicy,
        naming: Naming,
    ) -> Result<Vec<SocketAddr>, WireError> {
        let ips = match target.host() {
            Host::Ip(ip) => vec![*ip],
            Host::Name(name) => self.lookup(name).await?,
        };
        if ips.is_empty() || ips.len() > ANSWERS_MAX {
            return Err(WireError::ResolveFailed);
        }
        // All must pass, not only the one that is dialled: an answer that mixes public and private addresses is an
        // attack or a mistake, and which address is dialled would be a matter of chance.
        for ip in &ips {
            policy.vet(target, *ip, naming).map_err(WireError::AddressBlocked)?;
        }
        Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, target.port())).collect())
    }

    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, WireError> {
        let resolver = self.inner.as_ref().ok_or(WireError::ResolveFailed)?;
        let mut name = Name::from_ascii(name).map_err(|_| WireError::ResolveFailed)?;
        name.set_fqdn(true);
        let answer = resolver.lookup_ip(name).await.map_err(|error| {
            tracing::debug!(%error, "upstream name did not resolve");
            WireError::ResolveFailed
        })?;
        Ok(answer.iter().collect())
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let connection = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = server.port();
        connection
    };
    NameServerConfig::new(
        server.ip(),
        true,
        vec![connection(ProtocolConfig::Udp), connection(ProtocolConfig::Tcp)],
    )
}
