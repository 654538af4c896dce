//! The request that leaves: built anew from what the caller may decide.
//!
//! Host, framing and `Accept-Encoding` are generated, everything hop-by-hop or able to re-route a request is dropped.
//! A header that carries a secret (marked sensitive) is either sent or the whole request is refused: a request that
//! silently lost its credential is one that the upstream answers differently.

use std::fmt;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{self, Entry},
    uri::Scheme,
};
use tacit_model::{Target, target::is_sendable_method};

use super::{
    body::{OutboundBody, Outgoing, Upload},
    error::{RequestFault, WireError},
    headers,
    link::Protocol,
};

/// One header of the caller's.
const FIELD_BYTES_MAX: usize = 8 * 1024;
/// All headers of the caller's: far below what makes an upstream answer with an error page that quotes them.
const FIELDS_BYTES_MAX: usize = 16 * 1024;
/// One header that carries a secret; those do not count for the sum.
const SENSITIVE_BYTES_MAX: usize = 64 * 1024;
/// Headers in all.
const FIELDS_MAX: usize = 100;
/// Path and query.
const PATH_BYTES_MAX: usize = 64 * 1024;

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("tacit/", env!("CARGO_PKG_VERSION")));

/// What to send.
pub struct OutboundRequest {
    /// Any method but `TRACE` and `CONNECT`.
    pub method: Method,
    /// In origin form, beginning with `/`, percent-encoded. May hold a value in its query, so it is never printed.
    pub path_and_query: String,
    /// Headers without those that the wire generates. Values that hold a secret must be marked
    /// [`set_sensitive`](HeaderValue::set_sensitive).
    pub headers: HeaderMap,
    /// Whole or streamed. What frames it is generated.
    pub body: OutboundBody,
    /// Whether `Range` and `If-Range` are sent. Off by default, because a value can be read out of a response in
    /// pieces that are too short to be recognised (attack C15).
    pub allow_range: bool,
}

impl OutboundRequest {
    /// A request without headers and body.
    pub fn new(method: Method, path_and_query: impl Into<String>) -> Self {
        Self {
            method,
            path_and_query: path_and_query.into(),
            headers: HeaderMap::new(),
            body: OutboundBody::default(),
            allow_range: false,
        }
    }

    /// The same once more, if sending it twice is like sending it once (RFC 9110, 9.2.2) and there is a second one: of a
    /// streamed body there is not.
    pub(super) fn again(&self) -> Option<Self> {
        if !self.method.is_idempotent() {
            return None;
        }
        Some(Self {
            method: self.method.clone(),
            path_and_query: self.path_and_query.clone(),
            headers: self.headers.clone(),
            body: self.body.again()?,
            allow_range: self.allow_range,
        })
    }

    /// Whether it asks for a part of something.
    pub(super) fn asks_for_range(&self) -> bool {
        self.allow_range && self.headers.contains_key(header::RANGE)
    }

