//! A response on its way: decoded and scrubbed as it comes.
//!
//! Memory is constant, or that of one event where a body consists of events. When the upstream fails in the middle, what
//! the scrubber holds back is dropped with everything else (attack E7): half of a value must not come out because the
//! other half never came in.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use tacit_redact::{Findings, ScanSet};

use super::{
    decode::Decoder,
    error::WireError,
    headers,
    sieve::Sieve,
    tail::{Patience, Piece, Tail},
};

/// How long a stream is waited for.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// Between two pieces of the body. A stream as a whole may take as long as it likes.
    pub idle: Duration,
}

/// A response whose body is scrubbed as it comes, or was read already because its rule asks for that.
///
/// As an [`http_body::Body`] it has data, and after them the outcome of a gRPC call as trailers. Whoever does not poll it
/// slows the upstream down.
///
/// Between two pieces the scrubber holds back a constant number of bytes; no timer and no content makes it let go of
/// them early (attacks E3, E4). Events and messages are held back until they are complete, and then released whole. After
/// an error nothing more comes. Dropping it gives up the connection or, over HTTP/2, resets the stream.
pub struct ScrubbedStream {
    status: u16,
    headers: Vec<(String, String)>,
    content_length: Option<u64>,
    findings: Findings,
    is_withheld: bool,
    is_opaque: bool,
    received: u64,
    body: State,
    trailers: Option<HeaderMap>,
}

enum State {
    /// Comes now.
    Live(Box<Live>),
    /// Read already.
    Whole(Bytes),
    Ended,
}

struct Live {
    tail: Tail,
    decoder: Decoder,
    sieve: Sieve,
    scan: ScanSet,
    patience: Patience,
    body_bytes_max: u64,
    decoded: u64,
    start: Start,
    is_grpc: bool,
    /// As they came.
    trailers: Option<HeaderMap>,
}

