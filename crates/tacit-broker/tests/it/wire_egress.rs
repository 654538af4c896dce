//! A11, A13, A14, A15, A17: which addresses may be dialled.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use tacit_broker::wire::{Blocked, EgressPolicy, Naming};
use tacit_model::{Host, Scheme, Target};

fn vet(policy: &EgressPolicy, ip: &str, naming: Naming) -> Result<(), Blocked> {
    let name = Target::new(Scheme::Https, Host::Name("good.test".into()), 443);
    policy.vet(&name, ip.parse().unwrap(), naming)
}

fn ranges(texts: &[&str]) -> EgressPolicy {
    let allow_private = texts.iter().map(|text| text.parse().unwrap()).collect();
    EgressPolicy { allow_private, ..EgressPolicy::default() }
}

/// Both ends of every range, and the neighbours that are public.
#[test]
fn a11_the_table() {
    use Blocked::*;
    let refused = [
        ("0.0.0.0", Reserved),
        ("0.255.255.255", Reserved),
        ("10.0.0.0", Private),
        ("10.255.255.255", Private),
        ("100.64.0.0", Private),
        ("100.127.255.255", Private),
        ("127.0.0.1", Loopback),
        ("127.0.0.2", Loopback),
        ("127.255.255.255", Loopback),
        ("169.254.0.0", LinkLocal),
        ("169.254.255.255", LinkLocal),
        ("172.16.0.0", Private),
        ("172.31.255.255", Private),
        ("192.0.0.0", Reserved),
        ("192.0.0.255", Reserved),
        ("192.0.2.1", Reserved),
        ("192.88.99.1", Reserved),
        ("192.168.0.0", Private),
        ("192.168.255.255", Private),
        ("198.18.0.0", Reserved),
        ("198.19.255.255", Reserved),
        ("198.51.100.7", Reserved),
        ("203.0.113.255", Reserved),
        ("224.0.0.1", Reserved),
        ("239.255.255.255", Reserved),
        ("240.0.0.0", Reserved),
        ("255.255.255.255", Reserved),
        ("::", Reserved),
        ("::1", Loopback),
        ("::2", Embedded),
        ("::127.0.0.1", Embedded),
        ("::8.8.8.8", Embedded),
        ("::ffff:127.0.0.1", Embedded),
        ("::ffff:10.0.0.1", Embedded),
        ("::ffff:8.8.8.8", Embedded),
        ("::ffff:0:127.0.0.1", Embedded),
        ("64:ff9b::7f00:1", Embedded),
        ("64:ff9b::8.8.8.8", Embedded),
        ("64:ff9b:1::10.0.0.1", Embedded),
        ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Embedded),
        ("64:ff9b:2::1", Reserved),
        ("100::1", Reserved),
        ("1fff:ffff::1", Reserved),
        ("2001::1", Embedded),
        ("2001:0:7f00:1::", Embedded),
        ("2001:2::1", Reserved),
        ("2001:10::1", Reserved),
        ("2001:20::1", Reserved),
        ("2001:1ff:ffff::1", Reserved),
        ("2001:db8::1", Reserved),
        ("2001:db8:ffff::1", Reserved),
        ("2002::1", Embedded),
        ("2002:7f00:1::", Embedded),
        ("2002:808:808::1", Embedded),
        ("3fff::1", Reserved),
        ("3fff:fff:ffff::1", Reserved),
        ("4000::1", Reserved),
        ("5f00::1", Reserved),
        ("fc00::1", Private),
        ("fdff:ffff::1", Private),
        ("fe80::1", LinkLocal),
        ("febf::1", LinkLocal),
        ("fec0::1", Private),
        ("feff::1", Private),
        ("ff02::1", Reserved),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
    ];
    let policy = EgressPolicy::default();
    for (ip, reason) in refused {
        for naming in [Naming::NotNamed, Naming::Named, Naming::Other] {
            assert_eq!(vet(&policy, ip, naming), Err(reason), "{ip}");
        }
    }
    let public = [
        "1.0.0.0",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2003::1",
        "2606:4700::1111",
        "3ffe::1",
    ];
    for ip in public {
        assert_eq!(vet(&policy, ip, Naming::NotNamed), Ok(()), "{ip}");
    }
}

