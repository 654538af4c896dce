//! What can go wrong on the wire.
//!
//! Closed enums without any text of the upstream's: an error message is one of the ways in which a value could come
//! back (attack C9), so none of these types can carry one. Causes go to the debug log, by kind.

/// Why an address may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Blocked {
    /// 127.0.0.0/8, ::1.
    #[error("is a loopback address")]
    Loopback,
    /// A private network: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7.
    #[error("is a private address")]
    Private,
    /// 169.254/16, fe80::/10.
    #[error("is a link-local address")]
    LinkLocal,
    /// An IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo).
    #[error("is an IPv6 address that embeds an IPv4 address")]
    Embedded,
    /// Documentation, benchmarks, multicast, unspecified, not assigned: nothing that serves an API.
    #[error("is a reserved address")]
    Reserved,
    /// A cloud's metadata service. No setting allows these.
    #[error("is the address of a cloud metadata service")]
    Metadata,
    /// One of Tacit's own listeners. No setting allows these.
    #[error("is one of Tacit's own listeners")]
    OwnListener,
    /// `http` to a public address.
    #[error("is a public address, which is only reached over https")]
    PlainHttp,
}

/// Which of the time limits was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Phase {
    /// Resolving, dialling and the TLS handshake. Nothing was sent.
    #[error("connecting")]
    Connect,
    /// From the first byte of the request to the head of the response.
    #[error("waiting for the response")]
    FirstByte,
    /// The response's body.
    #[error("reading the response")]
    Body,
}

/// Why the upstream's certificate was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TlsFault {
    /// No known root signed it.
    #[error("the certificate is not signed by a known authority")]
    Untrusted,
    /// It is for another host.
    #[error("the certificate is for another host")]
    WrongName,
    /// It is out of date, or not valid yet.
    #[error("the certificate is not valid at this time")]
    Expired,
    /// It was revoked.
    #[error("the certificate is revoked")]
    Revoked,
    /// Anything else: not TLS at all, an old version, a broken chain.
    #[error("the TLS handshake failed")]
    Handshake,
}

/// Why a request was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RequestFault {
    /// `TRACE`, `CONNECT`, or no method at all.
    #[error("the method cannot be sent")]
    Method,
    /// Not an origin-form path, or with a fragment, blank or control character.
    #[error("the path cannot be sent as it is written")]
    Path,
    /// The headers are too long or too many.
    #[error("the headers are too large")]
    HeadersTooLarge,
    /// A secret's header is one that the wire drops, or `Connection` names a header that must arrive.
    #[error("a header that must arrive would be dropped")]
    ProtectedHeader,
}

/// Why a request has no answer.
///
/// Everything that [`Wire::connect`](super::Wire::connect) returns means that nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WireError {
    /// An address of the host is not one that may be dialled. One such answer refuses the whole name.
    #[error("the upstream's address {0}")]
    AddressBlocked(Blocked),
    /// The name has no address, or no name server answered.
    #[error("the upstream's name could not be resolved")]
    ResolveFailed,
    /// No vetted address accepted a connection.
    #[error("the upstream could not be reached")]
    ConnectFailed,
    /// The upstream is not who it should be.
    #[error("the upstream could not be verified: {0}")]
    TlsFailed(TlsFault),
    /// The request was refused here.
    #[error("the request cannot be sent: {0}")]
    RequestRefused(RequestFault),
    /// The request's streamed body failed or had another length than it said. The request may have had its effect.
    #[error("the request's body broke off")]
    BodyBroken,
    /// The upstream closed, reset or broke HTTP. The request may have had its effect.
    #[error("the upstream failed")]
    UpstreamFailed,
    /// Too slow. After [`Phase::Connect`] the request may have had its effect.
    #[error("timed out while {0}")]
    Timeout(Phase),
    /// The body cannot be looked into (unknown coding, bad data, a bomb, a part that was not asked for), so it is not
    /// delivered.
    #[error("the response cannot be scanned")]
    Unscannable,
    /// The decoded body is longer than the caller takes.
    #[error("the response is too large")]
    TooLarge,
}

/// Why there is no wire at all. Only for the operator.
#[derive(Debug, thiserror::Error)]
pub enum WireSetupError {
    /// The extra roots are not PEM certificates.
    #[error("the additional upstream CA file holds no readable PEM certificate")]
    ExtraRoots,
    /// TLS could not be set up, as a rule because the platform has no roots.
    #[error("TLS for upstreams could not be set up")]
    Tls(#[source] rustls::Error),
    /// The resolver could not be built.
    #[error("the name resolver could not be set up")]
    Resolver,
}
