//! Content codings, undone before anything is scanned (attacks D9, D10).
//!
//! We ask for none, but an upstream may answer as it likes. What is delivered is always what was decoded here: a
//! client that read the original bytes could read them in another way. Everything unknown or malformed is refused.
//!
//! The decoder is pulled: [`Decoder::feed`] takes a piece of the body as it came, [`Decoder::pull`] returns decoded
//! pieces of bounded size until it needs more. So a few bytes that unfold into gigabytes cost one piece of memory, and
//! the ratio is checked after each.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::{Buf, Bytes};
use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, header};

use super::zstd::Zstd;

/// The body cannot be decoded. Deliberately says no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad;

/// The most that one step appends.
pub(super) const STEP_BYTES: usize = 16 * 1024;
/// Codings on top of each other.
const LAYERS_MAX: usize = 2;
/// Decoded bytes per received byte.
const RATIO_MAX: u64 = 200;
/// Before the ratio counts: a small, very repetitive answer is ordinary.
const RATIO_FLOOR_BYTES: u64 = 256 * 1024;
/// gzip members that may be tiny; after these, their average is checked. Each costs a fresh decoder.
const SMALL_MEMBERS_MAX: u64 = 64;
const MEMBER_BYTES_MIN: u64 = 64;

enum Codec {
    Gzip(Gzip),
    Deflate(Deflate),
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
}

impl Codec {
    fn parse(token: &[u8]) -> Result<Option<Self>, Bad> {
        let is = |name: &str| token.eq_ignore_ascii_case(name.as_bytes());
        if is("identity") {
            Ok(None)
        } else if is("gzip") || is("x-gzip") {
            Ok(Some(Self::Gzip(Gzip::default())))
        } else if is("deflate") {
            Ok(Some(Self::Deflate(Deflate::Unknown(None))))
        } else if is("br") {
            Ok(Some(Self::Brotli(Box::new(Brotli::new()))))
        } else if is("zstd") {
            Ok(Some(Self::Zstd(Box::new(Zstd::new()))))
        } else {
            Err(Bad)
        }
    }

    /// Decodes on: returns how much of the input was taken and appends at most [`STEP_BYTES`] (and what the vector's
    /// capacity had to spare) to `out`. Takes all of the input if it appends nothing.
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Bad> {
        match self {
            Self::Gzip(codec) => codec.step(input, out),
            Self::Deflate(codec) => codec.step(input, out),
            Self::Brotli(codec) => codec.step(input, out),
            Self::Zstd(codec) => codec.step(input, out),
        }
    }

    fn is_at_end(&self) -> bool {
        match self {
            Self::Gzip(codec) => codec.current.is_none() && codec.members > 0,
            Self::Deflate(codec) => matches!(codec, Deflate::Ended),
            Self::Brotli(codec) => codec.is_ended,
            Self::Zstd(codec) => codec.is_at_end(),
        }
    }
}

/// Undoes the codings of one body.
pub(super) struct Decoder {
    /// The outermost first: the one that was applied last.
    layers: Vec<Codec>,
    /// Received and not yet taken.
    wire: Bytes,
    /// Between two layers, from `middle_at` on.
    middle: Vec<u8>,
    middle_at: usize,
    /// What [`Self::pull`] returned last.
    out: Vec<u8>,
    passed: Bytes,
    received: u64,
    produced: [u64; LAYERS_MAX],
}

