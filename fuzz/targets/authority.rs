//! What our parser takes for a host, `url` and `http` take for the same one or for none. Never for another: then one of
//! them would check one host and the other would send to another.
//!
//! The input is an authority, or a whole URL.
#![no_main]

use http::Uri;
use libfuzzer_sys::fuzz_target;
use tacit_fuzz::proxy::authority::RequestTarget;
use tacit_model::{Host, Scheme, Target, target::RequestPath};
use url::Url;

fuzz_target!(|text: &str| {
    for url in
        [text.to_owned(), format!("http://{text}/x"), format!("HTTPS://{text}"), format!("https://{text}?x")]
    {
        if let Ok((target, path)) = Target::parse_url(&url) {
            agree(&target, &path, &url);
        }
        if let Ok(RequestTarget::Url { target, path }) = RequestTarget::parse("GET", &url) {
            agree(&target, &path, &url);
            assert_eq!(Target::parse_url(&url), Ok((target, path)));
        }
    }
    if let Ok(target) = Target::parse_authority(Scheme::Https, text) {
        let root = RequestPath::parse("").expect("the root is a path");
        agree(&target, &root, &format!("https://{text}"));
    }
    if let Ok(RequestTarget::Tunnel(target)) = RequestTarget::parse("CONNECT", text) {
        assert_eq!(Target::parse_authority(Scheme::Https, text), Ok(target));
    }
    if let Ok(RequestTarget::BaseUrl { token, target, path }) =
        RequestTarget::parse("GET", &format!("/to/{text}"))
    {
        let url = format!("http://{}", &text[token.len() + 1..]);
        agree(&target, &path, &url);
    }
});

/// Whether the others read `text` as this, or not at all.
fn agree(target: &Target, path: &RequestPath, text: &str) {
    let again = format!("{target}{}", path.path());
    assert_eq!(
        Target::parse_url(&again).map(|(target, _)| target).as_ref(),
        Ok(target),
        "{again} is read as another"
    );
    if let Ok(url) = Url::parse(text) {
        assert_eq!(url.scheme(), target.scheme().as_str());
        assert_eq!(url.port_or_known_default(), Some(target.port()));
        assert!(url.username().is_empty() && url.password().is_none());
        match (url.host().expect("http has a host"), target.host()) {
            (url::Host::Domain(name), Host::Name(ours)) => assert_eq!(name.trim_end_matches('.'), &**ours),
            (url::Host::Ipv4(ip), Host::Ip(ours)) => assert_eq!(ip, *ours),
            (url::Host::Ipv6(ip), Host::Ip(ours)) => assert_eq!(ip, *ours),
            (theirs, ours) => panic!("{theirs} and {ours}"),
        }
        assert_eq!(decode(url.path()), decode(path.path()));
        assert_eq!(url.query().map(decode), path.query().map(decode));
    }
    let Ok(uri) = text.parse::<Uri>() else { return };
    let (Some(authority), Some(scheme)) = (uri.authority(), uri.scheme_str()) else {
        panic!("{uri:?} goes nowhere");
    };
    assert_eq!(scheme, target.scheme().as_str());
    assert_eq!(authority.port_u16().unwrap_or(target.scheme().default_port()), target.port());
    let name = authority.host().to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    match target.host() {
        Host::Name(ours) => assert_eq!(name, &**ours),
        Host::Ip(ours) => assert_eq!(name.trim_matches(['[', ']']).parse(), Ok(*ours)),
    }
    assert_eq!(uri.path(), path.path());
    assert_eq!(uri.query(), path.query());
}

/// Without the encodings that are one's own choice.
fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}
