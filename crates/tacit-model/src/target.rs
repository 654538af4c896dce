//! Where a request goes: parsed once, from one text, into one type.
//!
//! Policy, resolver, dialler, TLS name, `Host` header and record all take a [`Target`] and nothing else, so that "the
//! policy looked at one name, the bytes went to another" cannot be written down.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::destination::is_method_token;

/// `http`, `https` or `sftp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain text; only where private addresses are allowed.
    Http,
    /// TLS, always verified.
    Https,
    /// SSH, towards a server whose key is pinned. No URL has it: an SFTP step names host and port.
    Sftp,
}

impl Scheme {
    /// The port when none is written.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Sftp => 22,
        }
    }

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Sftp => "sftp",
        }
    }
}

/// A host: a checked, lower-case ASCII name without a trailing dot, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A DNS name.
    Name(Box<str>),
    /// An IP literal. It matches only itself, never a name.
    Ip(IpAddr),
}

impl Host {
    /// Parses what a person or a URL wrote as a host.
    ///
    /// International names become their ASCII form (UTS 46). Anything that some resolver would take for an address in
    /// disguise (`127.1`, `0x7f.1`, `2130706433`) is refused rather than guessed: only the plain dotted form is an IPv4
    /// literal here, and IPv6 is accepted with or without brackets but never with a zone.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Some(v6) = inner {
            return v6.parse::<Ipv6Addr>().map(|ip| Self::Ip(ip.into())).map_err(|_| TargetError::Host);
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(ip.into()));
        }
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Ip(ip.into()));
        }
        // Percent signs, user info, slashes and blanks never belong to a host; `idna` would map some of them away.
        if text.is_empty() || text.chars().any(|c| c.is_control() || " %@/\\?#:[]<>^|\"'`{}".contains(c)) {
            return Err(TargetError::Host);
        }
        let ascii =
            idna::domain_to_ascii(text.strip_suffix('.').unwrap_or(text)).map_err(|_| TargetError::Host)?;
        let name = ascii.as_str();
        if !is_dns_name(name) {
            return Err(TargetError::Host);
        }
        if looks_like_an_address(name) {
            return Err(TargetError::AddressInDisguise);
        }
        Ok(Self::Name(name.into()))
    }
}

/// Letters, digits, hyphens and underscores in labels of 1 to 63, at most 253 bytes.
fn is_dns_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// A name whose last label is a number (decimal, octal or `0x…`) is one that `getaddrinfo` or the WHATWG parser may
/// read as an IPv4 address.
fn looks_like_an_address(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// One destination of one request. Its fields are private: the only way to one is a parser in this module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// What is wrong with a URL. The offending text is never repeated: it may hold a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not `scheme://host…`.
    #[error("is not an absolute http:// or https:// URL")]
    NotAbsolute,
    /// Another scheme.
    #[error("must begin with https:// (or http:// for a private address that a destination names)")]
    Scheme,
    /// `user@host`.
    #[error("must not carry a user name or password; use `auth` with a secret instead")]
    UserInfo,
    /// The host cannot be read one way only.
    #[error("has a host that is neither a plain DNS name nor an IP address")]
    Host,
    /// `127.1` and friends.
    #[error("has a host that is an IP address in disguise; write the address in its usual form")]
    AddressInDisguise,
    /// Not 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// Control characters, backslashes, blanks.
    #[error("holds a character that does not belong into a URL; percent-encode it")]
    Character,
    /// `..`, `//`, `%2f` and other spellings that two parsers read differently.
    #[error(
        "has a path that is not in its normal form (no `.` or `..` segments, empty segments, `;`, backslashes or encoded slashes)"
    )]
    Path,
}

impl Target {
    /// From parts that were parsed elsewhere (a destination's own fields).
    pub fn new(scheme: Scheme, host: Host, port: u16) -> Self {
        Self { scheme, host, port }
    }

