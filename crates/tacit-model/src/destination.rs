//! Destinations: where a secret may go, and where in a request it may stand.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    host_key::HostKey,
    limits::DESTINATIONS_MAX,
    name::EnvironmentName,
    place::Place,
    target::{Host, Scheme, Target},
};

/// What is wrong with a destination: the field and a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationError {
    /// The field, such as `host` or `paths`.
    pub field: &'static str,
    /// What is wrong and what to write instead.
    pub message: String,
}

fn wrong<T>(field: &'static str, message: impl Into<String>) -> Result<T, DestinationError> {
    Err(DestinationError { field, message: message.into() })
}

/// A host, or `*.` and a host for exactly one more label.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(Host),
    /// One label in front of this name.
    OneLabel(Box<str>),
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, DestinationError> {
        if let Some(base) = text.strip_prefix("*.") {
            let Ok(Host::Name(base)) = Host::parse(base) else {
                return wrong("host", "after `*.` must come a DNS name, such as *.zendesk.com");
            };
            // Whoever can register a name under a public suffix would be a destination.
            if psl::suffix_str(&base).is_none_or(|suffix| suffix.len() >= base.len()) {
                return wrong(
                    "host",
                    "must not be a wildcard over a public suffix, under which anyone can get a name; name the host",
                );
            }
            return Ok(Self::OneLabel(base));
        }
        if text.contains('*') {
            return wrong(
                "host",
                "a wildcard is only allowed as the whole first label, such as *.zendesk.com",
            );
        }
        match Host::parse(text) {
            Ok(host) => Ok(Self::Exact(host)),
            Err(error) => {
                wrong("host", format!("{error}; write the host alone, without scheme, port or path"))
            }
        }
    }

    /// Whether this host is meant.
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exact(wanted), host) => wanted == host,
            (Self::OneLabel(base), Host::Name(name)) => name
                .strip_suffix(&**base)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
            (Self::OneLabel(_), Host::Ip(_)) => false,
        }
    }

    /// Whether this is a loopback address: what goes there does not leave the machine.
    pub fn is_loopback(&self) -> bool {
        matches!(self, Self::Exact(Host::Ip(ip)) if ip.is_loopback())
    }

    fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Exact(host) => self.matches(host),
            Self::OneLabel(_) => self == other,
        }
    }

    /// The text under which destinations are found by host: the host itself, or `*.base`.
    pub fn index_key(&self) -> String {
        match self {
            Self::Exact(host) => host.to_string(),
            Self::OneLabel(base) => format!("*.{base}"),
        }
    }

    /// The index keys that can match a host.
    pub fn index_keys_for(host: &Host) -> Vec<String> {
        let mut keys = vec![host.to_string()];
        if let Host::Name(name) = host
            && let Some((_, base)) = name.split_once('.')
        {
            keys.push(format!("*.{base}"));
        }
        keys
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(Host::Ip(std::net::IpAddr::V6(ip))) => write!(f, "{ip}"),
            Self::Exact(host) => write!(f, "{host}"),
            Self::OneLabel(base) => write!(f, "*.{base}"),
        }
    }
}

/// A path template: `*` for one segment, `/**` at the end for the rest (nothing included).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    segments: Vec<Segment>,
    rest: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Segment {
    Literal(Box<str>),
    Any,
}

impl PathPattern {
    fn parse(text: &str) -> Result<Self, DestinationError> {
        let (fixed, rest) = match text.strip_suffix("/**") {
            Some(fixed) => (fixed, true),
            None => (text, false),
        };
        if text.contains(['?', '#'])
            || (!fixed.is_empty() && crate::RequestPath::parse(fixed).is_err())
            || !text.starts_with('/')
        {
            return wrong("paths", "must be paths in their normal form, such as /v1/charges/**");
        }
        let mut segments = Vec::new();
        for segment in fixed.split('/').skip(1) {
            segments.push(match segment {
                "*" => Segment::Any,
                literal if literal.contains('*') => {
                    return wrong("paths", "`*` stands for one whole segment, and `/**` only at the end");
                }
                literal => Segment::Literal(literal.into()),
            });
        }
        Ok(Self { segments, rest })
    }

    /// Whether a path in normal form is meant. Compared as it is sent, byte by byte.
    pub fn matches(&self, path: &str) -> bool {
        let mut actual = path.split('/').skip(1);
        for segment in &self.segments {
            let Some(part) = actual.next() else { return false };
            let fits = match segment {
                Segment::Literal(literal) => &**literal == part,
                Segment::Any => !part.is_empty(),
            };
            if !fits {
                return false;
            }
        }
        self.rest || actual.next().is_none()
    }