impl ScrubbedStream {
    /// One that is read as it comes.
    pub(super) fn live(
        status: u16,
        headers: &HeaderMap,
        tail: Tail,
        is_bodiless: bool,
        scan: &ScanSet,
        (body_bytes_max, patience): (u64, Patience),
    ) -> Result<Self, WireError> {
        let decoder = Decoder::new(headers).map_err(|_| WireError::Unscannable)?;
        let sieve = Sieve::new(headers, scan);
        let is_unchanged = decoder.is_identity() && sieve.is_open() && !matches!(status, 204 | 304);
        let content_length = match is_unchanged {
            false => None,
            true if is_bodiless => {
                headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok())
            }
            true => tail.bytes_left(),
        };
        let mut findings = Findings::default();
        let live = Live {
            tail,
            decoder,
            sieve,
            scan: scan.clone(),
            patience,
            body_bytes_max,
            decoded: 0,
            start: Start::default(),
            is_grpc: headers::is_grpc(headers),
            trailers: None,
        };
        Ok(Self {
            status,
            headers: headers::deliverable(headers, scan, &mut findings),
            content_length,
            findings,
            is_withheld: false,
            is_opaque: false,
            received: 0,
            body: State::Live(Box::new(live)),
            trailers: None,
        })
    }

    /// One of which only the status is shown.
    pub(super) fn status_only(status: u16, received: u64) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content_length: None,
            findings: Findings::default(),
            is_withheld: false,
            is_opaque: false,
            received,
            body: State::Ended,
            trailers: None,
        }
    }

    /// Reads the body to its end; nothing of a response with a finding is left then. How a stream is blocked.
    pub(super) async fn read_and_block(mut self) -> Result<Self, WireError> {
        let body = self.read_whole().await?;
        if self.findings.total() > 0 {
            let (findings, received) = (self.findings, self.received);
            return Ok(Self { findings, is_withheld: true, ..Self::status_only(self.status, received) });
        }
        if self.content_length.is_none() && !matches!(self.status, 204 | 304) && !body.is_empty() {
            self.content_length = Some(body.len() as u64);
        }
        self.body = if body.is_empty() { State::Ended } else { State::Whole(body.into()) };
        Ok(self)
    }

    /// The rest of the body in one piece.
    pub(super) async fn read_whole(&mut self) -> Result<Vec<u8>, WireError> {
        let mut body = Vec::with_capacity(self.expected_bytes());
        while poll_fn(|cx| self.poll_fill(cx, &mut body)).await? {}
        Ok(body)
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Filtered and scrubbed, with lower-case names.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The headers, to keep.
    pub(super) fn into_headers(self) -> Vec<(String, String)> {
        self.headers
    }

    /// The length to announce; `None` where decoding or scrubbing may change it. Answers to `HEAD` have one too.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The next piece of the body; `None` after its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, WireError> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// What was found so far. Values that are still held back are not among it.
    pub fn findings(&self) -> Findings {
        let mut findings = self.findings.clone();
        if let State::Live(live) = &self.body {
            findings.merge(live.sieve.findings());
        }
        findings
    }

    /// Whether something was found and [`ResponseRule::Block`](super::ResponseRule::Block) therefore keeps everything back.
    pub fn is_withheld(&self) -> bool {
        self.is_withheld
    }

    /// Whether the body looks like something that the scrubber cannot look into. Known after its first bytes.
    pub fn is_opaque(&self) -> bool {
        self.is_opaque
    }

    /// Body bytes as they came over the wire so far.
    pub fn body_bytes_received(&self) -> u64 {
        match &self.body {
            State::Live(live) => live.decoder.received(),
            _ => self.received,
        }
    }

    /// The same for whoever has no task to wait in.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, WireError>> {
        if let State::Whole(bytes) = &mut self.body {
            let bytes = std::mem::take(bytes);
            self.body = State::Ended;
            return Poll::Ready(Ok(Some(bytes)));
        }
        if let State::Live(live) = &mut self.body
            && live.sieve.is_open()
            && live.decoder.is_identity()
        {
            return self.poll_untouched(cx);
        }
        let mut out = Vec::new();
        loop {
            let is_more = ready!(self.poll_fill(cx, &mut out))?;
            if !out.is_empty() {
                return Poll::Ready(Ok(Some(out.into())));
            }
            if !is_more {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// A piece as it came, where nothing is decoded and nothing is looked for.
    fn poll_untouched(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, WireError>> {
        let State::Live(live) = &mut self.body else { return Poll::Ready(Ok(None)) };
        let piece = ready!(live.poll_received(cx)).and_then(|piece| {
            if let Some(piece) = &piece {
                self.is_opaque |= live.judge(piece)?;
            }
            Ok(piece)
        });
        if !matches!(piece, Ok(Some(_))) {
            let ended = self.end(cx, piece.is_ok(), &mut Vec::new());
            return Poll::Ready(piece.and_then(|_| ended.map(|()| None)));
        }
        Poll::Ready(piece)
    }

    /// Appends the next scrubbed bytes to `out`, if there are some yet. `false` after the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<bool, WireError>> {
        let State::Live(live) = &mut self.body else { return Poll::Ready(Ok(false)) };
        let filled = ready!(live.poll_fill(cx, &mut self.is_opaque, out));
        if filled == Ok(true) {
            return Poll::Ready(filled);
        }
        let ended = self.end(cx, filled.is_ok(), out);
        Poll::Ready(filled.and_then(|_| ended.map(|()| false)))
    }

    /// Ends the stream. After a proper end what was held back is released, and the connection is given back; after a
    /// failure both are dropped.
    fn end(&mut self, cx: &mut Context<'_>, is_proper: bool, out: &mut Vec<u8>) -> Result<(), WireError> {
        let State::Live(live) = std::mem::replace(&mut self.body, State::Ended) else { return Ok(()) };
        let Live { tail, decoder, sieve, scan, is_grpc, trailers, .. } = *live;
        self.received = decoder.received();
        if !is_proper {
            self.findings.merge(sieve.findings());
            return Ok(());
        }
        decoder.finish().map_err(|_| WireError::Unscannable)?;
        self.findings.merge(sieve.finish(out)?);
        if self.findings.is_late() {
            return Err(WireError::Unscannable);
        }
        if let Some(trailers) = trailers.filter(|_| is_grpc) {
            self.trailers = headers::deliverable_trailers(&trailers, &scan, &mut self.findings);
        }
        tail.park(cx);
        Ok(())
    }

    /// A good size for the buffer of a body that is read whole.
    fn expected_bytes(&self) -> usize {
        let State::Live(live) = &self.body else { return 0 };
        live.tail.bytes_left().unwrap_or(0).min(PREALLOCATED_BYTES_MAX).min(live.body_bytes_max) as usize
    }
}

/// A body of a known length below this is given a buffer of that length.
const PREALLOCATED_BYTES_MAX: u64 = 64 * 1024;

impl Live {
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        is_opaque: &mut bool,
        out: &mut Vec<u8>,
    ) -> Poll<Result<bool, WireError>> {
        // A small body may unfold into much work without ever waiting for the network.
        ready!(pin!(tokio::task::consume_budget()).poll(cx));
        loop {
            if let Some(piece) = self.decoder.pull().map_err(|_| WireError::Unscannable)? {
                self.decoded += piece.len() as u64;
                if self.decoded > self.body_bytes_max {
                    return Poll::Ready(Err(WireError::TooLarge));
                }
                *is_opaque |= self.start.is_opaque_after(piece);
                self.sieve.push(piece, out)?;
                return Poll::Ready(Ok(true));
            }
            match ready!(self.poll_received(cx))? {
                Some(data) => self.decoder.feed(data),
                None => return Poll::Ready(Ok(false)),
            }
        }
    }

    /// The next bytes as they came; trailers are put aside.
    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, WireError>> {
        loop {
            match ready!(self.tail.poll_piece(&mut self.patience, cx))? {
                Some(Piece::Data(data)) if data.is_empty() => {}
                Some(Piece::Data(data)) => return Poll::Ready(Ok(Some(data))),
                Some(Piece::Trailers(trailers)) => self.trailers = Some(trailers),
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Counts a piece that is passed on as it is, and looks whether it begins a container.
    fn judge(&mut self, piece: &[u8]) -> Result<bool, WireError> {
        self.decoder.count_passed(piece.len());
        self.decoded += piece.len() as u64;
        if self.decoded > self.body_bytes_max {
            return Err(WireError::TooLarge);
        }
        Ok(self.start.is_opaque_after(piece))
    }
}

impl Body for ScrubbedStream {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        Poll::Ready(match ready!(self.poll_chunk(cx)) {
            Err(error) => Some(Err(error)),
            Ok(Some(data)) => Some(Ok(Frame::data(data))),
            Ok(None) => self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.body, State::Ended) && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            State::Ended => SizeHint::with_exact(0),
            State::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            State::Live(live) if live.sieve.is_open() && live.decoder.is_identity() => {
                live.tail.bytes_left().map(SizeHint::with_exact).unwrap_or_default()
            }
            State::Live(_) => SizeHint::default(),
        }
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

/// Whether something that is there in full is a container.
pub(crate) fn is_container(bytes: &[u8]) -> bool {
    Start::default().is_opaque_after(bytes)
}

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
