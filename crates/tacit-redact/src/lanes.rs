//! The ways in which a text is read beside the way it is written: with its escapes read (twice), and without
//! separators. A value that is hidden in one of them stands there in plain form.

use std::cell::Cell;

use zeroize::Zeroize;

use crate::{
    findings::Form,
    forms::IS_SEPARATOR,
    index::{Index, reserve_wiping},
    tape::{End, Found, HISTORY, Origin, Origins, Scan, Source, TAPE_BYTES_MAX, Tape, View},
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
    squeezed: SqueezeLane,
    /// The next position to read, in the lane before.
    cursor: u64,
    awake: bool,
    /// Plain characters since the last escape.
    quiet: usize,
    again: Option<Box<DecodeLane>>,
}

impl DecodeLane {
    /// A lane that reads escapes, and escapes of escapes, up to this many times.
    pub(crate) fn new(times: usize) -> Self {
        let again = (times > 1).then(|| Box::new(Self::new(times - 1)));
        Self {
            plain: Tape::new(Form::Decoded),
            squeezed: SqueezeLane::new(Form::Decoded),
            cursor: 0,
            awake: false,
            quiet: 0,
            again,
        }
    }

    /// Reads as far as the source allows. An escape that may still become one waits.
    pub(crate) fn advance<O: Origins>(
        &mut self,
        source: &Source<'_, O>,
        index: &Index,
        end: End,
        found: &mut Vec<Found>,
    ) {
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
        self.plain.copy(source.text, source.origins, lead.saturating_sub(QUIET)..lead);
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
            self.plain.copy(source.text, source.origins, at..at + plain);
            self.quiet += plain;
            self.cursor += plain as u64;
            return true;
        }
        if undecided(source.text, at, end) {
            return false;
        }
        let Some(unit) = unit_at(source.text, at) else {
            self.plain.copy(source.text, source.origins, at..at + 1);
            self.quiet += 1;
            self.cursor += 1;
            return true;
        };
        let origin = Origin {
            start: source.origins.origin(at).start,
            end: source.origins.origin(at + unit.len() - 1).end,
        };
        self.plain.push(unit.text(), origin);
        self.quiet = 0;
        self.cursor += unit.len() as u64;
        true
    }

    /// How far this lane has read, in raw positions.
    fn open(&self) -> End {
        End::Open(self.plain.read())
    }

    fn scan(&mut self, index: &Index, end: End, found: &mut Vec<Found>) {
        self.plain.run(index, end, found);
        let source = self.plain.as_source();
        self.squeezed.advance(&source, index, end, found);
        if let Some(again) = &mut self.again {
            again.advance(&source, index, end, found);
        }
        self.plain.forget();
    }
}

fn undecided(text: &[u8], at: usize, end: End) -> bool {
    matches!(end, End::Open(_)) && text.len() - at < UNIT_MAX
}

fn unit_at(text: &[u8], at: usize) -> Option<units::Unit> {
    units::parse(&text[at..text.len().min(at + UNIT_MAX)])
}

/// A text without its separators. Over the raw text it is always awake, since ordinary text is full of blanks, so
/// its bytes do not remember their origins one by one: it notes one position in every few and counts from there.
pub(crate) struct SqueezeLane {
    bytes: Vec<u8>,
    /// How many of `bytes` are in use; the rest is room that needs no clearing.
    length: usize,
    /// How many bytes of the lane were forgotten in front.
    gone: u64,
    /// The next position to read, in the lane before.
    cursor: u64,
    notes: Vec<Note>,
    scan: Scan,
    lane: Form,
}

/// The position in the lane before from which the byte at `lane`, and those after it, are found.
#[derive(Clone, Copy)]
struct Note {
    before: u64,
    lane: u64,
}

/// Bytes between two notes.
const NOTE_EVERY: usize = 128;

/// Room that one part needs: a pair is written whole, whatever is kept of it.
const ROOM: usize = NOTE_EVERY + 2;

/// A separator, to make a pair of what has no second byte.
const SEPARATOR: u8 = b' ';

/// What is left of two bytes without separators.
#[derive(Clone, Copy)]
struct Kept {
    bytes: [u8; 2],
    count: u16,
}

/// By both bytes. Text uses little of it, so that it stays in the nearest cache.
static PAIRS: [Kept; 1 << 16] = {
    let mut pairs = [Kept { bytes: [0; 2], count: 0 }; 1 << 16];
    let mut pair = 0;
    while pair < pairs.len() {
        let [first, second] = (pair as u16).to_le_bytes();
        pairs[pair] = match (IS_SEPARATOR[first as usize], IS_SEPARATOR[second as usize]) {
            (false, false) => Kept { bytes: [first, second], count: 2 },
            (false, true) => Kept { bytes: [first, 0], count: 1 },
            (true, false) => Kept { bytes: [second, 0], count: 1 },
            (true, true) => Kept { bytes: [0; 2], count: 0 },
        };
        pair += 1;
    }
    pairs
};