    fn covers(&self, other: &Self) -> bool {
        if other.segments.len() < self.segments.len() || (other.rest && !self.rest) {
            return false;
        }
        let fits = |(mine, theirs): (&Segment, &Segment)| match mine {
            Segment::Any => !matches!(theirs, Segment::Literal(text) if text.is_empty()),
            literal => literal == theirs,
        };
        self.segments.iter().zip(&other.segments).all(fits)
            && (self.rest || self.segments.len() == other.segments.len())
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Any => f.write_str("/*")?,
            }
        }
        f.write_str(if self.rest { "/**" } else { "" })
    }
}

/// What may come back from a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseRule {
    /// Everything, with the value's forms taken out.
    Scrub,
    /// Nothing, if the answer holds the value.
    Block,
    /// The status alone.
    StatusOnly,
}

/// One destination of a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Destination {
    /// Which host.
    pub host: HostPattern,
    /// Which scheme.
    pub scheme: Scheme,
    /// Which port.
    pub port: u16,
    /// The key that an SFTP server must have; no other destination has one.
    pub host_key: Option<HostKey>,
    /// Which methods (for SFTP: `PUT`, `GET`, `LIST`, `RENAME`, `DELETE`); none written means any.
    pub methods: Vec<String>,
    /// Which paths; none written means any.
    pub paths: Vec<PathPattern>,
    /// Which places in the request.
    pub places: Vec<Place>,
    /// In which environments; none written means any.
    pub environments: Vec<EnvironmentName>,
    /// Whether a request there may carry no credential but stored ones.
    pub exclusive: bool,
    /// What may come back.
    pub response: ResponseRule,
    /// Whether this destination may send back what it gets; `false` is the owner's word that it does not.
    pub echoes: bool,
}

/// A destination as it is written; only `host` is required.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    host: String,
    #[serde(default = "https")]
    scheme: Scheme,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_key: Option<HostKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    methods: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    paths: Vec<String>,
    #[serde(default = "only_auth")]
    places: Vec<Place>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    environments: Vec<EnvironmentName>,
    #[serde(default = "yes")]
    exclusive: bool,
    #[serde(default = "scrub")]
    response: ResponseRule,
    #[serde(default = "yes")]
    echoes: bool,
}

fn https() -> Scheme {
    Scheme::Https
}

fn only_auth() -> Vec<Place> {
    vec![Place::Auth]
}

fn yes() -> bool {
    true
}

fn scrub() -> ResponseRule {
    ResponseRule::Scrub
}

impl TryFrom<Written> for Destination {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Self::check(written).map_err(|error| format!("{}: {}", error.field, error.message))
    }
}

impl From<Destination> for Written {
    fn from(parsed: Destination) -> Self {
        Self {
            host: parsed.host.to_string(),
            scheme: parsed.scheme,
            port: Some(parsed.port),
            host_key: parsed.host_key,
            methods: parsed.methods,
            paths: parsed.paths.iter().map(PathPattern::to_string).collect(),
            places: parsed.places,
            environments: parsed.environments,
            exclusive: parsed.exclusive,
            response: parsed.response,
            echoes: parsed.echoes,
        }
    }
}

impl Destination {
    fn check(written: Written) -> Result<Self, DestinationError> {
        let host = HostPattern::parse(&written.host)?;
        let port = written.port.unwrap_or(written.scheme.default_port());
        if port == 0 {
            return wrong("port", "must be from 1 to 65535");
        }
        if !written.methods.iter().all(|method| crate::target::is_sendable_method(method)) {
            return wrong(
                "methods",
                "must be methods in capitals that may be sent, such as [\"GET\", \"POST\"]",
            );
        }
        if written.places.is_empty() {
            return wrong("places", "must name at least one place, such as auth");
        }
        // Without its key nobody could tell the server from one that only wants the password.
        match (written.scheme, &written.host_key) {
            (Scheme::Sftp, None) => {
                return wrong(
                    "host_key",
                    "is required with the scheme sftp: the fingerprint of the server's key, SHA256:…, as `ssh-keygen -lf` shows it",
                );
            }
            (Scheme::Http | Scheme::Https, Some(_)) => {
                return wrong("host_key", "belongs to the scheme sftp alone");
            }
            _ => {}
        }
        if written.scheme == Scheme::Sftp && written.places.iter().any(|place| *place != Place::Auth) {
            return wrong("places", "must be [\"auth\"] with the scheme sftp");
        }
        if written.scheme == Scheme::Sftp && matches!(host, HostPattern::OneLabel(_)) {
            return wrong("host", "must be one host with the scheme sftp, because it has one key");
        }
        let paths =
            written.paths.iter().map(|path| PathPattern::parse(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            host,
            scheme: written.scheme,
            port,
            host_key: written.host_key,
            methods: written.methods,
            paths,
            places: written.places,
            environments: written.environments,
            exclusive: written.exclusive,
            response: written.response,
            echoes: written.echoes,
        })
    }