    /// Splits an absolute URL into where it goes and what it asks for there.
    ///
    /// The fragment is dropped, as every client does. The path is not normalised but required to be normal, because
    /// a path that must be rewritten is one that another parser may read differently.
    pub fn parse_url(url: &str) -> Result<(Self, RequestPath), TargetError> {
        if url.chars().any(|c| c.is_control() || c == '\\' || c == ' ') {
            return Err(TargetError::Character);
        }
        let (scheme, rest) = url.split_once("://").ok_or(TargetError::NotAbsolute)?;
        let scheme = if scheme.eq_ignore_ascii_case("https") {
            Scheme::Https
        } else if scheme.eq_ignore_ascii_case("http") {
            Scheme::Http
        } else {
            return Err(TargetError::Scheme);
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at(authority_end);
        let target = Self::parse_authority(scheme, authority)?;
        Ok((target, RequestPath::parse(path_and_query)?))
    }

    /// Parses `host` or `host:port`.
    pub fn parse_authority(scheme: Scheme, authority: &str) -> Result<Self, TargetError> {
        if authority.contains('@') {
            return Err(TargetError::UserInfo);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (_, after) = rest.split_once(']').ok_or(TargetError::Host)?;
                // `[::1]x` and `[::1]x]` have something between the bracket and the port.
                let port = match after.strip_prefix(':') {
                    None if !after.is_empty() => return Err(TargetError::Host),
                    port => port,
                };
                (&authority[..authority.len() - after.len()], port)
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            None => scheme.default_port(),
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse::<u16>().ok().filter(|port| *port > 0).ok_or(TargetError::Port)?
            }
            Some(_) => return Err(TargetError::Port),
        };
        Ok(Self { scheme, host: Host::parse(host)?, port })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host`, or `host:port` where the port is not the scheme's own: the `Host` header.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// `scheme://host:port`, without a path: safe to record.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// A path in its normal form and, apart from it, the query.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestPath {
    path: String,
    query: Option<String>,
}

impl RequestPath {
    /// Parses `/path?query`; an empty text is `/`.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        check_path(path)?;
        if let Some(query) = query {
            check_visible_ascii(query)?;
        }
        Ok(Self { path: path.to_owned(), query: query.map(str::to_owned) })
    }

    /// The path, beginning with `/`, percent-encoded.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }
}

/// A query may hold what no log should; a path is what the record shows.
impl fmt::Debug for RequestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.path, if self.query.is_some() { "?…" } else { "" })
    }
}

fn check_visible_ascii(text: &str) -> Result<(), TargetError> {
    if text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        Ok(())
    } else {
        Err(TargetError::Character)
    }
}

/// Whether one spelling of the path is the only reading of it.
fn check_path(path: &str) -> Result<(), TargetError> {
    check_visible_ascii(path)?;
    let Some(rest) = path.strip_prefix('/') else { return Err(TargetError::Path) };
    let lower = path.to_ascii_lowercase();
    // Encoded slashes, backslashes, NUL, percent (double encoding) and `;` parameters are read differently by different servers.
    if ["%2f", "%5c", "%00", "%25", "%3b", ";"].iter().any(|trick| lower.contains(trick)) {
        return Err(TargetError::Path);
    }
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let hex = bytes.get(at + 1..at + 3).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let encoded = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        // Nor control characters, nor the bytes with which a dot or a slash is written longer than it is.
        let has_one_reading =
            encoded.is_some_and(|byte| !byte.is_ascii_control() && !matches!(byte, 0xc0 | 0xc1));
        if *byte == b'%' && !has_one_reading {
            return Err(TargetError::Path);
        }
    }
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let decoded = segment.to_ascii_lowercase().replace("%2e", ".");
        let last = segments.peek().is_none();
        if decoded == "." || decoded == ".." || (segment.is_empty() && !last) {
            return Err(TargetError::Path);
        }
    }
    Ok(())
}

