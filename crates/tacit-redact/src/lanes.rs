//! The ways in which a text is read beside the way it is written: with its escapes read (twice), and without
//! separators. A value that is hidden in one of them stands there in plain form.

use zeroize::Zeroize;

use crate::{
    findings::Form,
    forms::IS_SEPARATOR,
    index::{Index, reserve_wiping},
    tape::{End, Found, HISTORY, Origin, Origins, Scan, TAPE_BYTES_MAX, Tape, View},
    units::{self, UNIT_MAX},
};

/// Plain text that a decode lane reads before the first escape and after the last one. A window with an escape in
/// it lies inside; a window without one is found where no escapes are read.
const QUIET: usize = 64;

/// The raw text itself, as a source of lanes.
pub(crate) struct Identity {
    pub(crate) base: u64,
}

impl Origins for Identity {
    #[inline]
    fn origin(&self, at: usize) -> Origin {
        let start = self.base + at as u64;
        Origin { start, end: start + 1 }
    }
}

/// The text with its escapes read once, and the same without separators, and the same read twice.
///
/// It sleeps while there is nothing to read, and both falling asleep and waking up are decided by the text
/// byte by byte, so that the chunks in which the text arrives cannot be seen in what it finds.
pub(crate) struct DecodeLane {
    plain: Tape,
    squeezed: Tape,
    /// The next position to read, in the lane before.
    cursor: u64,
    awake: bool,
    /// Plain characters since the last escape.
    quiet: usize,
    again: Option<Box<DecodeLane>>,
}

/// What a decode lane reads.
pub(crate) struct Source<'a, O> {
    pub(crate) text: &'a [u8],
    pub(crate) base: u64,
    pub(crate) origins: &'a O,
}

impl DecodeLane {
    /// A lane that reads escapes, and escapes of escapes, up to this many times.
    pub(crate) fn new(times: usize) -> Self {
        let again = (times > 1).then(|| Box::new(Self::new(times - 1)));
        Self {
            plain: Tape::new(Form::Decoded),
            squeezed: Tape::new(Form::Decoded),
            cursor: 0,
            awake: false,
            quiet: 0,
            again,
        }
    }

    /// Reads as far as the source allows. An escape that may still become one waits.
    pub(crate) fn advance<O: Origins>(&mut self, source: &Source<'_, O>, index: &Index, end: End, found: &mut Vec<Found>) {
        loop {
            let at = (self.cursor - source.base) as usize;
            let went_on = if self.awake { self.read(source, at, end) } else { self.wake(source, at, end) };
            if self.awake && (self.quiet >= QUIET || self.plain.is_full()) {
                let sleeps = self.quiet >= QUIET;
                self.scan(index, if sleeps { End::Lane } else { self.open() }, found);
                self.awake = !sleeps;
            }
            if !went_on {
                break;
            }
        }
        if self.awake {
            let end = if matches!(end, End::Open(_)) { self.open() } else { end };
            self.scan(index, end, found);
            // The lane before starts over, or ends.
            self.awake = matches!(end, End::Open(_));
        }
    }

    /// Begins to read at position 0 of a lane that has started over.
    fn restart(&mut self) {
        self.cursor = 0;
        self.awake = false;
    }

    /// Looks for an escape. Says whether there is more to do.
    fn wake<O: Origins>(&mut self, source: &Source<'_, O>, at: usize, end: End) -> bool {
        let Some(lead) = units::find_lead(&source.text[at..]).map(|lead| at + lead) else {
            self.cursor = source.base + source.text.len() as u64;
            return false;
        };
        self.cursor = source.base + lead as u64;
        if undecided(source.text, lead, end) {
            return false;
        }
        if unit_at(source.text, lead).is_none() {
            self.cursor += 1;
            return true;
        }
        self.awake = true;
        self.quiet = 0;
        self.plain.restart();
        self.squeezed.restart();
        if let Some(again) = &mut self.again {
            again.restart();
        }
        self.copy(source, lead.saturating_sub(QUIET)..lead);
        true
    }

    /// Reads one escape, or the plain text before the next one. Says whether there is more to do.
    fn read<O: Origins>(&mut self, source: &Source<'_, O>, at: usize, end: End) -> bool {
        let left = &source.text[at..];
        if left.is_empty() {
            return false;
        }
        let window = &left[..left.len().min(QUIET - self.quiet)];
        let plain = units::find_lead(window).unwrap_or(window.len());
        if plain > 0 {
            self.copy(source, at..at + plain);
            self.quiet += plain;
            self.cursor += plain as u64;
            return true;
        }
        if undecided(source.text, at, end) {
            return false;
        }
        let Some(unit) = unit_at(source.text, at) else {
            self.copy(source, at..at + 1);
            self.quiet += 1;
            self.cursor += 1;
            return true;
        };
        let origin = Origin {
            start: source.origins.origin(at).start,
            end: source.origins.origin(at + unit.len - 1).end,
        };
        self.plain.push(unit.text(), origin);
        for byte in unit.text().iter().filter(|b| !IS_SEPARATOR[usize::from(**b)]) {
            self.squeezed.push(&[*byte], origin);
        }
        self.quiet = 0;
        self.cursor += unit.len as u64;
        true
    }

