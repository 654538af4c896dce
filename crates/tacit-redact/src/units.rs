//! The escapes that stand for one character: `%73`, `\u0073`, `\x73`, `\163`, `\/`, `&#115;`, `&amp;`.

use zeroize::Zeroizing;

/// No escape is longer, so this many bytes decide whether one begins here. Padding an entity with noughts
/// beyond it makes it unreadable to us; the limit is what keeps the hold-back constant.
pub(crate) const UNIT_MAX: usize = 12;

/// An escape that was read: how long it is and which bytes it stands for. Small enough for a register, since
/// escape-heavy text makes one in every few bytes.
pub(crate) struct Unit {
    len: u8,
    text: [u8; 4],
    text_len: u8,
}

impl Unit {
    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    #[inline]
    pub(crate) fn text(&self) -> &[u8] {
        &self.text[..usize::from(self.text_len)]
    }

    fn byte(len: usize, byte: u8) -> Self {
        Self { len: len as u8, text: [byte, 0, 0, 0], text_len: 1 }
    }

    fn char(len: usize, code: u32) -> Option<Self> {
        let mut text = [0; 4];
        let text_len = char::from_u32(code)?.encode_utf8(&mut text).len();
        Some(Self { len: len as u8, text, text_len: text_len as u8 })
    }
}

/// Named entities of characters that values are made of.
const ENTITIES: &[(&[u8], u8)] = &[
    (b"amp;", b'&'),
    (b"lt;", b'<'),
    (b"gt;", b'>'),
    (b"quot;", b'"'),
    (b"apos;", b'\''),
    (b"sol;", b'/'),
    (b"bsol;", b'\\'),
    (b"equals;", b'='),
    (b"plus;", b'+'),
    (b"lowbar;", b'_'),
    (b"UnderBar;", b'_'),
    (b"hyphen;", b'-'),
    (b"period;", b'.'),
    (b"comma;", b','),
    (b"colon;", b':'),
    (b"semi;", b';'),
    (b"excl;", b'!'),
    (b"quest;", b'?'),
    (b"num;", b'#'),
    (b"dollar;", b'$'),
    (b"percnt;", b'%'),
    (b"ast;", b'*'),
    (b"commat;", b'@'),
    (b"lpar;", b'('),
    (b"rpar;", b')'),
    (b"lsqb;", b'['),
    (b"rsqb;", b']'),
    (b"lcub;", b'{'),
    (b"rcub;", b'}'),
    (b"verbar;", b'|'),
    (b"Hat;", b'^'),
    (b"grave;", b'`'),
    (b"nbsp;", b' '),
    (b"NewLine;", b'\n'),
    (b"Tab;", b'\t'),
];

/// The first byte that may begin an escape.
pub(crate) fn find_lead(text: &[u8]) -> Option<usize> {
    memchr::memchr3(b'%', b'\\', b'&', text)
}

/// Reads the escape at the beginning of the text, which must hold `UNIT_MAX` bytes unless it ends sooner.
pub(crate) fn parse(text: &[u8]) -> Option<Unit> {
    match text.first()? {
        b'%' => percent(text),
        b'\\' => backslash(text),
        b'&' => entity(text),
        _ => None,
    }
}

/// The content of a JSON string as it reads.
pub(crate) fn unescape_json(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..text.len().min(at + UNIT_MAX)];
        match (rest[0] == b'\\').then(|| parse(rest)).flatten() {
            Some(unit) => {
                plain.extend_from_slice(unit.text());
                at += unit.len();
            }
            None => {
                plain.push(text[at]);
                at += 1;
            }
        }
    }
    plain
}

fn percent(text: &[u8]) -> Option<Unit> {
    if let Some(byte) = hex(text, 1, 2) {
        return Some(Unit::byte(3, byte as u8));
    }
    // The `escape()` function of old browsers.
    matches!(text.get(1)?, b'u' | b'U')
        .then(|| hex(text, 2, 4))
        .flatten()
        .and_then(|code| Unit::char(6, code))
}

fn backslash(text: &[u8]) -> Option<Unit> {
    let kind = *text.get(1)?;
    match kind {
        b'u' if text.get(2) == Some(&b'{') => braced(text),
        b'u' => utf16(text),
        b'U' => Unit::char(10, hex(text, 2, 8)?),
        b'x' if text.get(2) == Some(&b'{') => braced(text),
        b'x' => Some(Unit::byte(4, hex(text, 2, 2)? as u8)),
        b'0'..=b'7' => Some(octal(text)),
        b'n' => Some(Unit::byte(2, b'\n')),
        b'r' => Some(Unit::byte(2, b'\r')),
        b't' => Some(Unit::byte(2, b'\t')),
        b'b' => Some(Unit::byte(2, 8)),
        b'f' => Some(Unit::byte(2, 12)),
        b' ' => Some(Unit::byte(2, b' ')),
        _ if kind.is_ascii_punctuation() => Some(Unit::byte(2, kind)),
        _ => None,
    }
}