    /// The request as hyper writes it, and the other end of a body that is streamed.
    pub(super) fn build(
        self,
        target: &Target,
        protocol: Protocol,
    ) -> Result<(Request<Outgoing>, Option<Upload>), WireError> {
        if !is_sendable_method(self.method.as_str()) {
            return Err(refused(RequestFault::Method));
        }
        let uri = origin_form(&self.path_and_query)?;
        let mut headers = outbound_headers(self.headers, self.allow_range)?;
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Entry::Vacant(entry) = headers.entry(header::USER_AGENT) {
            entry.insert(USER_AGENT);
        }
        // hyper frames a body of known length itself, but says nothing of an empty one.
        let expects_body = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        if self.body.length() == Some(0) && expects_body {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let (uri, version) = match protocol {
            Protocol::Http1 => {
                let host = HeaderValue::from_str(&target.authority());
                headers.insert(header::HOST, host.map_err(|_| refused(RequestFault::Path))?);
                if self.body.length().is_none() {
                    // For methods that seldom have a body hyper would leave it out.
                    headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                }
                (uri, Version::HTTP_11)
            }
            Protocol::Http2 => {
                if headers::is_grpc(&headers) {
                    // gRPC servers take its absence for a proxy that loses trailers.
                    headers.insert(header::TE, HeaderValue::from_static("trailers"));
                }
                (absolute_form(target, uri)?, Version::HTTP_2)
            }
        };
        let (body, upload) = self.body.outgoing();
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        Ok((request, upload))
    }
}

/// Method and sizes. Path and headers may hold values.
impl fmt::Debug for OutboundRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundRequest")
            .field("method", &self.method)
            .field("headers", &self.headers.len())
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

fn refused(fault: RequestFault) -> WireError {
    WireError::RequestRefused(fault)
}

/// Checks what `http::Uri` would quietly cut off or let through (`#`, `*`, an authority).
fn origin_form(path_and_query: &str) -> Result<Uri, WireError> {
    let is_plain = path_and_query.starts_with('/')
        && !path_and_query.starts_with("//")
        && path_and_query.len() <= PATH_BYTES_MAX
        && path_and_query.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\');
    if !is_plain {
        return Err(refused(RequestFault::Path));
    }
    // The error would repeat nothing, but it is not looked at either.
    path_and_query.parse().map_err(|_| refused(RequestFault::Path))
}

/// For HTTP/2, where `:authority` stands for `Host`.
fn absolute_form(target: &Target, path: Uri) -> Result<Uri, WireError> {
    let mut parts = path.into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = Some(target.authority().parse().map_err(|_| refused(RequestFault::Path))?);
    Uri::from_parts(parts).map_err(|_| refused(RequestFault::Path))
}

/// The caller's headers without those that are generated, dropped or named by `Connection`.
fn outbound_headers(from: HeaderMap, allow_range: bool) -> Result<HeaderMap, WireError> {
    let named = headers::named_by_connection(&from);
    let mut kept = HeaderMap::with_capacity(from.len() + 4);
    let mut bytes = 0;
    let mut last: Option<HeaderName> = None;
    for (name, value) in from {
        // Repeated headers come without their name.
        let Some(name) = name.or_else(|| last.clone()) else { continue };
        last = Some(name.clone());
        let is_named = named.contains(&name);
        if is_named && is_protected(&name, &value) {
            return Err(refused(RequestFault::ProtectedHeader));
        }
        if is_named || headers::is_dropped_outbound(&name, allow_range) {
            if value.is_sensitive() {
                return Err(refused(RequestFault::ProtectedHeader));
            }
            continue;
        }
        let length = name.as_str().len() + value.len();
        if value.is_sensitive() {
            if length > SENSITIVE_BYTES_MAX {
                return Err(refused(RequestFault::HeadersTooLarge));
            }
        } else {
            bytes += length;
            if length > FIELD_BYTES_MAX || bytes > FIELDS_BYTES_MAX {
                return Err(refused(RequestFault::HeadersTooLarge));
            }
        }
        if kept.len() == FIELDS_MAX {
            return Err(refused(RequestFault::HeadersTooLarge));
        }
        kept.append(name, value);
    }
    Ok(kept)
}

/// Headers that nobody may have removed on the way by naming them in `Connection` (attack F3).
fn is_protected(name: &HeaderName, value: &HeaderValue) -> bool {
    value.is_sensitive()
        || [header::AUTHORIZATION, header::COOKIE, header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE]
            .contains(name)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn build(request: OutboundRequest) -> Result<Request<Outgoing>, WireError> {
        let (target, _) = Target::parse_url("https://good.test:8443/").unwrap();
        request.build(&target, Protocol::Http1).map(|(request, _)| request)
    }

    fn with(headers: &[(&'static str, &'static str)]) -> OutboundRequest {
        let mut request = OutboundRequest::new(Method::GET, "/x?y=1");
        for (name, value) in headers {
            request.headers.append(*name, HeaderValue::from_static(value));
        }
        request
    }

    #[test]
    fn a3_host_and_framing_are_generated() {
        let request = with(&[
            ("host", "evil.test"),
            ("content-length", "7"),
            ("transfer-encoding", "chunked"),
            ("accept-encoding", "gzip"),
        ]);
        let built = build(request).unwrap();
        let headers = built.headers();
        assert_eq!(headers.get_all("host").iter().collect::<Vec<_>>(), ["good.test:8443"]);
        assert_eq!(headers["accept-encoding"], "identity");
        assert_eq!(headers.get("content-length"), None);
        assert_eq!(headers.get("transfer-encoding"), None);
        assert_eq!(built.uri().to_string(), "/x?y=1");
    }

    #[test]
    fn b17_headers_that_reroute_are_dropped() {
        let dropped = [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-original-url",
            "x-rewrite-url",
            "x-http-method-override",
            "x-method-override",
            "x-http-method",
            "proxy-authorization",
            "proxy-foo",
            "accept-charset",
            "te",
            "trailer",
            "upgrade",
            "keep-alive",
            "alt-used",
            "range",
            "if-range",
            "expect",
            "sec-websocket-extensions",
            "http2-settings",
            "early-data",
        ];
        for name in dropped {
            let built = build(with(&[(name, "x"), ("x-kept", "1")])).unwrap();
            assert_eq!(built.headers().get(name), None, "{name}");
            assert_eq!(built.headers()["x-kept"], "1");
        }
    }

    #[test]
    fn c15_a_range_is_sent_only_where_allowed() {
        let mut request = with(&[("range", "bytes=0-14")]);
        assert!(!request.asks_for_range());
        request.allow_range = true;
        assert!(request.asks_for_range());
        assert_eq!(build(request).unwrap().headers()["range"], "bytes=0-14");
    }

    #[test]
    fn f3_connection_cannot_take_a_credential_away() {
        for protected in ["authorization", "cookie", "content-type"] {
            let mut request = with(&[("connection", "close, X-Hop")]);
            request.headers.append(HeaderName::from_static(protected), HeaderValue::from_static("x"));
            assert!(build(request.again().unwrap()).is_ok());
            request.headers.append("connection", HeaderValue::from_static(protected));
            assert_eq!(build(request).unwrap_err(), refused(RequestFault::ProtectedHeader), "{protected}");
        }
        let built = build(with(&[("connection", "x-hop"), ("x-hop", "1")])).unwrap();
        assert_eq!(built.headers().get("x-hop"), None);
        assert_eq!(built.headers().get("connection"), None);
    }

    /// A secret that was to travel in a header that the wire drops: refused, not sent without.
    #[test]
    fn a_secret_is_never_dropped_silently() {
        for name in ["x-forwarded-auth", "proxy-authorization", "x-custom"] {
            let mut request = OutboundRequest::new(Method::GET, "/");
            let mut value = HeaderValue::from_static("S");
            value.set_sensitive(true);
            request.headers.insert(HeaderName::from_static(name), value);
            let built = build(request);
            assert_eq!(built.is_ok(), name == "x-custom", "{name}");
        }
    }

    #[test]
    fn b19_header_sizes() {
        let mut request = OutboundRequest::new(Method::GET, "/");
        request.headers.insert("x-a", HeaderValue::from_str(&"a".repeat(8 * 1024)).unwrap());
        assert_eq!(build(request).unwrap_err(), refused(RequestFault::HeadersTooLarge));
        let mut request = OutboundRequest::new(Method::GET, "/");
        for _ in 0..101 {
            request.headers.append("x-a", HeaderValue::from_static("a"));
        }
        assert_eq!(build(request).unwrap_err(), refused(RequestFault::HeadersTooLarge));
    }

    #[test]
    fn a6_paths_that_are_not_origin_form() {
        for path in [
            "",
            "*",
            "x",
            "//evil.test/",
            "http://evil.test/",
            "/a#b",
            "/a b",
            "/a\r\nX: y",
            "/ä",
            "/a\\b",
            "/\0",
        ] {
            let request = OutboundRequest::new(Method::GET, path);
            assert_eq!(build(request).unwrap_err(), refused(RequestFault::Path), "{path:?}");
        }
    }

    #[test]
    fn c10_trace_and_connect() {
        for method in [Method::TRACE, Method::CONNECT] {
            assert_eq!(build(OutboundRequest::new(method, "/")).unwrap_err(), refused(RequestFault::Method));
        }
    }

    #[test]
    fn k1_nothing_of_a_request_is_printed() {
        let mut request = with(&[("authorization", "Bearer hunter2")]);
        request.path_and_query = "/?api_key=hunter2".into();
        request.body = Bytes::from_static(b"hunter2").into();
        assert!(!format!("{request:?}").contains("hunter2"));
    }
}