    /// The destination with nothing but a host, as `--to HOST` and suggestions write it. One for SFTP still lacks the
    /// server's key.
    pub fn for_target(target: &Target, place: Place) -> Self {
        Self {
            host: HostPattern::Exact(target.host().clone()),
            scheme: target.scheme(),
            port: target.port(),
            host_key: None,
            methods: Vec::new(),
            paths: Vec::new(),
            places: vec![place],
            environments: Vec::new(),
            exclusive: true,
            response: ResponseRule::Scrub,
            echoes: true,
        }
    }

    /// The same for one method and one path alone. A path with `*` in it cannot be said, so any path stays meant.
    pub fn narrowed_to(mut self, method: &str, path: &str) -> Self {
        self.methods = vec![method.into()];
        if !path.contains('*') {
            self.paths = PathPattern::parse(path).into_iter().collect();
        }
        self
    }

    /// Whether scheme, host and port are meant.
    pub fn matches_origin(&self, target: &Target) -> bool {
        self.scheme == target.scheme() && self.port == target.port() && self.host.matches(target.host())
    }

    /// Whether this path is meant.
    pub fn means_path(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path))
    }

    /// Whether this request is meant, leaving the place aside.
    pub fn matches(&self, target: &Target, method: &str, path: &str, environment: &EnvironmentName) -> bool {
        self.matches_origin(target)
            && (self.methods.is_empty() || self.methods.iter().any(|allowed| allowed == method))
            && self.means_path(path)
            && (self.environments.is_empty() || self.environments.contains(environment))
    }

    /// Whether everything that `other` allows is allowed by this one too. When in doubt, no.
    pub fn covers(&self, other: &Self) -> bool {
        let includes = |mine: &[String], theirs: &[String]| {
            mine.is_empty() || (!theirs.is_empty() && theirs.iter().all(|item| mine.contains(item)))
        };
        let covers_paths = self.paths.is_empty()
            || (!other.paths.is_empty()
                && other.paths.iter().all(|theirs| self.paths.iter().any(|mine| mine.covers(theirs))));
        self.scheme == other.scheme
            && self.port == other.port
            && self.host_key == other.host_key
            && self.host.covers(&other.host)
            && includes(&self.methods, &other.methods)
            && covers_paths
            && other.places.iter().all(|place| self.places.contains(place))
            && (self.environments.is_empty()
                || (!other.environments.is_empty()
                    && other.environments.iter().all(|e| self.environments.contains(e))))
            && (!self.exclusive || other.exclusive)
            && self.response <= other.response
            && (self.echoes == other.echoes || (!self.echoes && other.echoes))
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

/// All destinations of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Destinations(pub Vec<Destination>);

impl Destinations {
    /// Whether there is none: then the value can only be used by those who may also reveal it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there are more than a secret may have.
    pub fn is_too_many(&self) -> bool {
        self.0.len() > DESTINATIONS_MAX
    }

    /// Whether every one of these is already allowed by `old`. A first destination is always wider than none.
    pub fn is_within(&self, old: &Destinations) -> bool {
        self.0.iter().all(|new| old.0.iter().any(|old| old.covers(new)))
    }

    /// What of them counts in one environment, as if it were the only one.
    pub fn in_environment(&self, environment: &EnvironmentName) -> Self {
        let counts =
            |one: &&Destination| one.environments.is_empty() || one.environments.contains(environment);
        let counting = self.0.iter().filter(counts);
        Self(counting.map(|one| Destination { environments: Vec::new(), ..one.clone() }).collect())
    }

    /// The destinations that mean this request, leaving the place aside.
    pub fn matching<'a>(
        &'a self,
        target: &'a Target,
        method: &'a str,
        path: &'a str,
        environment: &'a EnvironmentName,
    ) -> impl Iterator<Item = &'a Destination> {
        self.0.iter().filter(move |destination| destination.matches(target, method, path, environment))
    }

    /// The bytes that a policy hash is made of. Field order is the struct's, so equal policies have equal bytes.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("destinations are plain data that always serializes")
    }
}