/// Plain http to a public address is the business of whoever sends nothing of ours there, and of nobody else.
#[test]
fn a16_plain_http() {
    let policy = EgressPolicy { loopback_literals: true, ..ranges(&["10.1.0.0/16", "127.0.0.0/8"]) };
    let vet = |ip: &str, naming| {
        let ip = ip.parse().unwrap();
        policy.vet(&Target::new(Scheme::Http, Host::Ip(ip), 80), ip, naming)
    };
    for naming in [Naming::NotNamed, Naming::Named] {
        assert_eq!(vet("8.8.8.8", naming), Err(Blocked::PlainHttp));
    }
    assert_eq!(vet("8.8.8.8", Naming::Other), Ok(()));
    assert_eq!(vet("10.1.2.3", Naming::Other), Err(Blocked::Private));
    assert_eq!(vet("127.0.0.1", Naming::Other), Err(Blocked::Loopback));
    assert_eq!(vet("169.254.169.254", Naming::Other), Err(Blocked::Metadata));
}

/// Single addresses that no setting opens, also wrapped in IPv6.
#[test]
fn a13_metadata_services() {
    let open = EgressPolicy { loopback_literals: true, ..ranges(&["0.0.0.0/0", "::/0"]) };
    for ip in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fe80::a9fe:a9fe",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b::168.63.129.16",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        // Teredo hides the client's address by flipping its bits.
        "2001:0:808:808:0:0:5601:5601",
    ] {
        assert_eq!(vet(&open, ip, Naming::Named), Err(Blocked::Metadata), "{ip}");
        let literal: IpAddr = ip.parse().unwrap();
        let target = Target::new(Scheme::Http, Host::Ip(literal), 80);
        assert_eq!(open.vet(&target, literal, Naming::Named), Err(Blocked::Metadata), "{ip}");
    }
}

/// Our own doors, by every address that leads to them.
#[test]
fn a14_own_listeners() {
    let at = |listeners: &[&str]| EgressPolicy {
        own_listeners: listeners.iter().map(|l| l.parse::<SocketAddr>().unwrap()).collect(),
        loopback_literals: true,
        ..ranges(&["0.0.0.0/0", "::/0"])
    };
    let try_at = |policy: &EgressPolicy, ip: &str, port: u16| {
        let ip: IpAddr = ip.parse().unwrap();
        policy.vet(&Target::new(Scheme::Http, Host::Ip(ip), port), ip, Naming::Named)
    };
    let exact = at(&["127.0.0.1:8200", "10.1.2.3:443"]);
    let own = Err(Blocked::OwnListener);
    assert_eq!(try_at(&exact, "127.0.0.1", 8200), own);
    assert_eq!(try_at(&exact, "::ffff:127.0.0.1", 8200), own);
    assert_eq!(try_at(&exact, "0.0.0.0", 8200), own);
    assert_eq!(try_at(&exact, "::", 8200), own);
    assert_eq!(try_at(&exact, "10.1.2.3", 443), own);
    assert_eq!(try_at(&exact, "64:ff9b::10.1.2.3", 443), own);
    assert_eq!(try_at(&exact, "127.0.0.1", 8201), Ok(()));
    assert_eq!(try_at(&exact, "127.0.0.2", 8200), Ok(()));

    for everywhere in [at(&["0.0.0.0:8200"]), at(&["[::]:8200"])] {
        for ip in ["127.0.0.1", "127.0.0.2", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.2"] {
            assert_eq!(try_at(&everywhere, ip, 8200), own, "{ip}");
        }
        assert_eq!(try_at(&everywhere, "127.0.0.1", 8201), Ok(()));
        // Not an address of this machine, whoever runs the test.
        assert_eq!(try_at(&everywhere, "192.0.2.77", 8200), Ok(()));
    }
    // Also refused where nothing else is in the way.
    let public = EgressPolicy { own_listeners: vec!["8.8.8.8:443".parse().unwrap()], ..Default::default() };
    assert_eq!(vet(&public, "8.8.8.8", Naming::Named), own);
}

