//! A lane's text together with where each of its bytes came from, and the scan over it.

use std::ops::Range;

use zeroize::Zeroize;

use crate::{
    findings::Form,
    index::{GRAM, Index, REACH, STRIDE, reserve_wiping},
    strength::WINDOW,
};

/// How many raw bytes are withheld. It depends on nothing, least of all on content: a scrubber that holds back
/// more where a guess is right tells the guesser so.
pub(crate) const HOLD_BACK: u64 = 1024;

/// A gram is judged at the latest when the text has gone this far beyond it, in raw bytes. Without the limit,
/// text with much expansion behind a value could delay its discovery until its beginning has been released.
const PATIENCE: u64 = 384;

/// By how many raw bytes a lane may lag behind the text: a twice escaped character takes up to `12 × 12`, and it
/// takes as many to see that there is none.
const LAG: u64 = 304;

/// A comparison earns its cost by this many read grams. It takes a text made for the purpose to run out.
const CREDIT_PER_GRAM: usize = 4;

/// Comparisons that any text may use before it has earned them.
const CREDIT_MAX: usize = 65_536;

/// A lane keeps this much of its past. No lane has more bytes than the raw text, so what it forgets is older than
/// the hold-back.
pub(crate) const HISTORY: usize = HOLD_BACK as usize + 256;

/// The length at which a lane scans and forgets.
pub(crate) const TAPE_BYTES_MAX: usize = 8192;

/// A part of the raw text that will be replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) marker: u32,
    pub(crate) form: Form,
    pub(crate) late: bool,
}

/// Where a lane byte comes from, in raw positions.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Maps positions of a lane back to the raw text.
pub(crate) trait Origins {
    fn origin(&self, at: usize) -> Origin;
}

/// A text as the next lane reads it.
pub(crate) struct Source<'a, O> {
    pub(crate) text: &'a [u8],
    /// The position of `text[0]` in its lane.
    pub(crate) base: u64,
    pub(crate) origins: &'a O,
}

/// How much more text there is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// More may come. The raw position that was read, for lanes that may not see a byte for long.
    Open(u64),
    /// The lane has nothing more to say here, but the raw text goes on.
    Lane,
    /// The raw text ends here.
    Text(u64),
}

/// The scan over one lane: which gram is next, and what comparisons may still cost.
pub(crate) struct Scan {
    pub(crate) next: usize,
    credit: usize,
}

/// What a scan looks at.
pub(crate) struct View<'a, O> {
    pub(crate) index: &'a Index,
    pub(crate) text: &'a [u8],
    pub(crate) origins: &'a O,
    pub(crate) end: End,
    /// The form under which findings are counted, where the lane says more than the form itself.
    pub(crate) lane: Option<Form>,
}

impl Scan {
    pub(crate) fn new() -> Self {
        Self { next: 0, credit: CREDIT_MAX }
    }

    /// Judges every gram whose surroundings are complete. The outcome for a gram is a function of the text
    /// around it alone; when it is judged must not matter.
    pub(crate) fn run<O: Origins>(&mut self, view: &View<'_, O>, found: &mut Vec<Found>) {
        let complete = (view.text.len() + 1).saturating_sub(GRAM + REACH);
        self.run_to(view, complete, found);
        let last = (view.text.len() + 1).saturating_sub(GRAM);
        match view.end {
            End::Open(read) => {
                while self.next < last && view.origins.origin(self.next).start + PATIENCE < read {
                    self.run_to(view, self.next + 1, found);
                }
            }
            End::Lane | End::Text(_) => self.run_to(view, last, found),
        }
    }

    fn run_to<O: Origins>(&mut self, view: &View<'_, O>, to: usize, found: &mut Vec<Found>) {
        while self.next < to {
            let at = view.index.next_candidate(view.text, self.next, to);
            self.earn((at - self.next) / STRIDE);
            self.next = at;
            if at >= to {
                return;
            }
            self.judge(view, at, found);
            self.earn(1);
            self.next += STRIDE;
        }
    }

    fn earn(&mut self, grams: usize) {
        self.credit = self.credit.saturating_add(grams.saturating_mul(CREDIT_PER_GRAM)).min(CREDIT_MAX);
    }

    fn judge<O: Origins>(&mut self, view: &View<'_, O>, at: usize, found: &mut Vec<Found>) {
        let places = view.index.places_of(view.text, at);
        let affordable = places.len().min(self.credit);
        self.credit -= affordable;
        for place in &places[..affordable] {
            let Some((start, stop)) = view.index.agree(view.text, at, *place) else { continue };
            if stop - start < WINDOW {
                continue;
            }
            let stop = view.within_patience(at, stop);
            let Some((marker, form)) = view.index.judge(*place, at - start, stop - at) else { continue };
            push(found, view.in_raw(at, start..stop, marker, form));
        }
        if affordable < places.len() {
            // Nobody pays for these comparisons, so they are taken to have succeeded. One step of the scan is
            // enough: what is left between replaced steps is shorter than a window.
            let stop = (at + STRIDE).min(view.text.len());
            push(found, view.in_raw(at, at..stop, view.index.marker_of(places[affordable]), Form::Raw));
        }
    }
}

