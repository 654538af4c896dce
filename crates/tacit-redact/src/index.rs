//! Where in the known values an 8-byte gram of a text may stand.
//!
//! A text is read one gram every nine bytes. Sixteen bytes hold at least one gram that is read whole, so a text
//! that contains sixteen bytes of a form contains a read gram of that form. A gram passes a Bloom filter, then a
//! bucket, and then the bytes around it are compared, a *fixed* distance to both sides. What one gram cannot see
//! the next one does, so nothing is lost by the limit; and because a comparison depends on nothing but these
//! bytes, there is no extent to cache, no diagonal to remember, and no way for the chunking to show in the output.

use zeroize::{Zeroize, Zeroizing};

use crate::{
    findings::Form,
    forms::{self, WRITINGS, Writing},
    json,
    strength::{Profile, Strength, WINDOW},
};

/// Bytes looked up at once.
pub(crate) const GRAM: usize = 8;

/// Distance between two looked-up grams.
pub(crate) const STRIDE: usize = 9;

/// Bytes compared on each side of a gram. With the gram itself it holds every 32-character window of hex.
pub(crate) const REACH: usize = 32;

/// Gives each byte of a gram the same case.
const FOLD: u64 = 0x2020_2020_2020_2020;

/// No byte has this value after folding; it stands between two forms and stops every comparison.
const BORDER: u8 = 0;

/// How bytes are compared: without case, and without telling the two base64 alphabets apart. The fold is coarser
/// than ASCII case (it also joins some control and punctuation characters), which can only make it find more.
pub(crate) const CANON: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'+' => b'-',
            b'/' => b'_' | 0x20,
            other => other | 0x20,
        };
        byte += 1;
    }
    table
};

/// Grams with more places than this are looked at once more at build time.
const BUCKET_MAX: usize = 16;

/// The places of all grams of all forms. Holds the values, folded; it is wiped on drop.
#[derive(Default)]
pub(crate) struct Index {
    /// All forms behind each other, folded by `CANON`.
    arena: Vec<u8>,
    forms: Vec<FormPlace>,
    values: Vec<Value>,
    /// One bit per byte of each value: the byte is evidence.
    evidence: Vec<u64>,
    markers: Vec<Box<str>>,
    /// A Bloom filter of two bits per gram, both in one word.
    gate: Vec<u64>,
    /// `places[heads[b]..heads[b + 1]]` are the places of bucket `b`.
    heads: Vec<u32>,
    /// Positions in the arena.
    places: Vec<u32>,
    /// Values that were added, for people.
    added: usize,
}

struct FormPlace {
    start: u32,
    value: u32,
    writing: Writing,
}

struct Value {
    /// The first bit in `Index::evidence`.
    bits: usize,
    length: u32,
    marker: u32,
    rendered: bool,
}

impl Index {
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn added(&self) -> usize {
        self.added
    }

    pub(crate) fn marker(&self, marker: u32) -> &str {
        &self.markers[marker as usize]
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.arena.capacity()
            + self.forms.capacity() * size_of::<FormPlace>()
            + self.values.capacity() * size_of::<Value>()
            + self.evidence.capacity() * 8
            + self.gate.capacity() * 8
            + self.heads.capacity() * 4
            + self.places.capacity() * 4
            + self.markers.iter().map(|marker| marker.len() + size_of::<Box<str>>()).sum::<usize>()
    }

    /// The first of `from`, `from + STRIDE`, … below `to` at which a known gram may stand, or the first beyond.
    /// The text reaches `GRAM` bytes beyond every place that is read.
    #[inline]
    pub(crate) fn next_candidate(&self, text: &[u8], from: usize, to: usize) -> usize {
        let mut at = from;
        while at < to {
            let Some(gram) = text[at..].first_chunk::<GRAM>() else { break };
            if self.passes(hash(u64::from_le_bytes(*gram))) {
                break;
            }
            at += STRIDE;
        }
        at
    }

