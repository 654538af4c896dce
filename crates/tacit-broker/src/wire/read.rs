//! The response: status, filtered headers, and the body through decoder and scrubber.
//!
//! Memory is constant but for the body that [`Received::read`] returns, which has a limit. When the upstream fails in
//! the middle, the tail that the scrubber holds back is dropped with everything else (attack E7): half of a value must
//! not come out because the other half never came in.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body;
use hyper::body::Incoming;
use tacit_model::destination::ResponseRule;
use tacit_redact::{Findings, ScanSet, Scrubber};
use tokio::time::{Instant, timeout_at};

use super::{
    decode::Decoder,
    error::{Phase, WireError},
    headers,
    link::Link,
    pool::{Place, Pool},
};

/// How much of a response is read, and how long.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Decoded bytes, before scrubbing. `u64::MAX` for none, which only makes sense for a stream.
    pub body_bytes_max: u64,
    /// For the whole body.
    pub timeout: Duration,
}

/// A response as it is delivered.
#[derive(Clone, Debug, Default)]
pub struct Scrubbed {
    /// The status code. There is no reason phrase: it is the upstream's text.
    pub status: u16,
    /// Lower-case names, in the upstream's order.
    pub headers: Vec<(String, String)>,
    /// Decoded and scrubbed.
    pub body: Vec<u8>,
    /// What was found, in headers and body.
    pub findings: Findings,
    /// Whether something was found and [`ResponseRule::Block`] therefore keeps everything back.
    pub withheld: bool,
    /// Body bytes as they came over the wire, still encoded.
    pub body_bytes_received: u64,
    /// Whether the body looks like an archive, an image or another container that the scrubber cannot look into.
    pub is_opaque: bool,
}

/// Reads at most this much of a body that nobody wants, so that its connection can be used again.
const DRAIN_BYTES_MAX: u64 = 64 * 1024;
/// And waits at most this long for it.
const DRAIN_TIME_MAX: Duration = Duration::from_millis(250);
/// A body of a known length below this is given a buffer of that length.
const PREALLOCATED_BYTES_MAX: u64 = 64 * 1024;

/// The head of a response, with the body still to come.
pub struct Received {
    status: u16,
    headers: HeaderMap,
    body: Tail,
}

/// The body with the connection that it arrives on.
struct Tail {
    body: Incoming,
    link: Link,
    parking: (Arc<Pool>, Place),
}

impl Received {
    pub(super) fn new(
        status: u16,
        headers: HeaderMap,
        body: Incoming,
        link: Link,
        parking: (Arc<Pool>, Place),
        is_bodiless: bool,
    ) -> Self {
        let mut headers = headers;
        if is_bodiless {
            // The answer to HEAD names the coding of a body that is not there.
            headers.remove(header::CONTENT_ENCODING);
        }
        Self { status, headers, body: Tail { body, link, parking } }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The address that answered. After a second attempt it may differ from the connection's.
    pub fn address(&self) -> SocketAddr {
        self.body.link.address()
    }

    /// The upstream's leaf certificate (DER); `None` for plain http.
    pub fn certificate_der(&self) -> Option<&[u8]> {
        self.body.link.certificate().map(|der| &**der)
    }

    /// Where a redirect points to, as the upstream wrote it: for the caller that judges each hop (attack A2).
    ///
    /// Raw and unscrubbed, so never to be shown. `None` if this is no redirect, or one that can be read in two ways.
    pub fn redirect_location(&self) -> Option<String> {
        if !matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let mut values = self.headers.get_all(header::LOCATION).iter();
        let location = values.next()?.to_str().ok()?.to_owned();
        values.next().is_none().then_some(location)
    }

    /// Reads the whole response under a rule.
    pub async fn read(
        self,
        scan: &ScanSet,
        rule: ResponseRule,
        limits: ReadLimits,
    ) -> Result<Scrubbed, WireError> {
        let status = self.status;
        if rule == ResponseRule::StatusOnly {
            let body_bytes_received = self.body.drain(limits.timeout).await;
            return Ok(Scrubbed { status, body_bytes_received, ..Scrubbed::default() });
        }
        let mut stream = self.stream(scan, limits)?;
        let mut body = Vec::with_capacity(stream.expected_bytes());
        while stream.fill(&mut body).await? {}
        let body_bytes_received = stream.body_bytes_received();
        let ScrubbedStream { headers, findings, is_opaque, .. } = stream;
        if rule == ResponseRule::Block && findings.total() > 0 {
            return Ok(Scrubbed {
                status,
                findings,
                withheld: true,
                body_bytes_received,
                ..Scrubbed::default()
            });
        }
        Ok(Scrubbed { status, headers, body, findings, withheld: false, body_bytes_received, is_opaque })
    }

    /// Reads the response piece by piece, scrubbed like [`ResponseRule::Scrub`].
    pub fn stream(self, scan: &ScanSet, limits: ReadLimits) -> Result<ScrubbedStream, WireError> {
        let Self { status, headers, body } = self;
        let decoder = Decoder::new(&headers).map_err(|_| WireError::Unscannable)?;
        let mut findings = Findings::default();
        let headers = headers::deliverable(&headers, scan, &mut findings);
        Ok(ScrubbedStream {
            status,
            headers,
            findings,
            is_opaque: false,
            tail: Some(body),
            decoder: Some(decoder),
            scrubber: (!scan.is_empty()).then(|| Scrubber::new(scan)),
            end: Instant::now().checked_add(limits.timeout),
            body_bytes_max: limits.body_bytes_max,
            decoded: 0,
            received: 0,
            start: Start::default(),
        })
    }
}

/// The status. Headers are the upstream's text.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Tail {
    async fn next(&mut self, end: Option<Instant>) -> Result<Option<Bytes>, WireError> {
        let next = self.link.next_data(&mut self.body);
        let next = match end {
            None => next.await,
            Some(end) => timeout_at(end, next).await.map_err(|_| WireError::Timeout(Phase::Body))?,
        };
        next.transpose().map_err(|error| {
            tracing::debug!(%error, "upstream failed in the middle of a body");
            WireError::UpstreamFailed
        })
    }

