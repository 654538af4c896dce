//! What a request on a bare connection names as its target, read once and into one type (attacks A8 to A11).
//!
//! Everything that says where a request goes is read here, by the one parser that there is (`tacit_model`), and from the
//! text as it was sent: what another library makes of that text decides nothing. A text with a second reading is refused.

use tacit_model::{
    Scheme, Target,
    target::{RequestPath, TargetError},
};

/// The path under which a target's authority may be written as if it were a base URL.
pub const BASE_PATH: &str = "/to/";

/// The target of a request on a bare connection.
#[derive(Debug, PartialEq, Eq)]
pub enum RequestTarget<'a> {
    /// `CONNECT host:port`. What comes through the tunnel is taken for TLS.
    Tunnel(Target),
    /// `http://host/path` or `https://host/path`.
    Url {
        /// Where it goes.
        target: Target,
        /// What it asks for there.
        path: RequestPath,
    },
    /// `/to/TOKEN/host/path`, for programs that can be given a base URL.
    BaseUrl {
        /// Somebody's lease token, perhaps.
        token: &'a str,
        /// Where it goes.
        target: Target,
        /// What it asks for there.
        path: RequestPath,
    },
    /// Another path: nothing that is for the proxy.
    Path,
}

/// Why a target cannot be read. Repeats nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestTargetError {
    /// Not what belongs there.
    #[error("the request's target is neither a path nor a URL")]
    Form,
    /// Not `host:port`.
    #[error("CONNECT must name a host and a port")]
    NoPort,
    /// No host that can be read in one way only, or no path.
    #[error("the request's target {0}")]
    Target(#[from] TargetError),
}

impl<'a> RequestTarget<'a> {
    /// Reads the target of a request line.
    ///
    /// # Errors
    /// If the text is not of the form that goes with the method, or has a second reading.
    pub fn parse(method: &str, text: &'a str) -> Result<Self, RequestTargetError> {
        if !text.bytes().all(is_target_byte) {
            return Err(TargetError::Character.into());
        }
        if method == "CONNECT" {
            // Without a port, clients differ in what they mean.
            let has_port = text.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
            return if has_port {
                Ok(Self::Tunnel(parse_authority(Scheme::Https, text)?))
            } else {
                Err(RequestTargetError::NoPort)
            };
        }
        if let Some(rest) = text.strip_prefix(BASE_PATH) {
            let (token, rest) = rest.split_once('/').ok_or(RequestTargetError::Target(TargetError::Host))?;
            let (authority, path) = split_authority(rest);
            // Programs do not say how the service is spoken to; its destination does.
            let target = parse_authority(Scheme::Http, authority)?;
            return Ok(Self::BaseUrl { token, target, path: RequestPath::parse(path)? });
        }
        if text.starts_with('/') {
            return Ok(Self::Path);
        }
        let (scheme, rest) = text.split_once("://").ok_or(RequestTargetError::Form)?;
        let scheme = if scheme.eq_ignore_ascii_case("http") {
            Scheme::Http
        } else if scheme.eq_ignore_ascii_case("https") {
            Scheme::Https
        } else {
            return Err(RequestTargetError::Form);
        };
        let (authority, path) = split_authority(rest);
        let target = parse_authority(scheme, authority)?;
        Ok(Self::Url { target, path: RequestPath::parse(path)? })
    }
}

/// What may stand in a target: visible, and none of what other parsers cut at, rewrite or refuse.
pub(super) fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"#<>\"\\`".contains(&byte)
}

fn split_authority(text: &str) -> (&str, &str) {
    text.split_at(text.find(['/', '?']).unwrap_or(text.len()))
}