struct Noted<'a, O> {
    notes: &'a [Note],
    /// The note that served last: questions come in order, or nearly so.
    last: Cell<usize>,
    gone: u64,
    source: &'a Source<'a, O>,
}

impl<O> Noted<'_, O> {
    /// The last note at or before a byte of the lane.
    fn note_for(&self, at: u64) -> usize {
        let mut note = self.last.get();
        while self.notes.get(note + 1).is_some_and(|next| next.lane <= at) {
            note += 1;
        }
        while note > 0 && self.notes[note].lane > at {
            note -= 1;
        }
        self.last.set(note);
        note
    }
}

impl<O: Origins> Origins for Noted<'_, O> {
    fn origin(&self, at: usize) -> Origin {
        let at = self.gone + at as u64;
        let note = self.note_for(at);
        let (note, after) = (self.notes[note], note + 1);
        let Some(from) = note.before.checked_sub(self.source.base) else {
            // So old that it has been released: any position will do, as long as it is early.
            return Origin { start: 0, end: 1 };
        };
        let (from, mut left) = (from as usize, (at - note.lane) as usize);
        if let Some(next) =
            self.notes.get(after).filter(|next| next.before - note.before == next.lane - note.lane)
        {
            debug_assert!(next.lane > at, "the note is the last one at or before the byte");
            return self.source.origins.origin(from + left);
        }
        for (offset, byte) in self.source.text[from..].iter().enumerate() {
            if IS_SEPARATOR[usize::from(*byte)] {
                continue;
            }
            if left == 0 {
                return self.source.origins.origin(from + offset);
            }
            left -= 1;
        }
        // Not reached, since the notes count bytes that are in the text; early again.
        Origin { start: 0, end: 1 }
    }
}

impl SqueezeLane {
    pub(crate) fn new(lane: Form) -> Self {
        Self { bytes: Vec::new(), length: 0, gone: 0, cursor: 0, notes: Vec::new(), scan: Scan::new(), lane }
    }

    /// Begins to read at position 0 of a lane that has started over.
    fn restart(&mut self) {
        self.length = 0;
        self.gone = 0;
        self.cursor = 0;
        self.notes.clear();
        self.scan.next = 0;
    }

    /// Reads what is new in the lane before.
    pub(crate) fn advance<O: Origins>(
        &mut self,
        source: &Source<'_, O>,
        index: &Index,
        end: End,
        found: &mut Vec<Found>,
    ) {
        for part in source.text[(self.cursor - source.base) as usize..].chunks(NOTE_EVERY) {
            self.note();
            self.squeeze(part);
            self.cursor += part.len() as u64;
        }
        let origins = Noted {
            notes: &self.notes,
            last: Cell::new(self.notes.len().saturating_sub(1)),
            gone: self.gone,
            source,
        };
        let text = &self.bytes[..self.length];
        let view = View { index, text, origins: &origins, end, lane: Some(self.lane) };
        self.scan.run(&view, found);
        self.forget();
    }

    fn note(&mut self) {
        let note = Note { before: self.cursor, lane: self.gone + self.length as u64 };
        match self.notes.last_mut() {
            // Nothing but separators since: the later position is the better one.
            Some(last) if last.lane == note.lane => *last = note,
            Some(last) if note.before - last.before < NOTE_EVERY as u64 => {}
            _ => self.notes.push(note),
        }
    }

    fn squeeze(&mut self, part: &[u8]) {
        let room = self.length + ROOM;
        if self.bytes.len() < room {
            reserve_wiping(&mut self.bytes, room);
            self.bytes.resize(self.bytes.capacity(), 0);
        }
        let Some(to) = self.bytes[self.length..].first_chunk_mut::<ROOM>() else { return };
        let (pairs, last) = part.as_chunks::<2>();
        let mut length = 0;
        let mut write = |pair: [u8; 2]| {
            // Written always and kept by the count: ordinary text would defeat any branch here.
            let kept = PAIRS[usize::from(u16::from_le_bytes(pair))];
            let at = length & (NOTE_EVERY - 1);
            to[at..at + 2].copy_from_slice(&kept.bytes);
            length += usize::from(kept.count);
        };
        pairs.iter().for_each(|pair| write(*pair));
        last.iter().for_each(|byte| write([*byte, SEPARATOR]));
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