/// A listener on all addresses is also reached by the address of an interface. Nothing is dialled here: the kernel is
/// only asked which address it would send from.
#[test]
fn a14_own_interfaces() {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.1:9").is_err() {
        return; // a machine without any route
    }
    let interface = socket.local_addr().unwrap().ip();
    let policy =
        EgressPolicy { own_listeners: vec!["0.0.0.0:8200".parse().unwrap()], ..ranges(&["0.0.0.0/0"]) };
    let target = |port| Target::new(Scheme::Https, Host::Ip(interface), port);
    assert_eq!(policy.vet(&target(8200), interface, Naming::Named), Err(Blocked::OwnListener));
    assert_eq!(policy.vet(&target(8201), interface, Naming::Named), Ok(()));
}

/// A private address needs the operator's range and a destination that names the host.
#[test]
fn a15_private_ranges() {
    let policy = ranges(&["10.1.0.0/16", "fd12::/16"]);
    assert_eq!(vet(&policy, "10.1.2.3", Naming::Named), Ok(()));
    assert_eq!(vet(&policy, "fd12::1", Naming::Named), Ok(()));
    assert_eq!(vet(&policy, "10.1.2.3", Naming::NotNamed), Err(Blocked::Private));
    assert_eq!(vet(&policy, "10.2.0.1", Naming::Named), Err(Blocked::Private));
    assert_eq!(vet(&policy, "::ffff:10.1.2.3", Naming::Named), Err(Blocked::Embedded));
    // An allowed translation network does not open what it leads to.
    let nat64 = ranges(&["64:ff9b::/96"]);
    assert_eq!(vet(&nat64, "64:ff9b::8.8.8.8", Naming::Named), Ok(()));
    assert_eq!(vet(&nat64, "64:ff9b::127.0.0.1", Naming::Named), Err(Blocked::Loopback));
    assert_eq!(vet(&nat64, "64:ff9b::10.0.0.1", Naming::Named), Err(Blocked::Private));
}

#[test]
fn a15_loopback_literals() {
    let policy = EgressPolicy { loopback_literals: true, ..Default::default() };
    let literal = |host: &str, ip: &str, naming| {
        let target = Target::new(Scheme::Http, Host::parse(host).unwrap(), 8080);
        policy.vet(&target, ip.parse().unwrap(), naming)
    };
    assert_eq!(literal("127.0.0.1", "127.0.0.1", Naming::Named), Ok(()));
    assert_eq!(literal("127.0.0.9", "127.0.0.9", Naming::Named), Ok(()));
    assert_eq!(literal("::1", "::1", Naming::Named), Ok(()));
    assert_eq!(literal("127.0.0.1", "127.0.0.1", Naming::NotNamed), Err(Blocked::Loopback));
    // A name that resolves to loopback is not a literal, whatever it is called.
    assert_eq!(literal("localhost", "127.0.0.1", Naming::Named), Err(Blocked::Loopback));
    assert_eq!(literal("good.test", "127.0.0.1", Naming::Named), Err(Blocked::Loopback));
    assert_eq!(literal("10.0.0.1", "10.0.0.1", Naming::Named), Err(Blocked::Private));
    assert_eq!(literal("::ffff:127.0.0.1", "::ffff:127.0.0.1", Naming::Named), Err(Blocked::Embedded));
}

/// Plain http only inside, whatever names it.
#[test]
fn a17_plain_http() {
    let policy = ranges(&["10.0.0.0/8", "8.8.8.0/24"]);
    let target = Target::new(Scheme::Http, Host::Name("good.test".into()), 80);
    let http = |ip: &str, naming| policy.vet(&target, ip.parse().unwrap(), naming);
    assert_eq!(http("10.0.0.1", Naming::Named), Ok(()));
    assert_eq!(http("10.0.0.1", Naming::NotNamed), Err(Blocked::Private));
    assert_eq!(http("93.184.216.34", Naming::Named), Err(Blocked::PlainHttp));
    assert_eq!(http("8.8.8.8", Naming::Named), Err(Blocked::PlainHttp));
    assert_eq!(http("2606:4700::1111", Naming::NotNamed), Err(Blocked::PlainHttp));
}
