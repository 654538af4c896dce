//! A12: names that resolve to something else than they should.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tacit_broker::wire::{Blocked, EgressPolicy, Naming, Phase, ResponseRule, Wire, WireConfig, WireError};
use tacit_model::{Host, Target};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};

use crate::wire::{KEY, LIMITS, LONG, SHORT, Upstream, loopback_policy, request, response, scan};

/// What a question is answered with.
pub(crate) enum Answer {
    Addresses(Vec<IpAddr>),
    NoSuchName,
    Refused,
    Garbage,
    Nothing,
}

pub(crate) const A: u16 = 1;
pub(crate) const AAAA: u16 = 28;

pub(crate) fn ips(texts: &[&str]) -> Answer {
    Answer::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
}

/// A name server on loopback. The script gets name, type and how many questions of this type came before.
pub(crate) async fn name_server(
    script: impl Fn(&str, u16, usize) -> Answer + Send + Sync + 'static,
) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let counts = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let query = &buffer[..length];
            let (name, kind, question_end) = question(query);
            let nth = counts[usize::from(kind == AAAA)].fetch_add(1, Ordering::SeqCst);
            if let Some(reply) = reply(query, question_end, kind, script(&name, kind, nth)) {
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
    address
}

fn question(query: &[u8]) -> (String, u16, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), u16::from_be_bytes([query[at + 1], query[at + 2]]), at + 5)
}

fn reply(query: &[u8], question_end: usize, kind: u16, answer: Answer) -> Option<Vec<u8>> {
    let (code, addresses) = match answer {
        Answer::Nothing => return None,
        Answer::Garbage => return Some(query[..7].to_vec()),
        Answer::NoSuchName => (3, Vec::new()),
        Answer::Refused => (5, Vec::new()),
        Answer::Addresses(all) => (0, all.into_iter().filter(|ip| ip.is_ipv6() == (kind == AAAA)).collect()),
    };
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    reply.extend_from_slice(&query[12..question_end]);
    for ip in addresses {
        let data = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let [high, low] = kind.to_be_bytes();
        // A pointer to the question's name, class IN, a time to live of zero: nothing is remembered.
        reply.extend([0xc0, 12, high, low, 0, 1, 0, 0, 0, 0, 0, data.len() as u8]);
        reply.extend(data);
    }
    Some(reply)
}

fn wire_asking(server: SocketAddr, policy: EgressPolicy) -> Wire {
    Wire::new(WireConfig { policy, nameservers: Some(vec![server]), ..WireConfig::default() }).unwrap()
}

async fn connect(wire: &Wire, url: &str) -> Result<(), WireError> {
    let (target, _) = Target::parse_url(url).unwrap();
    wire.connect(KEY, &target, Naming::Named, LONG).await.map(drop)
}

/// A name that leads where it may.
#[tokio::test]
async fn a_name_is_resolved_and_its_address_dialled() {
    let upstream = Upstream::answering(response("", b"hello")).await;
    let server = name_server(|name, _, _| match name {
        "good.test" => ips(&["127.0.0.1"]),
        _ => Answer::NoSuchName,
    })
    .await;
    let wire = wire_asking(server, loopback_policy());
    let url = format!("http://good.test:{}/", upstream.address.port());
    let (target, _) = Target::parse_url(&url).unwrap();
    let connection = wire.connect(KEY, &target, Naming::Named, LONG).await.unwrap();
    assert_eq!(connection.address(), upstream.address);
    let received = connection.send(request(), LONG).await.unwrap();
    let scrubbed = received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap();
    assert_eq!(scrubbed.body, b"hello");
    let (head, _) = upstream.log.lock().unwrap()[0].clone();
    assert!(head.contains(&format!("host: good.test:{}\r\n", upstream.address.port())));
}

/// Each answer with one address that may not be dialled refuses the name, wherever in the answer it stands.
#[tokio::test]
async fn a12_mixed_answers() {
    for (answer, reason) in [
        (&["93.184.216.34", "127.0.0.1"][..], Blocked::Loopback),
        (&["127.0.0.1", "93.184.216.34"], Blocked::Loopback),
        (&["93.184.216.34", "10.0.0.1", "93.184.216.35"], Blocked::Private),
        (&["93.184.216.34", "fc00::1"], Blocked::Private),
        (&["2606:4700::1", "169.254.169.254"], Blocked::Metadata),
        (&["93.184.216.34", "::1"], Blocked::Loopback),
        (&["93.184.216.34", "::ffff:93.184.216.34"], Blocked::Embedded),
        (&["168.63.129.16"], Blocked::Metadata),
        (&["0.0.0.0"], Blocked::Reserved),
    ] {
        let server = name_server(move |_, _, _| ips(answer)).await;
        let wire = wire_asking(server, EgressPolicy::default());
        let connected = connect(&wire, "https://good.test/").await;
        assert_eq!(connected, Err(WireError::AddressBlocked(reason)), "{answer:?}");
    }
}

/// The second answer is as little trusted as the first.
#[tokio::test]
async fn a12_rebinding() {
    let upstream = Upstream::answering(response("", b"")).await;
    let server = name_server(|_, kind, nth| match (kind, nth) {
        (A, 0) => ips(&["127.0.0.1"]),
        (A, _) => ips(&["127.0.0.1", "10.0.0.1"]),
        _ => ips(&[]),
    })
    .await;
    let wire = wire_asking(server, loopback_policy());
    let url = format!("http://good.test:{}/", upstream.address.port());
    assert_eq!(connect(&wire, &url).await, Ok(()));
    assert_eq!(connect(&wire, &url).await, Err(WireError::AddressBlocked(Blocked::Private)));
    assert_eq!(upstream.connections(), 1);
}