impl Decoder {
    /// For the codings that a response names.
    pub(super) fn new(headers: &HeaderMap) -> Result<Self, Bad> {
        let mut layers = Vec::new();
        for value in headers.get_all(header::CONTENT_ENCODING) {
            for token in value.as_bytes().split(|b| *b == b',') {
                let token = token.trim_ascii();
                // An empty element of a list means nothing (RFC 9110, 5.6.1).
                if token.is_empty() {
                    continue;
                }
                if let Some(codec) = Codec::parse(token)? {
                    layers.push(codec);
                }
                if layers.len() > LAYERS_MAX {
                    return Err(Bad);
                }
            }
        }
        layers.reverse();
        Ok(Self {
            layers,
            wire: Bytes::new(),
            middle: Vec::new(),
            middle_at: 0,
            out: Vec::new(),
            passed: Bytes::new(),
            received: 0,
            produced: [0; LAYERS_MAX],
        })
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether bytes come out as they go in.
    pub(super) fn is_identity(&self) -> bool {
        self.layers.is_empty()
    }

    /// Counts a piece that went past, because there is nothing to decode.
    pub(super) fn count_passed(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Takes a piece of the body. Only after [`Self::pull`] said that it needs more.
    pub(super) fn feed(&mut self, piece: Bytes) {
        debug_assert!(self.wire.is_empty(), "fed before the last piece was used up");
        self.received += piece.len() as u64;
        self.wire = piece;
    }

    /// The next decoded piece; `None` when more has to be fed.
    pub(super) fn pull(&mut self) -> Result<Option<&[u8]>, Bad> {
        match self.layers.as_mut_slice() {
            [] => {
                self.passed = std::mem::take(&mut self.wire);
                return Ok((!self.passed.is_empty()).then_some(&*self.passed));
            }
            [only] => {
                self.out.clear();
                while self.out.is_empty() {
                    let taken = only.step(&self.wire, &mut self.out)?;
                    self.wire.advance(taken);
                    if taken == 0 && self.out.is_empty() {
                        return Ok(None);
                    }
                }
                count(&mut self.produced[0], self.out.len(), self.received)?;
            }
            [outer, inner, ..] => {
                self.out.clear();
                while self.out.is_empty() {
                    let taken = inner.step(&self.middle[self.middle_at..], &mut self.out)?;
                    self.middle_at += taken;
                    if taken > 0 || !self.out.is_empty() {
                        continue;
                    }
                    self.middle.clear();
                    self.middle_at = 0;
                    let taken = outer.step(&self.wire, &mut self.middle)?;
                    self.wire.advance(taken);
                    count(&mut self.produced[0], self.middle.len(), self.received)?;
                    if taken == 0 && self.middle.is_empty() {
                        return Ok(None);
                    }
                }
                count(&mut self.produced[1], self.out.len(), self.received)?;
            }
        }
        Ok(Some(&self.out))
    }

    /// Checks that the body ended where its codings do. A body without a single byte is whole in any coding: that is
    /// how `HEAD`, 204 and 304 look.
    pub(super) fn finish(self) -> Result<(), Bad> {
        let is_whole = self.received == 0
            || (self.wire.is_empty()
                && self.middle_at == self.middle.len()
                && self.layers.iter().all(Codec::is_at_end));
        if is_whole { Ok(()) } else { Err(Bad) }
    }
}

/// Counts what a layer produced, against what came in from outside.
fn count(produced: &mut u64, bytes: usize, received: u64) -> Result<(), Bad> {
    *produced += bytes as u64;
    let limit = RATIO_FLOOR_BYTES.saturating_add(received.saturating_mul(RATIO_MAX));
    if *produced > limit { Err(Bad) } else { Ok(()) }
}

/// One deflate stream's step. The flag says whether it ended.
fn inflate(stream: &mut Decompress, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), Bad> {
    out.reserve(STEP_BYTES);
    let before = stream.total_in();
    let status = stream.decompress_vec(input, out, FlushDecompress::None).map_err(|_| Bad)?;
    Ok(((stream.total_in() - before) as usize, matches!(status, Status::StreamEnd)))
}

/// gzip: members after each other, each with a checksum that is verified.
#[derive(Default)]
struct Gzip {
    current: Option<Decompress>,
    members: u64,
    taken: u64,
}

impl Gzip {
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Bad> {
        let mut taken = 0;
        // A member may end without having produced anything; then the next one follows in the same step.
        loop {
            let start = out.len();
            if self.current.is_none() {
                if taken == input.len() {
                    return Ok(taken);
                }
                self.members += 1;
                let is_small = self.taken / MEMBER_BYTES_MIN < self.members;
                if self.members > SMALL_MEMBERS_MAX && is_small {
                    return Err(Bad);
                }
            }
            let stream = self.current.get_or_insert_with(|| Decompress::new_gzip(15));
            let (used, is_ended) = inflate(stream, &input[taken..], out)?;
            taken += used;
            self.taken += used as u64;
            if is_ended {
                self.current = None;
            }
            if out.len() > start || !is_ended {
                return Ok(taken);
            }
        }
    }
}

/// `deflate` means zlib, but some servers send the bare stream. The first two bytes tell them apart.
enum Deflate {
    Unknown(Option<u8>),
    Running(Decompress),
    Ended,
}

impl Deflate {
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Bad> {
        match self {
            Self::Ended if input.is_empty() => Ok(0),
            // Bytes after the end are for another reader than this one.
            Self::Ended => Err(Bad),
            Self::Unknown(None) => {
                let [first, ..] = *input else { return Ok(0) };
                *self = Self::Unknown(Some(first));
                Ok(1)
            }
            Self::Unknown(Some(first)) => {
                let [second, ..] = *input else { return Ok(0) };
                let first = *first;
                let is_zlib = first & 0xF == 8
                    && first >> 4 <= 7
                    && u16::from_be_bytes([first, second]).is_multiple_of(31);
                let mut stream = Decompress::new(is_zlib);
                let (used, is_ended) = inflate(&mut stream, &[first], out)?;
                if used != 1 || is_ended {
                    return Err(Bad);
                }
                *self = Self::Running(stream);
                self.step(input, out)
            }
            Self::Running(stream) => {
                let (used, is_ended) = inflate(stream, input, out)?;
                if is_ended {
                    *self = Self::Ended;
                }
                Ok(used)
            }
        }
    }
}

/// Brotli with the ordinary window of at most 16 MiB; the "large window" extension may ask for a gigabyte.
struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    is_ended: bool,
}

impl Brotli {
    fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self { state: BrotliState::new_strict(alloc(), alloc(), alloc()), is_ended: false }
    }

    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Bad> {
        if self.is_ended {
            return if input.is_empty() { Ok(0) } else { Err(Bad) };
        }
        let start = out.len();
        out.resize(start + STEP_BYTES, 0);
        let (mut input_left, mut input_at) = (input.len(), 0);
        let (mut space_left, mut space_at, mut total) = (STEP_BYTES, 0, 0);
        let result = BrotliDecompressStream(
            &mut input_left,
            &mut input_at,
            input,
            &mut space_left,
            &mut space_at,
            &mut out[start..],
            &mut total,
            &mut self.state,
        );
        out.truncate(start + space_at);
        match result {
            BrotliResult::ResultFailure => Err(Bad),
            BrotliResult::ResultSuccess => {
                self.is_ended = true;
                Ok(input_at)
            }
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok(input_at),
        }
    }
}

#[cfg(test)]
mod tests;