/// A request method that may be sent: a token, and not one that turns the connection or echoes by design.
pub fn is_sendable_method(method: &str) -> bool {
    is_method_token(method) && !matches!(method, "TRACE" | "CONNECT")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<String, TargetError> {
        Target::parse_url(url).map(|(target, _)| target.to_string())
    }

    /// A9: each spelling is the same canonical host or refused.
    #[test]
    fn a9_spellings_of_a_host() {
        for same in [
            "https://good.test/",
            "https://GOOD.test/",
            "https://good.test./",
            "https://good.test:443/",
            "HTTPS://good.test",
            "https://good.test?x",
            "https://good.test#@evil.test/",
            "https://ｇｏｏｄ.test/",
        ] {
            assert_eq!(target(same).as_deref(), Ok("https://good.test"), "{same}");
        }
        for refused in [
            "https://good.test\\@evil.test/",
            "https://good.test%2eevil.test/",
            "https://g%6fod.test/",
            "https://good.test\t/",
            "https://good.test\r\n/",
            "https://good .test/",
            "https://[good.test]/",
            "https://good..test/",
            "https://.good.test/",
            "https://-good.test/",
            "https:///good.test/",
            "https:good.test/",
            "//good.test/",
            "good.test/",
            "ftp://good.test/",
            "sftp://good.test/",
            "https://good.test:/",
            "https://good.test:0/",
            "https://good.test:65536/",
            "https://good.test:443x/",
            "https://good.test:+443/",
            "https://good.test:80:443/",
            "https://good.test<evil/",
            "https://good.test\u{0}/",
        ] {
            assert!(target(refused).is_err(), "{refused}");
        }
    }

    /// A8: user info is refused wherever it stands.
    #[test]
    fn a8_user_info() {
        for url in ["https://good.test@evil.test/", "https://u:p@good.test/", "https://@good.test/"] {
            assert_eq!(target(url), Err(TargetError::UserInfo), "{url}");
        }
    }

    /// A10: numbers that resolvers take for addresses are neither names nor addresses.
    #[test]
    fn a10_addresses_in_disguise() {
        for url in [
            "http://2130706433/",
            "http://017700000001/",
            "http://0x7f.1/",
            "http://127.1/",
            "http://0/",
            "http://0x7f000001/",
            "http://127.0.0.0x1/",
            "http://1.2.3.4.5/",
            "http://127.0.0.1./",
            "http://１２７.1/",
        ] {
            assert!(target(url).is_err(), "{url}");
        }
        assert_eq!(target("http://127.0.0.1:8080/").as_deref(), Ok("http://127.0.0.1:8080"));
        assert_eq!(target("http://[::1]:8080/").as_deref(), Ok("http://[::1]:8080"));
        assert!(target("http://[fe80::1%25eth0]/").is_err());
        assert!(target("http://[::1]x/").is_err());
        assert!(target("http://[::1]x]/").is_err());
        assert!(target("http://[::1]evil.test]:80/").is_err());
    }

    /// B16: paths with a second reading are refused, ordinary ones are kept as written.
    #[test]
    fn b16_path_tricks() {
        for path in [
            "/v1/../admin",
            "/v1/./x",
            "/..",
            "/.",
            "/v1/%2e%2e/admin",
            "/v1/%2E./x",
            "/v1/.%2e/x",
            "//admin",
            "/v1//x",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a;x=1",
            "/a%3bx",
            "/a%00",
            "/a%0d%0aX:%20y",
            "/a%7F",
            "/%c0%ae%c0%ae/admin",
            "/a%252e",
            "/a%zz",
            "/a%",
            "/a b",
            "/ä",
            "v1",
        ] {
            assert!(RequestPath::parse(path).is_err(), "{path}");
        }
        for path in ["/", "/v1/charges", "/v1/charges/", "/a%20b", "/a..b", "/...", "/~x/@y/$z,(1)"] {
            assert_eq!(RequestPath::parse(path).map(|p| p.path().to_owned()).as_deref(), Ok(path));
        }
        assert_eq!(RequestPath::parse("").map(|p| p.path().to_owned()).as_deref(), Ok("/"));
    }
}