/// As the model reads it, and a port has one spelling.
fn parse_authority(scheme: Scheme, text: &str) -> Result<Target, TargetError> {
    let target = Target::parse_authority(scheme, text)?;
    let port = text.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains(']'));
    if port.is_some_and(|port| port.starts_with('0')) { Err(TargetError::Port) } else { Ok(target) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_and_port(method: &str, text: &str) -> Result<String, RequestTargetError> {
        match RequestTarget::parse(method, text)? {
            RequestTarget::Tunnel(target)
            | RequestTarget::Url { target, .. }
            | RequestTarget::BaseUrl { target, .. } => Ok(format!("{}:{}", target.host(), target.port())),
            RequestTarget::Path => Ok("(path)".to_owned()),
        }
    }

    /// One authority in every form of a target.
    fn everywhere(authority: &str) -> [Result<String, RequestTargetError>; 4] {
        [
            host_and_port("CONNECT", authority),
            host_and_port("GET", &format!("http://{authority}/x")),
            host_and_port("GET", &format!("HTTPS://{authority}?x")),
            host_and_port("GET", &format!("/to/token/{authority}")),
        ]
    }

    /// A9: each spelling is the same host or refused, whichever way it comes.
    #[test]
    fn a9_spellings() {
        for same in ["good.test:443", "GOOD.test:443", "good.test.:443", "Good.Test.:443"] {
            for read in everywhere(same) {
                assert_eq!(read.as_deref(), Ok("good.test:443"), "{same}");
            }
        }
        for refused in [
            "good.test\\@evil.test:443",
            "good.test#@evil.test:443",
            "good.test%2f@evil.test:443",
            "good.test%23evil.test:443",
            "good.test%00.evil.test:443",
            "g%6fod.test:443",
            "good%2etest:443",
            "good。test:443",
            "ｇｏｏｄ.test:443",
            "good.t\u{e9}st:443",
            "good.test\t:443",
            "good.test\r\n:443",
            "good test:443",
            "good.test..:443",
            ".good.test:443",
            "good..test:443",
            "-good.test:443",
            "good-.test:443",
            "xn--a.test:443",
            "good!.test:443",
            "good,evil.test:443",
            "good.test;evil.test:443",
            "good.test&evil.test:443",
            "<good.test>:443",
            "[good.test]:443",
            "good.test::443",
            "good.test:443:80",
            "good.test:",
            "good.test:0",
            "good.test:0443",
            "good.test:65536",
            "good.test:-1",
            "good.test:+443",
            "good.test:0x1bb",
            "good.test:https",
            "[::1%25lo]:443",
            "[fe80::1%lo]:443",
            "[::1:443",
            "::1]:443",
            "::1:443",
            "[::1]x:443",
            ":443",
            "",
        ] {
            for read in everywhere(refused) {
                assert!(read.is_err(), "{refused}: {read:?}");
            }
        }
    }

    /// A8: whoever stands before the `@`.
    #[test]
    fn a8_user_info() {
        for authority in
            ["good.test@evil.test:443", "u:p@good.test:443", "@good.test:443", "good.test:443@evil.test:443"]
        {
            for read in everywhere(authority) {
                assert_eq!(read, Err(TargetError::UserInfo.into()), "{authority}");
            }
        }
    }

    /// A10, A11: an address is written as one or not at all.
    #[test]
    fn a10_addresses() {
        for refused in [
            "2130706433:80",
            "017700000001:80",
            "0x7f.1:80",
            "0x7f000001:80",
            "127.1:80",
            "0:80",
            "127.0.0.01:80",
            "1.2.3.4.5:80",
            "127.0.0.1.:80",
        ] {
            for read in everywhere(refused) {
                assert!(read.is_err(), "{refused}: {read:?}");
            }
        }
        for (address, same) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            ("[0:0:0:0:0:0:0:1]:80", "[::1]:80"),
            ("[::FFFF:127.0.0.1]:80", "[::ffff:127.0.0.1]:80"),
        ] {
            for read in everywhere(address) {
                assert_eq!(read.as_deref(), Ok(same), "{address}");
            }
        }
    }

    #[test]
    fn forms() {
        assert_eq!(host_and_port("GET", "http://good.test").as_deref(), Ok("good.test:80"));
        assert_eq!(host_and_port("GET", "https://good.test/x").as_deref(), Ok("good.test:443"));
        assert_eq!(host_and_port("GET", "/to/token/good.test/").as_deref(), Ok("good.test:80"));
        assert_eq!(host_and_port("GET", "/v1/workspaces").as_deref(), Ok("(path)"));
        assert_eq!(host_and_port("CONNECT", "good.test"), Err(RequestTargetError::NoPort));
        assert_eq!(host_and_port("CONNECT", "[::1]"), Err(RequestTargetError::NoPort));
        for (method, text) in [
            ("CONNECT", "https://good.test:443"),
            ("CONNECT", "good.test:443/"),
            ("CONNECT", "/to/token/good.test:443"),
            ("GET", "good.test:443"),
            ("GET", "good.test"),
            ("GET", "*"),
            ("GET", ""),
            ("GET", "ftp://good.test/"),
            ("GET", "http:good.test/"),
            ("GET", "http:/good.test/"),
            ("GET", "http:///good.test/"),
            ("GET", "://good.test/"),
            ("GET", "//good.test/"),
            ("GET", "/to/token"),
            ("GET", "/to//"),
            ("GET", "/to/token//good.test"),
        ] {
            let read = host_and_port(method, text);
            assert!(read.is_err() || read.as_deref() == Ok("(path)"), "{method} {text}: {read:?}");
        }
        assert!(host_and_port("GET", "*").is_err());
    }

    /// B16: the path is in its normal form, or nowhere.
    #[test]
    fn b16_paths() {
        for path in ["/a/../b", "/%2e%2e/b", "//b", "/a%2fb", "/a;b", "/a%"] {
            assert!(host_and_port("GET", &format!("http://good.test{path}")).is_err(), "{path}");
            assert!(host_and_port("GET", &format!("/to/token/good.test{path}")).is_err(), "{path}");
        }
        let Ok(RequestTarget::BaseUrl { token, path, .. }) =
            RequestTarget::parse("GET", "/to/t/good.test/a/b?c=/d")
        else {
            panic!("not a base URL")
        };
        assert_eq!((token, path.path(), path.query()), ("t", "/a/b", Some("c=/d")));
    }
}
