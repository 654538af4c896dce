//! Which addresses may be dialled: the table against server-side request forgery.
//!
//! The famous failures and how this file avoids them: judging the *name* and dialling another address (only addresses
//! are judged here, after resolving); judging one answer of many (the caller vets each); IPv4 in IPv6 clothes (unpacked
//! and judged too); a deny list with holes (IPv6 is an *allow* list of 2000::/3 minus the table); metadata services in
//! public ranges (listed singly, and no setting allows them); one's own admin port (every listener is refused, under
//! every local address it answers on).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tacit_model::{Host, Scheme, Target};

use super::error::Blocked;

/// What the operator allowed beyond public addresses.
#[derive(Clone, Debug, Default)]
pub struct EgressPolicy {
    /// Ranges that may be dialled when a destination names the host (`--allow-private`).
    pub allow_private: Vec<IpNet>,
    /// Whether a destination that names a loopback *literal* with its port may be dialled without [`Self::allow_private`]:
    /// for a server that itself only listens on loopback.
    pub loopback_literals: bool,
    /// Where Tacit itself listens. Never dialled.
    pub own_listeners: Vec<SocketAddr>,
}

/// Whether a destination of the request names this host.
///
/// Only then may the ranges that the operator allowed be dialled; a request that carries no secret, to a host that
/// nobody declared, has no business in a private network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// No destination matches.
    NotNamed,
    /// A destination's scheme, host and port match.
    Named,
    /// No destination matches, and nothing of ours goes there: what a client sends to it stays what it sent. So plain
    /// http is its own business, but private addresses are not.
    Other,
}

impl EgressPolicy {
    /// Judges one address of one target.
    pub fn vet(&self, target: &Target, ip: IpAddr, naming: Naming) -> Result<(), Blocked> {
        let exempt = |ip: IpAddr| naming == Naming::Named && self.is_allowed(target, ip);
        let forms = [Some(ip), embedded_v4(ip).map(IpAddr::V4), teredo_client(ip).map(IpAddr::V4)];
        for form in forms.into_iter().flatten() {
            if is_metadata(form) {
                return Err(Blocked::Metadata);
            }
            if self.is_own_listener(form, target.port()) {
                return Err(Blocked::OwnListener);
            }
        }
        // An embedding whose range the operator allowed (a NAT64 network) still must not smuggle in a refused address.
        let mut public = true;
        for form in forms.into_iter().flatten() {
            if let Some(reason) = not_public(form) {
                public = false;
                if !exempt(form) {
                    return Err(reason);
                }
            }
        }
        if public && target.scheme() == Scheme::Http && naming != Naming::Other {
            return Err(Blocked::PlainHttp);
        }
        Ok(())
    }

    fn is_allowed(&self, target: &Target, ip: IpAddr) -> bool {
        let literal = self.loopback_literals && ip.is_loopback() && *target.host() == Host::Ip(ip);
        literal || self.allow_private.iter().any(|range| range.contains(&ip))
    }

    /// Whether a connection to `ip:port` ends at one of our own listeners.
    fn is_own_listener(&self, ip: IpAddr, port: u16) -> bool {
        let ip = ip.to_canonical();
        self.own_listeners.iter().filter(|own| own.port() == port).any(|own| {
            let own = own.ip().to_canonical();
            own == ip
                // Dialling 0.0.0.0 or :: is dialling this machine, whatever the listener is bound to.
                || ip.is_unspecified()
                // A listener on all addresses answers on 127.0.0.2 and on every interface. Whether it is one of IPv4
                // or of both families depends on the system, so either stands for both.
                || (own.is_unspecified() && is_local(ip))
        })
    }
}