/// A token of RFC 9110 in upper case, short enough to be a method.
pub(crate) fn is_method_token(method: &str) -> bool {
    !method.is_empty() && method.len() <= 20 && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn destination(value: serde_json::Value) -> Result<Destination, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    fn to(url: &str) -> (Target, String) {
        let (target, path) = Target::parse_url(url).unwrap();
        (target, path.path().to_owned())
    }

    fn allows(destination: &Destination, method: &str, url: &str) -> bool {
        let (target, path) = to(url);
        destination.matches(&target, method, &path, &"test".parse().unwrap())
    }

    /// A17, B3: port, scheme, method and path each count.
    #[test]
    fn each_part_of_a_destination_counts() {
        let d = destination(json!({"host": "api.good.test", "methods": ["GET", "POST"], "paths": ["/v1/charges/**", "/v1/*/x"]})).unwrap();
        for (method, url) in [
            ("GET", "https://api.good.test/v1/charges"),
            ("POST", "https://api.good.test/v1/charges/ch_1/refund"),
            ("GET", "https://api.good.test:443/v1/charges/"),
            ("GET", "https://api.good.test/v1/anything/x"),
        ] {
            assert!(allows(&d, method, url), "{method} {url}");
        }
        for (method, url) in [
            ("DELETE", "https://api.good.test/v1/charges"),
            ("get", "https://api.good.test/v1/charges"),
            ("GET", "http://api.good.test/v1/charges"),
            ("GET", "https://api.good.test:8443/v1/charges"),
            ("GET", "https://api.good.test/v1/chargesX"),
            ("GET", "https://api.good.test/v1"),
            ("GET", "https://api.good.test/v1//x"),
            ("GET", "https://api.good.test/v2/charges"),
            ("GET", "https://good.test/v1/charges"),
            ("GET", "https://x.api.good.test/v1/charges"),
        ] {
            let parsed = Target::parse_url(url).is_ok();
            assert!(!parsed || !allows(&d, method, url), "{method} {url}");
        }
    }

    /// A16: a wildcard is one label, bounded by a dot, never over a public suffix.
    #[test]
    fn a16_wildcards() {
        let d = destination(json!({"host": "*.zendesk.com"})).unwrap();
        assert!(allows(&d, "GET", "https://acme.zendesk.com/"));
        for url in [
            "https://zendesk.com/",
            "https://a.b.zendesk.com/",
            "https://evilzendesk.com/",
            "https://zendesk.com.evil.test/",
        ] {
            assert!(!allows(&d, "GET", url), "{url}");
        }
        for host in [
            "*",
            "*.com",
            "*.co.uk",
            "*.github.io",
            "*.s3.amazonaws.com",
            "a.*.com",
            "*zendesk.com",
            "*.*.zendesk.com",
            "*.127.0.0.1",
            "*.localhost",
        ] {
            assert!(destination(json!({ "host": host })).is_err(), "{host}");
        }
    }

    /// An address matches only its own spelling and never a name.
    #[test]
    fn addresses_match_only_themselves() {
        let d = destination(json!({"host": "127.0.0.1", "scheme": "http", "port": 8081})).unwrap();
        assert!(allows(&d, "GET", "http://127.0.0.1:8081/"));
        assert!(!allows(&d, "GET", "http://localhost:8081/"));
        assert!(!allows(&d, "GET", "http://[::ffff:127.0.0.1]:8081/"));
    }

    /// Whatever a pattern matches is found by its key.
    #[test]
    fn index_keys_find_every_match() {
        for (pattern, host) in [
            ("api.good.test", "API.good.test."),
            ("*.zendesk.com", "acme.zendesk.com"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "[::1]"),
            ("[2606:4700::1]", "2606:4700:0::1"),
        ] {
            let pattern = HostPattern::parse(pattern).unwrap();
            let host = Host::parse(host).unwrap();
            assert!(pattern.matches(&host));
            assert!(HostPattern::index_keys_for(&host).contains(&pattern.index_key()), "{host}");
        }
    }

    /// What is written wrong is refused with its field.
    #[test]
    fn bad_destinations() {
        for (value, field) in [
            (json!({"host": "https://x.test"}), "host"),
            (json!({"host": "x.test/path"}), "host"),
            (json!({"host": "x.test:443"}), "host"),
            (json!({"host": "u@x.test"}), "host"),
            (json!({"host": "x.test", "port": 0}), "port"),
            (json!({"host": "x.test", "methods": ["TRACE"]}), "methods"),
            (json!({"host": "x.test", "methods": ["get it"]}), "methods"),
            (json!({"host": "x.test", "paths": ["v1"]}), "paths"),
            (json!({"host": "x.test", "paths": ["/v1/../x"]}), "paths"),
            (json!({"host": "x.test", "paths": ["/v*"]}), "paths"),
            (json!({"host": "x.test", "paths": ["/**/x"]}), "paths"),
            (json!({"host": "x.test", "places": []}), "places"),
        ] {
            let error = destination(value.clone()).unwrap_err();
            assert!(error.starts_with(field), "{value}: {error}");
        }
        assert!(destination(json!({"host": "x.test", "regex": "."})).unwrap_err().contains("unknown field"));
    }

    /// M5: an SFTP destination has one host and its key, and another key is another server.
    #[test]
    fn m5_sftp_servers_are_pinned() {
        const KEY: &str = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        const OTHER: &str = "SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";
        let d = destination(json!({"host": "files.test", "scheme": "sftp", "host_key": KEY})).unwrap();
        assert_eq!((d.port, d.host_key.as_ref().map(ToString::to_string).as_deref()), (22, Some(KEY)));
        let written = serde_json::to_value(&d).unwrap();
        assert_eq!(written["host_key"], KEY);
        assert_eq!(destination(written).unwrap(), d);
        for (value, field) in [
            (json!({"host": "files.test", "scheme": "sftp"}), "host_key"),
            (json!({"host": "files.test", "host_key": KEY}), "host_key"),
            (
                json!({"host": "files.test", "scheme": "sftp", "host_key": KEY, "places": ["query:k"]}),
                "places",
            ),
            (json!({"host": "*.zendesk.com", "scheme": "sftp", "host_key": KEY}), "host"),
        ] {
            assert!(destination(value.clone()).unwrap_err().starts_with(field), "{value}");
        }
        let other = destination(json!({"host": "files.test", "scheme": "sftp", "host_key": OTHER})).unwrap();
        assert!(d.covers(&d) && !d.covers(&other) && !other.covers(&d));
    }

    /// Narrowing is recognised, and everything else counts as widening.
    #[test]
    fn narrower_or_wider() {
        let list = |value| serde_json::from_value::<Destinations>(value).unwrap();
        let old = list(json!([{"host": "*.zendesk.com", "methods": ["GET", "POST"], "paths": ["/api/**"]}]));
        for narrower in [
            json!([]),
            json!([{"host": "acme.zendesk.com", "methods": ["GET"], "paths": ["/api/v2/*"]}]),
            json!([{"host": "*.zendesk.com", "methods": ["GET"], "paths": ["/api"], "environments": ["test"], "response": "block"}]),
        ] {
            assert!(list(narrower.clone()).is_within(&old), "{narrower}");
        }
        for wider in [
            json!([{"host": "*.zendesk.com"}]),
            json!([{"host": "evil.test", "methods": ["GET"], "paths": ["/api/**"]}]),
            json!([{"host": "*.zendesk.com", "methods": ["GET", "PUT"], "paths": ["/api/**"]}]),
            json!([{"host": "*.zendesk.com", "methods": ["GET"], "paths": ["/**"]}]),
            json!([{"host": "*.zendesk.com", "methods": ["GET"], "paths": ["/api/**"], "places": ["auth", "query:k"]}]),
            json!([{"host": "*.zendesk.com", "methods": ["GET"], "paths": ["/api/**"], "exclusive": false}]),
            json!([{"host": "*.zendesk.com", "methods": ["GET"], "paths": ["/api/**"], "echoes": false}]),
            json!([{"host": "*.zendesk.com", "methods": ["GET"], "paths": ["/api/**"], "port": 8443}]),
        ] {
            assert!(!list(wider.clone()).is_within(&old), "{wider}");
        }
        assert!(!list(json!([{"host": "x.test"}])).is_within(&Destinations::default()));
    }

    /// What is stored reads back as the same policy, with the same canonical bytes.
    #[test]
    fn canonical_bytes_are_stable() {
        let d: Destinations =
            serde_json::from_value(json!([{"host": "API.good.test", "paths": ["/a/*/**"]}])).unwrap();
        let again: Destinations = serde_json::from_slice(&d.canonical_bytes()).unwrap();
        assert_eq!(d, again);
        assert_eq!(d.canonical_bytes(), again.canonical_bytes());
    }
}