    #[inline]
    fn passes(&self, hash: u64) -> bool {
        let word = self.gate.get((hash >> 32) as usize & self.gate.len().wrapping_sub(1));
        word.is_some_and(|word| word >> (hash & 63) & word >> (hash >> 6 & 63) & 1 != 0)
    }

    /// Arena positions of the gram that stands at `at`, some others among them.
    pub(crate) fn places_of(&self, text: &[u8], at: usize) -> &[u32] {
        let Some(gram) = text[at..].first_chunk::<GRAM>() else { return &[] };
        let bucket = scale(hash(u64::from_le_bytes(*gram)) >> 12 & 0xffff_ffff, self.heads.len() - 1);
        &self.places[self.heads[bucket] as usize..self.heads[bucket + 1] as usize]
    }

    /// How far text and form agree to both sides of a gram, in positions of the text; nothing if the gram itself
    /// differs.
    #[inline]
    pub(crate) fn agree(&self, text: &[u8], at: usize, place: u32) -> Option<(usize, usize)> {
        let (before, after) = self.arena.split_at(place as usize);
        let (text_before, text_after) = text.split_at(at);
        let right = common_prefix(after, text_after, GRAM + REACH);
        if right < GRAM {
            return None;
        }
        let left = common_suffix(before, text_before, REACH);
        Some((at - left, at + right))
    }

    /// What a text proves that agrees with the form around `place` from `left` bytes before to `right` after.
    pub(crate) fn judge(&self, place: u32, left: usize, right: usize) -> Option<(u32, Form)> {
        if left + right < WINDOW {
            return None;
        }
        let form = &self.forms[self.forms.partition_point(|form| form.start <= place) - 1];
        let value = &self.values[form.value as usize];
        let start = (place - form.start) as usize - left;
        let (from, to) = form.writing.covered(start, start + left + right, value.length as usize);
        if self.evidence_in(value, from, to) < WINDOW {
            return None;
        }
        let form = match form.writing {
            _ if value.rendered => Form::Rendered,
            Writing::Plain => Form::Raw,
            Writing::Reversed => Form::Reversed,
            Writing::Hex => Form::Hex,
            Writing::Base64(_) | Writing::Base64Twice(_) => Form::Base64,
        };
        Some((value.marker, form))
    }

    /// The marker of the value whose form stands at `place`.
    pub(crate) fn marker_of(&self, place: u32) -> u32 {
        let form = &self.forms[self.forms.partition_point(|form| form.start <= place) - 1];
        self.values[form.value as usize].marker
    }

    fn evidence_in(&self, value: &Value, from: usize, to: usize) -> usize {
        let (mut from, to) = (value.bits + from, value.bits + to);
        let mut count = 0;
        while from < to {
            let bits = (64 - from % 64).min(to - from);
            let mask = u64::MAX >> (64 - bits);
            count += (self.evidence[from / 64] >> (from % 64) & mask).count_ones() as usize;
            from += bits;
        }
        count
    }
}

/// How many bytes of a form and of a text agree, up to `most`, from the front.
fn common_prefix(form: &[u8], text: &[u8], most: usize) -> usize {
    let most = most.min(form.len()).min(text.len());
    let mut done = 0;
    while done + GRAM <= most && same_word(&form[done..], &text[done..]) {
        done += GRAM;
    }
    let same = |(form, byte): &(&u8, &u8)| **form == CANON[usize::from(**byte)];
    done + form[done..most].iter().zip(&text[done..most]).take_while(same).count()
}

/// The same from the back.
fn common_suffix(form: &[u8], text: &[u8], most: usize) -> usize {
    let most = most.min(form.len()).min(text.len());
    let (form, text) = (&form[form.len() - most..], &text[text.len() - most..]);
    let mut left = most;
    while left >= GRAM && same_word(&form[left - GRAM..], &text[left - GRAM..]) {
        left -= GRAM;
    }
    let same = |(form, byte): &(&u8, &u8)| **form == CANON[usize::from(**byte)];
    most - left + form[..left].iter().rev().zip(text[..left].iter().rev()).take_while(same).count()
}