/// A13 by name.
#[tokio::test]
async fn a13_metadata_by_name() {
    let server = name_server(|_, _, _| ips(&["169.254.169.254"])).await;
    let open = EgressPolicy { allow_private: vec!["0.0.0.0/0".parse().unwrap()], ..EgressPolicy::default() };
    let wire = wire_asking(server, open);
    let connected = connect(&wire, "http://metadata.google.internal/").await;
    assert_eq!(connected, Err(WireError::AddressBlocked(Blocked::Metadata)));
}

#[tokio::test]
async fn a12_no_answer() {
    let empty: fn() -> Answer = || ips(&[]);
    for answer in [empty, || Answer::NoSuchName, || Answer::Refused, || Answer::Garbage] {
        let server = name_server(move |_, _, _| answer()).await;
        let wire = wire_asking(server, loopback_policy());
        assert_eq!(connect(&wire, "http://good.test/").await, Err(WireError::ResolveFailed));
    }
    let server = name_server(|_, _, _| Answer::Nothing).await;
    let wire = wire_asking(server, loopback_policy());
    let (target, _) = Target::parse_url("http://good.test/").unwrap();
    let connected = wire.connect(KEY, &target, Naming::Named, SHORT).await.map(drop);
    assert_eq!(connected, Err(WireError::Timeout(Phase::Connect)));
}

/// The machine's search domains play no part: the name that policy saw is the only one that is asked for.
#[tokio::test]
async fn a12_names_are_absolute() {
    let server = name_server(|name, _, _| match name {
        "db" => ips(&["10.0.0.1"]),
        _ => ips(&["127.0.0.1"]),
    })
    .await;
    let wire = wire_asking(server, loopback_policy());
    let connected = connect(&wire, "http://db/").await;
    assert_eq!(connected, Err(WireError::AddressBlocked(Blocked::Private)));
}

/// `localhost` is resolved without asking anyone and judged like any other name.
#[tokio::test]
async fn a12_localhost_is_a_name() {
    let server = name_server(|_, _, _| ips(&["93.184.216.34"])).await;
    let wire = wire_asking(server, EgressPolicy { loopback_literals: true, ..EgressPolicy::default() });
    let connected = connect(&wire, "http://localhost:1/").await;
    assert_eq!(connected, Err(WireError::AddressBlocked(Blocked::Loopback)));
}

/// I8: the next address is one that was vetted with the first.
#[tokio::test]
async fn i8_the_next_vetted_address() {
    let upstream = Upstream::answering(response("", b"")).await;
    let (first, second) = (Ipv4Addr::new(127, 0, 0, 9), Ipv4Addr::LOCALHOST);
    let server = name_server(move |_, _, _| {
        Answer::Addresses(vec![first.into(), second.into(), Ipv6Addr::LOCALHOST.into()])
    })
    .await;
    let wire = wire_asking(server, loopback_policy());
    let (target, _) = Target::parse_url(&format!("http://good.test:{}/", upstream.address.port())).unwrap();
    let connection = wire.connect(KEY, &target, Naming::Named, LONG).await.unwrap();
    assert_eq!(connection.address(), upstream.address);
}

/// A10, A12: a tunnel is connected under the same rules as everything else, whatever is spoken inside.
#[tokio::test]
async fn a12_tunnels() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = upstream.local_addr().unwrap().port();
    let server = name_server(|name, _, _| match name {
        "here.test" => ips(&["127.0.0.1"]),
        "mixed.test" => ips(&["93.184.216.34", "10.0.0.1"]),
        "metadata.test" => ips(&["169.254.169.254"]),
        "link.test" => ips(&["169.254.1.1"]),
        _ => Answer::NoSuchName,
    })
    .await;
    let own: SocketAddr = "127.0.0.1:8200".parse().unwrap();
    let wire = wire_asking(server, EgressPolicy { own_listeners: vec![own], ..loopback_policy() });
    let tunnel =
        async |host: &str, port, naming| wire.tunnel(&Host::parse(host).unwrap(), port, naming, LONG).await;
    for (host, port, naming, error) in [
        ("here.test", port, Naming::Other, WireError::AddressBlocked(Blocked::Loopback)),
        ("127.0.0.1", port, Naming::Other, WireError::AddressBlocked(Blocked::Loopback)),
        ("mixed.test", 443, Naming::Other, WireError::AddressBlocked(Blocked::Private)),
        ("mixed.test", 443, Naming::Named, WireError::AddressBlocked(Blocked::Private)),
        ("metadata.test", 80, Naming::Named, WireError::AddressBlocked(Blocked::Metadata)),
        ("link.test", 80, Naming::Other, WireError::AddressBlocked(Blocked::LinkLocal)),
        ("here.test", 8200, Naming::Named, WireError::AddressBlocked(Blocked::OwnListener)),
        ("::1", 443, Naming::Other, WireError::AddressBlocked(Blocked::Loopback)),
        ("0.0.0.0", 443, Naming::Other, WireError::AddressBlocked(Blocked::Reserved)),
        ("nowhere.test", 443, Naming::Other, WireError::ResolveFailed),
    ] {
        assert_eq!(tunnel(host, port, naming).await.unwrap_err(), error, "{host}");
    }
    let mut tunnel = tunnel("here.test", port, Naming::Named).await.unwrap();
    let (mut other_end, _) = upstream.accept().await.unwrap();
    tunnel.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    other_end.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"ping");
}

#[tokio::test]
async fn nobody_listens() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let connected = connect(&crate::wire::wire(), &format!("http://{free}/")).await;
    assert_eq!(connected, Err(WireError::ConnectFailed));
}
