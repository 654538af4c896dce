//! The stream: what is held back, what is released, and what is put in the place of findings.

use zeroize::Zeroize;

use crate::{
    ScanSet,
    findings::{Findings, Form},
    index::reserve_wiping,
    lanes::{DecodeLane, Identity, SqueezeLane},
    tape::{End, Found, HOLD_BACK, Scan, Source, View},
};

/// How much is read at once: small enough to stay in the cache while every lane passes over it.
const BLOCK_BYTES: usize = 16 * 1024;

/// What stays in the buffer: the hold-back, and a little past for lanes that begin there.
const KEPT_BYTES: usize = HOLD_BACK as usize + 256;

/// Replaces every finding in a stream of bytes by its marker.
///
/// The output is a function of the set and of the whole input; how the input is cut into chunks changes nothing.
/// With a set that is not empty, [`HOLD_BACK_BYTES`](crate::HOLD_BACK_BYTES) bytes are withheld until
/// [`finish`](Self::finish), whatever they are. Dropping a scrubber instead drops them: that is what to do when a
/// stream breaks.
pub struct Scrubber {
    set: ScanSet,
    /// The raw text from `base` on, the part that was released last included.
    raw: Vec<u8>,
    base: u64,
    /// Raw positions before this one have been released or replaced.
    released: u64,
    /// The end of the last replaced part.
    replaced: Option<u64>,
    scan: Scan,
    squeezed: SqueezeLane,
    decoded: DecodeLane,
    found: Vec<Found>,
    findings: Findings,
}

impl Scrubber {
    /// A scrubber at the beginning of a stream.
    pub fn new(set: &ScanSet) -> Self {
        Self {
            set: set.clone(),
            raw: Vec::new(),
            base: 0,
            released: 0,
            replaced: None,
            scan: Scan::new(),
            squeezed: SqueezeLane::new(Form::Spaced),
            decoded: DecodeLane::new(2),
            found: Vec::new(),
            findings: Findings::default(),
        }
    }

    /// Reads the next part of the stream and appends what may be released now.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.set.is_empty() {
            out.extend_from_slice(chunk);
            return;
        }
        out.reserve(chunk.len());
        for block in chunk.chunks(BLOCK_BYTES) {
            self.forget();
            reserve_wiping(&mut self.raw, block.len());
            self.raw.extend_from_slice(block);
            let read = self.read();
            self.run(End::Open(read));
            self.release(read.saturating_sub(HOLD_BACK), out);
        }
    }

    /// Releases what was held back and says what was found.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Findings {
        if !self.set.is_empty() {
            let read = self.read();
            self.run(End::Text(read));
            self.release(read, out);
        }
        std::mem::take(&mut self.findings)
    }

    /// What was replaced so far in what was released.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Bytes that were pushed.
    fn read(&self) -> u64 {
        self.base + self.raw.len() as u64
    }

    /// Lets every lane read what is new.
    fn run(&mut self, end: End) {
        let index = &*self.set.index;
        let origins = Identity { base: self.base };
        let view = View { index, text: &self.raw, origins: &origins, end, lane: None };
        self.scan.run(&view, &mut self.found);
        let source = Source { text: &self.raw, base: self.base, origins: &origins };
        self.squeezed.advance(&source, index, end, &mut self.found);
        self.decoded.advance(&source, index, end, &mut self.found);
    }

    /// Appends the text up to a raw position, with markers in the place of findings.
    ///
    /// All findings that begin before that position are known by now. Those that overlap or touch are one: if the
    /// first one won instead, the second would leave its end behind.
    fn release(&mut self, upto: u64, out: &mut Vec<u8>) {
        self.found.sort_unstable_by_key(|found| (found.start, found.marker, found.form));
        let due = self.found.partition_point(|found| found.start < upto);
        for found in self.found.drain(..due) {
            self.findings.add_late(found.late);
            match &mut self.replaced {
                Some(replaced) if found.start <= *replaced => *replaced = found.end.max(*replaced),
                replaced => {
                    let from = replaced.unwrap_or(0).max(self.released);
                    out.extend_from_slice(slice(&self.raw, self.base, from, found.start));
                    out.extend_from_slice(self.set.index.marker(found.marker).as_bytes());
                    self.findings.add(found.form);
                    self.released = found.start;
                    *replaced = Some(found.end);
                }
            }
        }
        let from = self.replaced.unwrap_or(0).max(self.released);
        out.extend_from_slice(slice(&self.raw, self.base, from, upto));
        self.released = self.released.max(upto);
    }

    /// Makes room by dropping what was released.
    fn forget(&mut self) {
        if self.raw.len() < 4 * KEPT_BYTES {
            return;
        }
        let gone = self.raw.len() - KEPT_BYTES;
        self.raw.copy_within(gone.., 0);
        self.raw.truncate(KEPT_BYTES);
        self.base += gone as u64;
        self.scan.next -= gone;
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.raw.zeroize();
    }
}

/// The raw text between two positions; nothing if they are in the wrong order.
fn slice(raw: &[u8], base: u64, from: u64, to: u64) -> &[u8] {
    if from >= to { &[] } else { &raw[(from - base) as usize..(to - base) as usize] }
}