/// Whether the next eight bytes agree. It says no too often, where `CANON` is not a mere fold; then they are
/// compared one by one.
#[inline(always)]
fn same_word(form: &[u8], text: &[u8]) -> bool {
    match (form.first_chunk::<GRAM>(), text.first_chunk::<GRAM>()) {
        (Some(form), Some(text)) => u64::from_le_bytes(*form) == u64::from_le_bytes(*text) | FOLD,
        _ => false,
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.arena.zeroize();
        // Grams can be guessed from their hashes.
        self.gate.zeroize();
        self.heads.zeroize();
        self.places.zeroize();
    }
}

/// Collects values and lays them out.
#[derive(Default)]
pub(crate) struct IndexBuilder {
    index: Index,
    grams: Vec<(u64, u32)>,
    scratch: Zeroizing<Vec<u8>>,
}

impl IndexBuilder {
    pub(crate) fn add(&mut self, marker: &str, value: &[u8]) -> Strength {
        // A structured value is its leaves. As one text it would let what everybody knows of it (a field's name, a
        // public address) stand in for the sixteen characters that must be right before anything is replaced.
        if let Some(leaves) = json::leaves(value) {
            for leaf in &leaves {
                self.add_alone(marker, leaf);
            }
            return crate::strength(value);
        }
        self.add_alone(marker, value)
    }

    fn add_alone(&mut self, marker: &str, value: &[u8]) -> Strength {
        let profile = Profile::of(value);
        if profile.strength().is_scrubbable() {
            self.index.added += 1;
            let marker = self.marker(marker);
            self.add_with_siblings(marker, value, &profile);
        }
        profile.strength()
    }

    /// A value as something wrote it: each byte becomes what `encode` appends, and is evidence once however many bytes
    /// that is, so that an encoding does not make a guess look longer than it is.
    pub(crate) fn add_encoded(
        &mut self,
        marker: &str,
        value: &[u8],
        encode: impl Fn(u8, &mut Vec<u8>),
    ) -> Strength {
        let profile = Profile::of(value);
        if profile.strength().is_scrubbable() {
            let mut bytes = Zeroizing::new(Vec::with_capacity(value.len() * 3));
            let mut evidence = Vec::with_capacity(value.len() * 3);
            let mut prefix = 0;
            for (at, byte) in value.iter().enumerate() {
                if at == profile.prefix {
                    prefix = bytes.len();
                }
                encode(*byte, &mut bytes);
                evidence.push(profile.evidence[at]);
                evidence.resize(bytes.len(), false);
            }
            self.index.added += 1;
            let marker = self.marker(marker);
            self.add_value(marker, &bytes, &evidence, prefix, true);
        }
        profile.strength()
    }

    /// The base64 of `username:password`. What the user name alone determines is known to many and proves nothing.
    pub(crate) fn add_basic_pair(&mut self, marker: &str, username: &[u8], password: &[u8]) -> Strength {
        let profile = Profile::of(password);
        if profile.strength().is_scrubbable() {
            let pair = Zeroizing::new([username, b":", password].concat());
            let first = pair.len() - password.len();
            let mut encoded = Zeroizing::new(Vec::with_capacity(pair.len() / 3 * 4 + 4));
            forms::base64(&pair, 0, &mut encoded);
            // Six bits each: a character is evidence if every byte it takes bits from is.
            let is_evidence = |at: usize| {
                let bytes = at * 6 / 8..=(at * 6 + 5) / 8;
                bytes
                    .into_iter()
                    .all(|byte| byte >= first && profile.evidence.get(byte - first).copied().unwrap_or(false))
            };
            let evidence: Vec<bool> = (0..encoded.len()).map(is_evidence).collect();
            let prefix = evidence.iter().position(|evidence| *evidence).unwrap_or(encoded.len());
            self.index.added += 1;
            let marker = self.marker(marker);
            self.add_value(marker, &encoded, &evidence, prefix, true);
        }
        profile.strength()
    }