impl<O: Origins> View<'_, O> {
    /// Cuts an agreement at the last byte that is read when the gram has to be judged at the latest.
    fn within_patience(&self, at: usize, stop: usize) -> usize {
        let limit = self.origins.origin(at).start + PATIENCE;
        let mut stop = stop;
        while stop > at + GRAM && self.origins.origin(stop - 1).end > limit {
            stop -= 1;
        }
        stop
    }

    fn in_raw(&self, at: usize, range: Range<usize>, marker: u32, form: Form) -> Found {
        let start = self.origins.origin(range.start).start;
        let end = self.origins.origin(range.end - 1).end;
        let form = self.lane.unwrap_or(form);
        // What may have been released when this gram was judged byte by byte. Only what cannot have been
        // released in any chunking is replaced, in every chunking.
        let mut judged = self.origins.origin(at).start + PATIENCE + LAG;
        if start + HOLD_BACK < judged {
            if at + GRAM + REACH <= self.text.len() {
                judged = judged.min(self.origins.origin(at + GRAM + REACH - 1).end + LAG);
            }
            if let End::Text(total) = self.end {
                judged = judged.min(total);
            }
        }
        let released = judged.saturating_sub(HOLD_BACK);
        Found { start: start.max(released), end: end.max(released), marker, form, late: start < released }
    }
}

/// Adds a finding, or widens the last one if they are the same thing.
fn push(found: &mut Vec<Found>, new: Found) {
    if let Some(last) = found.last_mut() {
        let same = last.marker == new.marker && last.form == new.form && last.late == new.late;
        if same && new.start >= last.start && new.start <= last.end {
            last.end = last.end.max(new.end);
            return;
        }
    }
    found.push(new);
}

/// A lane whose bytes remember where they came from, one by one.
pub(crate) struct Tape {
    bytes: Vec<u8>,
    /// `start << 8 | length` of each byte's origin.
    origins: Packed,
    scan: Scan,
    lane: Form,
    /// How many bytes were forgotten in front.
    base: u64,
}

pub(crate) struct Packed(Vec<u64>);

impl Origins for Packed {
    #[inline]
    fn origin(&self, at: usize) -> Origin {
        let start = self.0[at] >> 8;
        Origin { start, end: start + (self.0[at] & 0xff) }
    }
}

/// No escape of an escape reaches a length of 255, so eight bits hold it.
fn pack(origin: Origin) -> u64 {
    origin.start << 8 | (origin.end - origin.start).min(0xff)
}

impl Tape {
    pub(crate) fn new(lane: Form) -> Self {
        Self { bytes: Vec::new(), origins: Packed(Vec::new()), scan: Scan::new(), lane, base: 0 }
    }

    pub(crate) fn as_source(&self) -> Source<'_, Packed> {
        Source { text: &self.bytes, base: self.base, origins: &self.origins }
    }

    /// Whether it is time to scan and forget.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= TAPE_BYTES_MAX
    }

    /// The raw position up to which the tape was written.
    pub(crate) fn read(&self) -> u64 {
        self.bytes.len().checked_sub(1).map_or(0, |last| self.origins.origin(last).end)
    }

    /// Starts over, at a place that only the content decides. The credit stays: it is earned once per stream.
    pub(crate) fn restart(&mut self) {
        // Wiped when the lane ends; to wipe the whole room at each start would cost more than the lane.
        self.bytes.clear();
        self.origins.0.clear();
        self.scan.next = 0;
        self.base = 0;
    }

    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8], origin: Origin) {
        reserve_wiping(&mut self.bytes, bytes.len());
        for byte in bytes {
            self.bytes.push(*byte);
            self.origins.0.push(pack(origin));
        }
    }

    /// Appends a part of the lane before, byte for byte.
    pub(crate) fn copy(&mut self, text: &[u8], origins: &impl Origins, range: Range<usize>) {
        reserve_wiping(&mut self.bytes, range.len());
        self.bytes.extend_from_slice(&text[range.clone()]);
        self.origins.0.extend(range.map(|at| pack(origins.origin(at))));
    }

    pub(crate) fn run(&mut self, index: &Index, end: End, found: &mut Vec<Found>) {
        let view = View { index, text: &self.bytes, origins: &self.origins, end, lane: Some(self.lane) };
        self.scan.run(&view, found);
    }

    /// Drops what neither the scan nor the next lane can need again.
    pub(crate) fn forget(&mut self) {
        if !self.is_full() {
            return;
        }
        let gone = self.bytes.len() - HISTORY;
        self.bytes.copy_within(gone.., 0);
        self.bytes.truncate(HISTORY);
        self.origins.0.drain(..gone);
        self.scan.next -= gone;
        self.base += gone as u64;
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}