/// `\u0073`, and the two halves of a character beyond the first plane.
fn utf16(text: &[u8]) -> Option<Unit> {
    let first = hex(text, 2, 4)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Unit::char(6, first);
    }
    let second = (text.get(6..8)? == br"\u").then(|| hex(text, 8, 4)).flatten()?;
    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Unit::char(12, 0x10000 + ((first - 0xd800) << 10) + low)
}

/// `\u{73}`
fn braced(text: &[u8]) -> Option<Unit> {
    let digits = text[3..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let code = hex(text, 3, digits).filter(|_| (1..=8).contains(&digits))?;
    (text.get(3 + digits) == Some(&b'}')).then(|| Unit::char(4 + digits, code)).flatten()
}

/// `\163`, and `\0` alone.
fn octal(text: &[u8]) -> Unit {
    let digits = text[1..].iter().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
    let code = text[1..=digits].iter().fold(0u32, |code, b| code * 8 + u32::from(b - b'0'));
    if code > 255 { Unit::byte(digits, (code / 8) as u8) } else { Unit::byte(1 + digits, code as u8) }
}

fn entity(text: &[u8]) -> Option<Unit> {
    if text.get(1) != Some(&b'#') {
        // Most ampersands stand in a query and are not worth a search through the names.
        let letters = text[1..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let name = text.get(1..letters + 2).filter(|name| name.ends_with(b";"))?;
        let (name, byte) = ENTITIES.iter().find(|(entity, _)| *entity == name)?;
        return Some(Unit::byte(1 + name.len(), *byte));
    }
    let (from, radix) = if matches!(text.get(2)?, b'x' | b'X') { (3, 16) } else { (2, 10) };
    let is_digit = |b: &&u8| char::from(**b).is_digit(radix);
    let digits = text[from..].iter().take(UNIT_MAX - from - 1).take_while(is_digit).count();
    let number = std::str::from_utf8(&text[from..from + digits]).ok()?;
    let code = u32::from_str_radix(number, radix).ok()?;
    // Browsers read a number without its semicolon as well.
    let end = from + digits;
    Unit::char(end + usize::from(text.get(end) == Some(&b';')), code)
}

fn hex(text: &[u8], from: usize, digits: usize) -> Option<u32> {
    let text = text.get(from..from + digits)?;
    text.iter().try_fold(0u32, |code, b| Some(code.wrapping_shl(4) | char::from(*b).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(usize, Vec<u8>)> {
        parse(text.as_bytes()).map(|unit| (unit.len(), unit.text().to_vec()))
    }

    #[test]
    fn every_spelling_of_a_letter_is_read() {
        for spelling in [
            "%73",
            "%u0073",
            r"\u0073",
            r"\u{73}",
            r"\U00000073",
            r"\x73",
            r"\x{73}",
            r"\163",
            "&#115;",
            "&#x73;",
            "&#0000115;",
            "&#X0073;",
        ] {
            assert_eq!(read(spelling), Some((spelling.len(), b"s".to_vec())), "{spelling}");
        }
        assert_eq!(read(r"\/"), Some((2, b"/".to_vec())));
        assert_eq!(read(r"\ud83d\ude00"), Some((12, "😀".as_bytes().to_vec())));
        assert_eq!(read("&equals;"), Some((8, b"=".to_vec())));
        assert_eq!(read("&#115 "), Some((5, b"s".to_vec())));
        assert_eq!(read(r"\0"), Some((2, vec![0])));
    }

    #[test]
    fn what_only_looks_like_an_escape_is_left_alone() {
        for text in [
            "%",
            "%7",
            "%zz",
            r"\",
            r"\u00",
            r"\ud83d",
            r"\q",
            "&",
            "&b=2",
            "&#;",
            "&#x;",
            r"\u{}",
            r"\x{110000000}",
            "a",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn no_unit_is_longer_than_the_limit() {
        for text in ["&#99999999999;", "&#x000000000000073;", r"\u{0000000000073}"] {
            assert!(read(text).is_none_or(|(len, _)| len <= UNIT_MAX), "{text}");
        }
        assert!(ENTITIES.iter().all(|(name, _)| name.len() < UNIT_MAX));
    }
}