    /// The value and the texts it turns into when its blanks, line breaks and escapes are treated as such.
    fn add_with_siblings(&mut self, marker: u32, value: &[u8], profile: &Profile) {
        self.add_value(marker, value, &profile.evidence, profile.prefix, false);
        if let Some((squeezed, evidence)) = forms::squeezed(value, &profile.evidence) {
            let squeezed = Zeroizing::new(squeezed);
            self.add_value(marker, &squeezed, &evidence, 0, false);
        }
        if let Some((decoded, evidence)) = forms::decoded(value, &profile.evidence) {
            let decoded = Zeroizing::new(decoded);
            self.add_value(marker, &decoded, &evidence, 0, false);
        }
        if let Some(plus) = forms::plus_for_blank(value) {
            let plus = Zeroizing::new(plus);
            self.add_value(marker, &plus, &profile.evidence, profile.prefix, false);
        }
    }

    fn marker(&mut self, marker: &str) -> u32 {
        let known = self.index.markers.iter().rposition(|known| &**known == marker);
        let at = known.unwrap_or_else(|| {
            self.index.markers.push(marker.into());
            self.index.markers.len() - 1
        });
        narrow(at)
    }

    fn add_value(&mut self, marker: u32, value: &[u8], evidence: &[bool], prefix: usize, rendered: bool) {
        let number = narrow(self.index.values.len());
        let bits = self.index.values.last().map_or(0, |last| last.bits + last.length as usize);
        self.index.values.push(Value { bits, length: narrow(value.len()), marker, rendered });
        self.index.evidence.resize((bits + value.len()).div_ceil(64), 0);
        for at in (0..value.len()).filter(|at| evidence[*at]) {
            self.index.evidence[(bits + at) / 64] |= 1 << ((bits + at) % 64);
        }
        for writing in WRITINGS {
            self.add_form(number, value.len(), prefix, writing, value);
        }
    }

    fn add_form(&mut self, value: u32, length: usize, prefix: usize, writing: Writing, bytes: &[u8]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        reserve_wiping(&mut scratch, bytes.len() * 2 + 8);
        writing.write(bytes, &mut scratch);
        reserve_wiping(&mut self.index.arena, scratch.len() + 1);
        self.index.arena.push(BORDER);
        let start = narrow(self.index.arena.len());
        self.index.forms.push(FormPlace { start, value, writing });
        self.index.arena.extend(scratch.iter().map(|b| CANON[usize::from(*b)]));
        let base64 = matches!(writing, Writing::Base64(_) | Writing::Base64Twice(_));
        for (at, gram) in scratch.windows(GRAM).enumerate() {
            // A window of evident characters holds a gram that begins inside it; grams that begin in the public
            // prefix would only be met in texts about other values of that kind.
            let (from, _) = writing.covered(at, at + GRAM, length);
            if from >= prefix && writing.keeps_gram_at(at, STRIDE) {
                self.add_gram(gram, start + at as u32, base64);
            }
        }
        self.scratch = scratch;
    }

    fn add_gram(&mut self, gram: &[u8], place: u32, base64: bool) {
        let mut bytes = [0; GRAM];
        bytes.copy_from_slice(gram);
        self.grams.push((hash(u64::from_le_bytes(bytes)), place));
        if base64 && bytes.iter().any(|b| matches!(b, b'+' | b'/')) {
            let url = bytes.map(|b| match b {
                b'+' => b'-',
                b'/' => b'_',
                other => other,
            });
            self.grams.push((hash(u64::from_le_bytes(url)), place));
        }
    }