/// Whether an address belongs to this machine.
///
/// The system only lets a socket bind to its own addresses, which needs no list of interfaces and is never stale. Where
/// the administrator lifted that rule (`ip_nonlocal_bind`), a documentation address can be bound too; then the source
/// address that the kernel picks tells instead: to reach itself, it picks the destination.
fn is_local(ip: IpAddr) -> bool {
    if ip.is_loopback() || ip.is_unspecified() {
        return true;
    }
    if UdpSocket::bind((ip, 0)).is_err() {
        return false;
    }
    let foreign: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    if UdpSocket::bind((foreign, 0)).is_err() {
        return true;
    }
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// The IPv4 ranges without public servers (IANA's special-purpose registry and class D and E).
const TABLE_V4: &[(Ipv4Net, Blocked)] = &[
    (v4(0, 0, 0, 0, 8), Blocked::Reserved),
    (v4(10, 0, 0, 0, 8), Blocked::Private),
    (v4(100, 64, 0, 0, 10), Blocked::Private),
    (v4(127, 0, 0, 0, 8), Blocked::Loopback),
    (v4(169, 254, 0, 0, 16), Blocked::LinkLocal),
    (v4(172, 16, 0, 0, 12), Blocked::Private),
    (v4(192, 0, 0, 0, 24), Blocked::Reserved),
    (v4(192, 0, 2, 0, 24), Blocked::Reserved),
    (v4(192, 88, 99, 0, 24), Blocked::Reserved),
    (v4(192, 168, 0, 0, 16), Blocked::Private),
    (v4(198, 18, 0, 0, 15), Blocked::Reserved),
    (v4(198, 51, 100, 0, 24), Blocked::Reserved),
    (v4(203, 0, 113, 0, 24), Blocked::Reserved),
    (v4(224, 0, 0, 0, 4), Blocked::Reserved),
    (v4(240, 0, 0, 0, 4), Blocked::Reserved),
];

/// The IPv6 ranges without public servers, most specific first. What is outside 2000::/3 and not named here is
/// refused as well.
const TABLE_V6: &[(Ipv6Net, Blocked)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Blocked::Loopback),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), Blocked::Reserved),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), Blocked::Embedded),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), Blocked::Embedded),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), Blocked::Embedded),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), Blocked::Embedded),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Blocked::Embedded),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), Blocked::Embedded),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), Blocked::Embedded),
    // 2001::/23 is IETF protocol assignments: ORCHID, ORCHIDv2, benchmarking and other things that are not servers.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Blocked::Reserved),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Blocked::Reserved),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Blocked::Reserved),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Blocked::Private),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Blocked::LinkLocal),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), Blocked::Private),
];

/// All of IPv6 that is assigned for servers on the Internet.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Why an address is not a public one, if it is not.
fn not_public(ip: IpAddr) -> Option<Blocked> {
    match ip {
        IpAddr::V4(ip) => TABLE_V4.iter().find(|(range, _)| range.contains(&ip)).map(|(_, reason)| *reason),
        IpAddr::V6(ip) => {
            let listed = TABLE_V6.iter().find(|(range, _)| range.contains(&ip)).map(|(_, reason)| *reason);
            listed.or_else(|| (!GLOBAL_UNICAST.contains(&ip)).then_some(Blocked::Reserved))
        }
    }
}

/// The metadata services: credentials of the whole machine, some of them in public ranges.
const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Azure, GCP, OpenStack, DigitalOcean
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS task roles
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS pod identity
    Ipv4Addr::new(168, 63, 129, 16),   // Azure's wire server, a public address
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle
];

/// The same over IPv6.
const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),   // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),    // AWS EKS pod identity
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),    // GCP
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // OpenStack
];

fn is_metadata(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => METADATA_V4.contains(&ip),
        IpAddr::V6(ip) => METADATA_V6.contains(&ip),
    }
}

/// The IPv4 address that an IPv6 one carries, by the transition mechanism its prefix belongs to.
fn embedded_v4(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let segments = ip.segments();
    let from = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Compatible, mapped, SIIT, NAT64 and local NAT64 (used as /96 networks) keep it at the end.
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low] => from(high, low),
        // 6to4 has it after the prefix, and so does Teredo its server's.
        [0x2002, high, low, ..] | [0x2001, 0, high, low, ..] => from(high, low),
        _ => None,
    }
}

/// Teredo carries a second address, the client's, with all bits flipped.
fn teredo_client(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let [0x2001, 0, .., high, low] = ip.segments() else { return None };
    Some(Ipv4Addr::from((u32::from(!high) << 16) | u32::from(!low)))
}
