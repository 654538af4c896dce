//! Which headers pass, in both directions.

use http::{
    HeaderMap, HeaderName,
    header::{self, HeaderValue},
};
use tacit_redact::{FINDING_BYTES_MIN, Findings, ScanSet, Scrubber, scrub_text};

use super::{error::WireError, link::HEAD_BYTES_MAX};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What may come back, in number.
const HEADERS_MAX: usize = 100;

/// Meaningful for one connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: &[&str] =
    &["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Not sent. Framing, host and coding are generated; the rest re-routes, changes the method, asks for an encoding that
/// hides a value, or switches the protocol.
const DROPPED_OUTBOUND: &[&str] = &[
    "accept-charset",
    "accept-encoding",
    "alt-used",
    "content-length",
    "early-data",
    "expect",
    "forwarded",
    "grpc-accept-encoding",
    "host",
    "http2-settings",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// Not delivered. They frame or digest a body that is decoded and scrubbed, set state in a client, or make it send
/// something to a place of the upstream's choice.
const DROPPED_INBOUND: &[&str] = &[
    "alt-svc",
    "authentication-info",
    "content-digest",
    "content-encoding",
    "content-length",
    "content-md5",
    "digest",
    "nel",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "repr-digest",
    "set-cookie",
    "set-cookie2",
    "sourcemap",
    "x-sourcemap",
];

/// The names that `Connection` headers name.
pub(super) fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}

/// Whether a request header stays here.
pub(super) fn is_dropped_outbound(name: &HeaderName, allow_range: bool) -> bool {
    let text = name.as_str();
    let is_range = *name == header::RANGE || *name == header::IF_RANGE;
    HOP_BY_HOP.contains(&text)
        || DROPPED_OUTBOUND.contains(&text)
        || text.starts_with("proxy-")
        || text.starts_with("x-forwarded-")
        || text.starts_with("sec-websocket-")
        || (is_range && !allow_range)
}

fn is_dropped_inbound(name: &HeaderName) -> bool {
    let text = name.as_str();
    HOP_BY_HOP.contains(&text) || DROPPED_INBOUND.contains(&text) || text.starts_with("proxy-")
}

/// Checks a response's head as a whole.
///
/// hyper takes `Transfer-Encoding: gzip, chunked` and leaves the gzip in the body, and takes a length beside chunks:
/// both are ways to have a body read differently here and there.
pub(super) fn check_head(headers: &HeaderMap) -> Result<(), WireError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > HEADERS_MAX || bytes > HEAD_BYTES_MAX {
        return Err(WireError::UpstreamFailed);
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    let is_chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if !is_chunked || codings.next().is_some() || headers.contains_key(header::CONTENT_LENGTH) {
        return Err(WireError::UpstreamFailed);
    }
    Ok(())
}

/// What the content is, without parameters, in lower case.
fn essence(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(content_type.split(';').next()?.trim().to_ascii_lowercase())
}

/// Whether a body is one of server-sent events.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    essence(headers).is_some_and(|essence| essence == "text/event-stream")
}

/// Whether a body is one of gRPC's messages.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    essence(headers)
        .is_some_and(|essence| essence == "application/grpc" || essence.starts_with("application/grpc+"))
}

/// The trailers to deliver, which are gRPC's outcome and nothing else.
pub(super) fn deliverable_trailers(
    trailers: &HeaderMap,
    scan: &ScanSet,
    findings: &mut Findings,
) -> Option<HeaderMap> {
    let mut delivered = HeaderMap::new();
    // One of seventeen codes. A longer number could be anything.
    let is_number =
        |value: &&HeaderValue| value.len() <= 3 && value.as_bytes().iter().all(u8::is_ascii_digit);
    if let Some(status) = trailers.get(GRPC_STATUS).filter(is_number) {
        delivered.insert(GRPC_STATUS, status.clone());
    }
    if let Some(message) = trailers.get(GRPC_MESSAGE)
        && let Ok(message) = HeaderValue::from_str(&scrubbed_value(message, scan, findings))
    {
        delivered.insert(GRPC_MESSAGE, message);
    }
    (!delivered.is_empty()).then_some(delivered)
}

/// The headers to deliver: fresh, filtered, scrubbed. What was found is added to `findings`.
pub(super) fn deliverable(
    headers: &HeaderMap,
    scan: &ScanSet,
    findings: &mut Findings,
) -> Vec<(String, String)> {
    let named = named_by_connection(headers);
    let mut delivered = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        if is_dropped_inbound(name) || named.contains(name) {
            continue;
        }
        if may_hold_a_value(name.as_str().as_bytes(), scan) {
            // A name cannot be shown in part: the header goes.
            let (_, found) = scrub_text(scan, name.as_str());
            let is_clean = found.total() == 0;
            findings.merge(found);
            if !is_clean {
                continue;
            }
        }
        delivered.push((name.as_str().to_owned(), scrubbed_value(value, scan, findings)));
    }
    delivered
}

/// A value as text. Bytes that are not UTF-8 are replaced only after the scrubber saw them: the other way round would
/// break up a value that it could have recognised.
fn scrubbed_value(value: &HeaderValue, scan: &ScanSet, findings: &mut Findings) -> String {
    let bytes = value.as_bytes();
    if !may_hold_a_value(bytes, scan) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut scrubbed = Vec::with_capacity(bytes.len());
    let mut scrubber = Scrubber::new(scan);
    scrubber.push(bytes, &mut scrubbed);
    findings.merge(scrubber.finish(&mut scrubbed));
    String::from_utf8_lossy(&scrubbed).into_owned()
}

/// Most headers are too short for anything to be found in them.
fn may_hold_a_value(text: &[u8], scan: &ScanSet) -> bool {
    text.len() >= FINDING_BYTES_MIN && !scan.is_empty()
}