    pub(crate) fn build(mut self) -> Index {
        let mut index = std::mem::take(&mut self.index);
        if self.grams.is_empty() {
            return index;
        }
        layout(&mut index, &self.grams);
        if index.heads.windows(2).any(|pair| (pair[1] - pair[0]) as usize > BUCKET_MAX) {
            self.drop_twins(&index);
            layout(&mut index, &self.grams);
        }
        // The gate comes last, when the grams are counted: twelve to sixteen bits each.
        index.gate = vec![0; (self.grams.len() / 4).next_power_of_two()];
        for (hash, _) in &self.grams {
            let word = (hash >> 32) as usize & (index.gate.len() - 1);
            index.gate[word] |= gate_mask(*hash);
        }
        index.forms.shrink_to_fit();
        index.values.shrink_to_fit();
        index
    }

    /// Keeps one of several places that look the same as far as a comparison reaches: periodic values, the same
    /// value twice, and secrets with a long common beginning would otherwise cost one comparison each.
    fn drop_twins(&mut self, index: &Index) {
        let around = |place: u32| {
            let at = place as usize;
            let before = index.arena[..at].iter().rev().take(REACH).take_while(|b| **b != BORDER).count();
            let after = index.arena[at..].iter().take(GRAM + REACH).take_while(|b| **b != BORDER).count();
            let form = &index.forms[index.forms.partition_point(|form| form.start <= place) - 1];
            let value = &index.values[form.value as usize];
            let start = at - before - form.start as usize;
            let (from, to) = form.writing.covered(start, start + before + after, value.length as usize);
            let even = index.evidence_in(value, from, to);
            (before, &index.arena[at - before..at + after], even, form.writing)
        };
        self.grams
            .sort_by(|a, b| a.0.cmp(&b.0).then_with(|| around(a.1).cmp(&around(b.1))).then(a.1.cmp(&b.1)));
        self.grams.dedup_by(|b, a| a.0 == b.0 && around(a.1) == around(b.1));
    }
}

impl Drop for IndexBuilder {
    fn drop(&mut self) {
        self.grams.iter_mut().for_each(|gram| *gram = (0, 0));
        std::hint::black_box(&self.grams);
    }
}

/// A counting sort of the places by bucket.
fn layout(index: &mut Index, grams: &[(u64, u32)]) {
    let buckets = (grams.len() / 2).max(1);
    let bucket_of = |hash: u64| scale(hash >> 12 & 0xffff_ffff, buckets);
    index.heads = vec![0; buckets + 1];
    for (hash, _) in grams {
        index.heads[bucket_of(*hash)] += 1;
    }
    let mut end = 0;
    for head in &mut index.heads {
        end += *head;
        *head = end;
    }
    index.places = vec![0; grams.len()];
    for (hash, place) in grams.iter().rev() {
        let head = &mut index.heads[bucket_of(*hash)];
        *head -= 1;
        index.places[*head as usize] = *place;
    }
}

#[inline(always)]
fn hash(gram: u64) -> u64 {
    let product = u128::from(gram | FOLD) * 0x9e37_79b9_7f4a_7c15;
    (product as u64) ^ (product >> 64) as u64
}

#[inline(always)]
fn gate_mask(hash: u64) -> u64 {
    1 << (hash & 63) | 1 << (hash >> 6 & 63)
}

/// Maps 32 bits evenly to `0..size`.
#[inline(always)]
fn scale(bits: u64, size: usize) -> usize {
    ((bits * size as u64) >> 32) as usize
}

/// Makes room without leaving a copy of the old content behind in freed memory.
#[inline]
pub(crate) fn reserve_wiping(bytes: &mut Vec<u8>, more: usize) {
    if bytes.capacity() - bytes.len() < more {
        grow_wiping(bytes, more);
    }
}

#[cold]
fn grow_wiping(bytes: &mut Vec<u8>, more: usize) {
    let mut grown = Vec::with_capacity((bytes.len() + more).max(bytes.capacity() * 2));
    grown.extend_from_slice(bytes);
    std::mem::replace(bytes, grown).zeroize();
}

/// Sizes of a set in the index's own narrow type.
///
/// # Panics
/// Beyond 4 GiB of forms, which is a few million values: leaving a value out silently would be worse.
fn narrow(size: usize) -> u32 {
    u32::try_from(size).expect("a scan set is limited to 4 GiB of forms")
}