    /// Gives the connection back after the body's proper end.
    async fn park(self) {
        let Self { mut link, parking: (pool, place), body } = self;
        drop(body);
        if link.is_reusable().await {
            pool.park(place, link);
        }
    }

    /// Reads a little of a body that nobody wants. The status is known, so no failure matters any more.
    async fn drain(mut self, limit: Duration) -> u64 {
        let end = Instant::now().checked_add(limit.min(DRAIN_TIME_MAX));
        let mut drained = 0;
        while drained <= DRAIN_BYTES_MAX {
            match self.next(end).await {
                Ok(Some(data)) => drained += data.len() as u64,
                Ok(None) => {
                    self.park().await;
                    break;
                }
                Err(_) => break,
            }
        }
        drained
    }
}

/// A response whose body is scrubbed as it comes.
///
/// Between two pieces the scrubber holds back a constant number of bytes; no timer and no content makes it let go of
/// them early (attacks E3, E4). After an error nothing more comes.
pub struct ScrubbedStream {
    status: u16,
    headers: Vec<(String, String)>,
    findings: Findings,
    is_opaque: bool,
    /// `None` after the end and after an error.
    tail: Option<Tail>,
    decoder: Option<Decoder>,
    /// `None` if there is nothing to look for.
    scrubber: Option<Scrubber>,
    end: Option<Instant>,
    body_bytes_max: u64,
    decoded: u64,
    received: u64,
    start: Start,
}

impl ScrubbedStream {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Filtered and scrubbed, with lower-case names.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The next piece of the body; `None` after its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, WireError> {
        let mut out = Vec::new();
        while out.is_empty() {
            if !self.fill(&mut out).await? && out.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(out.into()))
    }

    /// What was found: in the headers from the start, in the body once its end was read.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Body bytes as they came over the wire so far.
    pub fn body_bytes_received(&self) -> u64 {
        self.decoder.as_ref().map_or(self.received, Decoder::received)
    }

    /// Whether the body looks like something that the scrubber cannot look into. Known after its first bytes.
    pub fn is_opaque(&self) -> bool {
        self.is_opaque
    }

    /// Appends the next scrubbed bytes to `out`, if there are some yet. `false` after the end.
    async fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, WireError> {
        // A small body may unfold into much work without ever waiting for the network.
        tokio::task::consume_budget().await;
        let filled = self.fill_or_fail(out).await;
        if filled.is_err() {
            // Also closes the connection.
            self.tail = None;
            self.scrubber = None;
        }
        filled
    }

    async fn fill_or_fail(&mut self, out: &mut Vec<u8>) -> Result<bool, WireError> {
        let (Some(tail), Some(decoder)) = (&mut self.tail, &mut self.decoder) else { return Ok(false) };
        loop {
            if let Some(piece) = decoder.pull().map_err(|_| WireError::Unscannable)? {
                self.decoded += piece.len() as u64;
                if self.decoded > self.body_bytes_max {
                    return Err(WireError::TooLarge);
                }
                self.is_opaque |= self.start.is_opaque_after(piece);
                match &mut self.scrubber {
                    None => out.extend_from_slice(piece),
                    Some(scrubber) => {
                        scrubber.push(piece, out);
                        // The beginning of a value was passed on before its end was seen: no more of it.
                        if scrubber.findings().is_late() {
                            return Err(WireError::Unscannable);
                        }
                    }
                }
                return Ok(true);
            }
            match tail.next(self.end).await? {
                Some(data) => decoder.feed(data),
                None => break,
            }
        }
        self.received = decoder.received();
        if let Some(decoder) = self.decoder.take() {
            decoder.finish().map_err(|_| WireError::Unscannable)?;
        }
        if let Some(scrubber) = self.scrubber.take() {
            self.findings.merge(scrubber.finish(out));
        }
        if self.findings.is_late() {
            return Err(WireError::Unscannable);
        }
        if let Some(tail) = self.tail.take() {
            tail.park().await;
        }
        Ok(false)
    }

    /// A good size for the buffer of a body that is read whole.
    fn expected_bytes(&self) -> usize {
        let known = self.tail.as_ref().and_then(|tail| tail.body.size_hint().exact()).unwrap_or(0);
        known.min(PREALLOCATED_BYTES_MAX).min(self.body_bytes_max) as usize
    }
}

/// Status and counts.
impl fmt::Debug for ScrubbedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScrubbedStream")
            .field("status", &self.status)
            .field("body_bytes_received", &self.body_bytes_received())
            .finish_non_exhaustive()
    }
}

/// The first bytes of a body, by which containers are recognised (attacks C17, D11).
#[derive(Default)]
struct Start {
    bytes: [u8; 8],
    len: usize,
}

const CONTAINERS: &[&[u8]] = &[
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"%PDF-",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF8",
];

impl Start {
    fn is_opaque_after(&mut self, piece: &[u8]) -> bool {
        if self.len == self.bytes.len() {
            return false;
        }
        let taken = piece.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + taken].copy_from_slice(&piece[..taken]);
        self.len += taken;
        CONTAINERS.iter().any(|magic| self.bytes[..self.len].starts_with(magic))
    }
}
