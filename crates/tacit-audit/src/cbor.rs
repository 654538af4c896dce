//! Just the deterministic CBOR (RFC 8949 §4.2.1) an event is made of.
//!
//! Integers, byte strings, texts, arrays of definite length and one map. No floats, tags, simple values, indefinite
//! lengths or nesting beyond an array: what is not here cannot be smuggled in.

/// Unsigned integer.
const UINT: u8 = 0;
/// Negative integer, holding `-1 - n`.
const NEGATIVE: u8 = 1;
/// Byte string.
const BYTES: u8 = 2;
/// UTF-8 text.
const TEXT: u8 = 3;
/// Array.
const ARRAY: u8 = 4;
/// Map.
const MAP: u8 = 5;

/// Writes one map whose keys are small integers.
pub(crate) struct Writer {
    out: Vec<u8>,
    entries: u8,
}

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes);
        // The map's head, filled in by `finish`, because only then the number of entries is known.
        out.push(MAP << 5);
        Self { out, entries: 0 }
    }

    /// Begins the next entry. The caller writes keys in ascending order.
    pub(crate) fn key(&mut self, key: u64) {
        self.entries += 1;
        self.head(UINT, key);
    }

    pub(crate) fn uint(&mut self, value: u64) {
        self.head(UINT, value);
    }

    pub(crate) fn int(&mut self, value: i64) {
        // `!value` is `-1 - value`, without overflow at the end of the range.
        if value < 0 { self.head(NEGATIVE, !value as u64) } else { self.head(UINT, value as u64) }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.head(BYTES, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.text_of_two(text, "");
    }

    /// One text out of two pieces, without joining them first.
    pub(crate) fn text_of_two(&mut self, first: &str, second: &str) {
        self.head(TEXT, (first.len() + second.len()) as u64);
        self.out.extend_from_slice(first.as_bytes());
        self.out.extend_from_slice(second.as_bytes());
    }

    pub(crate) fn array(&mut self, items: usize) {
        self.head(ARRAY, items as u64);
    }

    /// The shortest head for this number, as deterministic encoding demands.
    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        match value {
            0..=23 => self.out.push(major | value as u8),
            24..=0xff => self.out.extend_from_slice(&[major | 24, value as u8]),
            0x100..=0xffff => {
                self.out.push(major | 25);
                self.out.extend_from_slice(&(value as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.out.push(major | 26);
                self.out.extend_from_slice(&(value as u32).to_be_bytes());
            }
            _ => {
                self.out.push(major | 27);
                self.out.extend_from_slice(&value.to_be_bytes());
            }
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.entries <= 23 {
            self.out[0] = MAP << 5 | self.entries;
        } else {
            // Rare: only an event with nearly every detail has so many entries.
            self.out[0] = MAP << 5 | 24;
            self.out.insert(1, self.entries);
        }
        self.out
    }
}

/// The bytes are not what was expected here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// They end too early.
    Truncated,
    /// Another type, a longer head than needed, an indefinite length, a number out of range.
    Item,
}

/// Reads what [`Writer`] writes. Borrows; trusts no length before the bytes are there.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The unsigned integer that comes next, without taking it.
    pub(crate) fn peek_uint(&self) -> Result<u64, Malformed> {
        Reader { rest: self.rest }.uint()
    }

    pub(crate) fn uint(&mut self) -> Result<u64, Malformed> {
        self.head_of(UINT)
    }

    pub(crate) fn int(&mut self) -> Result<i64, Malformed> {
        let (major, value) = self.head()?;
        let value = i64::try_from(value).map_err(|_| Malformed::Item)?;
        match major {
            UINT => Ok(value),
            NEGATIVE => Ok(!value),
            _ => Err(Malformed::Item),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.head_of(BYTES)?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.head_of(TEXT)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed::Item)
    }

    pub(crate) fn array(&mut self) -> Result<u64, Malformed> {
        self.head_of(ARRAY)
    }

    pub(crate) fn map(&mut self) -> Result<u64, Malformed> {
        self.head_of(MAP)
    }

    fn head_of(&mut self, major: u8) -> Result<u64, Malformed> {
        match self.head()? {
            (found, value) if found == major => Ok(value),
            _ => Err(Malformed::Item),
        }
    }

    fn head(&mut self) -> Result<(u8, u64), Malformed> {
        let first = self.take(1)?[0];
        let (major, short) = (first >> 5, first & 0x1f);
        let (value, least) = match short {
            0..=23 => (u64::from(short), 0),
            24 => (self.number(1)?, 24),
            25 => (self.number(2)?, 0x100),
            26 => (self.number(4)?, 0x1_0000),
            27 => (self.number(8)?, 0x1_0000_0000),
            // 28 to 30 are reserved, 31 is an indefinite length.
            _ => return Err(Malformed::Item),
        };
        if value < least { Err(Malformed::Item) } else { Ok((major, value)) }
    }

    fn number(&mut self, bytes: u64) -> Result<u64, Malformed> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: i64) -> Vec<u8> {
        let mut writer = Writer::with_capacity(16);
        writer.int(value);
        writer.finish()[1..].to_vec()
    }

    /// The integers of RFC 8949, appendix A.
    #[test]
    fn integers_of_the_rfc() {
        for (value, hex) in [
            (0, "00"),
            (23, "17"),
            (24, "1818"),
            (100, "1864"),
            (1000, "1903e8"),
            (1_000_000, "1a000f4240"),
            (1_000_000_000_000, "1b000000e8d4a51000"),
            (-1, "20"),
            (-10, "29"),
            (-100, "3863"),
            (-1000, "3903e7"),
        ] {
            let bytes = int(value);
            assert_eq!(crate::hex::of(&bytes), hex);
            assert_eq!(Reader::new(&bytes).int(), Ok(value));
        }
        for value in [i64::MIN, i64::MAX] {
            assert_eq!(Reader::new(&int(value)).int(), Ok(value));
        }
    }

    /// A longer head than needed, reserved heads and indefinite lengths are refused, and a huge length asks for nothing.
    #[test]
    fn only_the_shortest_head() {
        for bytes in [
            &[0x18, 23][..],
            &[0x19, 0, 255],
            &[0x1a, 0, 0, 255, 255],
            &[0x1c],
            &[0x1f],
            &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
        ] {
            assert_eq!(Reader::new(bytes).uint(), Err(Malformed::Item));
        }
        assert_eq!(
            Reader::new(&[0x5b, 255, 255, 255, 255, 255, 255, 255, 255]).bytes(),
            Err(Malformed::Truncated)
        );
        assert_eq!(Reader::new(&[0x5f, 0x41, 0, 0xff]).bytes(), Err(Malformed::Item));
        assert_eq!(Reader::new(&[0x61, 0xff]).text(), Err(Malformed::Item));
        assert_eq!(Reader::new(&[]).uint(), Err(Malformed::Truncated));
    }
}