    fn copy<O: Origins>(&mut self, source: &Source<'_, O>, range: std::ops::Range<usize>) {
        self.plain.copy(source.text, source.origins, range.clone());
        self.squeezed.squeeze(source.text, source.origins, range);
    }

    /// How far this lane has read, in raw positions.
    fn open(&self) -> End {
        End::Open(self.plain.read())
    }

    fn scan(&mut self, index: &Index, end: End, found: &mut Vec<Found>) {
        self.plain.run(index, end, found);
        self.squeezed.run(index, end, found);
        if let Some(again) = &mut self.again {
            let source = Source { text: self.plain.bytes(), base: self.plain.base, origins: self.plain.origins() };
            again.advance(&source, index, end, found);
        }
        self.plain.forget();
        self.squeezed.forget();
    }
}

fn undecided(text: &[u8], at: usize, end: End) -> bool {
    matches!(end, End::Open(_)) && text.len() - at < UNIT_MAX
}

fn unit_at(text: &[u8], at: usize) -> Option<units::Unit> {
    units::parse(&text[at..text.len().min(at + UNIT_MAX)])
}

/// The raw text without separators. It is always awake, since ordinary text is full of blanks, so its bytes do
/// not remember their origins one by one: it notes one position in every few and counts again from there.
pub(crate) struct SqueezeLane {
    bytes: Vec<u8>,
    /// How many of `bytes` are in use; the rest is room that needs no clearing.
    length: usize,
    /// How many bytes of the lane were forgotten in front.
    gone: u64,
    notes: Vec<Note>,
    scan: Scan,
}

/// The raw position from which the lane byte at `lane`, and those after it, are found.
#[derive(Clone, Copy)]
struct Note {
    raw: u64,
    lane: u64,
}

/// Raw bytes between two notes.
const NOTE_EVERY: usize = 32;

struct Noted<'a> {
    notes: &'a [Note],
    gone: u64,
    raw: &'a [u8],
    base: u64,
}

impl Origins for Noted<'_> {
    fn origin(&self, at: usize) -> Origin {
        let at = self.gone + at as u64;
        let note = self.notes[self.notes.partition_point(|note| note.lane <= at) - 1];
        let Some(from) = note.raw.checked_sub(self.base) else {
            // So old that it has been released: any position will do, as long as it is early.
            return Origin { start: note.raw, end: note.raw + 1 };
        };
        let mut left = at - note.lane;
        for (offset, byte) in self.raw[from as usize..].iter().enumerate() {
            if IS_SEPARATOR[usize::from(*byte)] {
                continue;
            }
            if left == 0 {
                let start = note.raw + offset as u64;
                return Origin { start, end: start + 1 };
            }
            left -= 1;
        }
        // Not reached: the note counts bytes that are in the text.
        Origin { start: note.raw, end: self.base + self.raw.len() as u64 }
    }
}

impl SqueezeLane {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), length: 0, gone: 0, notes: Vec::new(), scan: Scan::new() }
    }

    /// Reads `raw[from..]`, whose first byte `raw[0]` is at the raw position `base`.
    pub(crate) fn advance(&mut self, raw: &[u8], from: usize, base: u64, index: &Index, end: End, found: &mut Vec<Found>) {
        for (number, part) in raw[from..].chunks(NOTE_EVERY).enumerate() {
            self.note(base + (from + number * NOTE_EVERY) as u64);
            self.squeeze(part);
        }
        let origins = Noted { notes: &self.notes, gone: self.gone, raw, base };
        let view =
            View { index, text: &self.bytes[..self.length], origins: &origins, end, lane: Some(Form::Spaced) };
        self.scan.run(&view, found);
        self.forget();
    }

    fn note(&mut self, raw: u64) {
        let note = Note { raw, lane: self.gone + self.length as u64 };
        match self.notes.last_mut() {
            // Nothing but separators since: the later position is the better one.
            Some(last) if last.lane == note.lane => *last = note,
            Some(last) if raw - last.raw < NOTE_EVERY as u64 => {}
            _ => self.notes.push(note),
        }
    }

    fn squeeze(&mut self, part: &[u8]) {
        let room = self.length + NOTE_EVERY;
        if self.bytes.len() < room {
            reserve_wiping(&mut self.bytes, room);
            self.bytes.resize(self.bytes.capacity(), 0);
        }
        let to = &mut self.bytes[self.length..room];
        let mut length = 0;
        for byte in part {
            // Written always and kept by the count: ordinary text would defeat any branch here.
            to[length & (NOTE_EVERY - 1)] = *byte;
            length += usize::from(!IS_SEPARATOR[usize::from(*byte)]);
        }
        self.length += length;
    }

    fn forget(&mut self) {
        if self.length < TAPE_BYTES_MAX {
            return;
        }
        let gone = self.length - HISTORY;
        self.bytes.copy_within(gone..self.length, 0);
        self.length = HISTORY;
        self.scan.next -= gone;
        self.gone += gone as u64;
        let first = self.notes.partition_point(|note| note.lane <= self.gone) - 1;
        self.notes.drain(..first);
    }
}

impl Drop for SqueezeLane {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}
