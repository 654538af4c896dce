//! Server-sent events: where one ends and the next begins.
//!
//! An event is a few lines and a blank one after them; lines end with CR, LF or both. It ends with the first byte that
//! ends its blank line, so that a client sees it at the moment at which it is complete.

use super::WireError;
use zeroize::Zeroize;

/// Bytes of one event.
const EVENT_BYTES_MAX: usize = 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts a text into events.
#[derive(Default)]
pub(super) struct Events {
    /// The event that is not complete yet, as it came.
    event: Vec<u8>,
    /// The values of its `data` lines, one after the other.
    data: Vec<u8>,
    /// Where its last line begins.
    line: usize,
    /// Whether the last byte was a CR, to which a following LF belongs.
    is_after_cr: bool,
    /// Whether an event was completed before.
    is_begun: bool,
}

impl Events {
    /// Reads the next part of the text, and hands on each event that it completes, with its data.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let mut rest = piece;
        while !rest.is_empty() {
            if std::mem::take(&mut self.is_after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                if self.event.is_empty() {
                    // The second half of the end of an event that is out already.
                    each(b"\n", b"")?;
                } else {
                    self.event.push(b'\n');
                    self.line = self.event.len();
                }
                continue;
            }
            let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                return self.append(rest);
            };
            self.append(&rest[..at])?;
            let ending = if rest[at..].starts_with(b"\r\n") { 2 } else { 1 };
            let (ended, after) = rest.split_at(at + ending);
            self.is_after_cr = ended.ends_with(b"\r");
            rest = after;
            let is_blank = self.end_line();
            self.event.extend_from_slice(&ended[at..]);
            self.line = self.event.len();
            if is_blank {
                each(&self.event, &self.data)?;
                self.clear();
            }
        }
        Ok(())
    }

    /// Hands on what stands at the end without a blank line after it. Clients that follow the rules ignore it.
    pub(super) fn finish(
        mut self,
        each: impl FnOnce(&[u8], &[u8]) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        if self.event.is_empty() {
            return Ok(());
        }
        self.end_line();
        each(&self.event, &self.data)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        if self.event.len() + bytes.len() > EVENT_BYTES_MAX {
            return Err(WireError::TooLarge);
        }
        self.event.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads the last line, and says whether it is blank.
    fn end_line(&mut self) -> bool {
        let mut line = &self.event[self.line..];
        if !self.is_begun && self.line == 0 {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        }
        line.is_empty()
    }

    fn clear(&mut self) {
        self.event.zeroize();
        self.data.zeroize();
        self.line = 0;
        self.is_begun = true;
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What the `data` lines of one event say together.
pub(super) fn data_of(event: &[u8]) -> Vec<u8> {
    let lines = event.split(|byte| matches!(byte, b'\r' | b'\n'));
    let values =
        lines.filter_map(|line| line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).strip_prefix(b"data:"));
    values.flat_map(|value| value.strip_prefix(b" ").unwrap_or(value)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a text that comes in pieces of one size.
    fn events(text: &[u8], size: usize) -> Vec<(String, String)> {
        let mut seen = Vec::new();
        let mut events = Events::default();
        let mut each = |event: &[u8], data: &[u8]| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            seen.push((text(event), text(data)));
            Ok(())
        };
        for piece in text.chunks(size) {
            events.push(piece, &mut each).unwrap();
        }
        events.finish(&mut each).unwrap();
        seen
    }

    fn data(text: &str) -> Vec<String> {
        events(text.as_bytes(), usize::MAX).into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn lines_end_in_three_ways() {
        for ending in ["\n", "\r", "\r\n"] {
            let text =
                format!("event: x{ending}data: a{ending}data:b{ending}{ending}data:  c{ending}{ending}");
            assert_eq!(data(&text), ["ab", " c"], "{ending:?}");
        }
        assert_eq!(data("data: a\r\n\ndata: b\n\r\ndata: c\r\r\n"), ["a", "b", "c"]);
    }

    /// However it is cut, all of it comes out in order, and an event as soon as it is complete.
    #[test]
    fn nothing_is_lost_at_any_cut() {
        let text = "\u{feff}data: a\r\n\r\n: comment\n\n\n\nid: 1\rdata\rdata: \u{e4}\r\rdata: x\ndatas: y\n data: z\n\ndata: end";
        let whole = events(text.as_bytes(), usize::MAX);
        for size in 1..text.len() {
            let cut = events(text.as_bytes(), size);
            let joined: String = cut.iter().map(|(event, _)| event.as_str()).collect();
            assert_eq!(joined, text, "{size}");
            let data: Vec<_> = cut.iter().filter(|(event, _)| event != "\n").map(|(_, data)| data).collect();
            let expected: Vec<_> =
                whole.iter().filter(|(event, _)| event != "\n").map(|(_, data)| data).collect();
            assert_eq!(data, expected, "{size}");
        }
        assert_eq!(whole[0].1, "a");
        for (event, data) in &whole[..whole.len() - 1] {
            assert_eq!(data_of(event.as_bytes()), data.as_bytes(), "{event:?}");
        }
    }

    /// A CR ends an event even if an LF may follow: nobody waits for what may never come.
    #[test]
    fn an_event_is_out_with_its_last_necessary_byte() {
        let mut events = Events::default();
        let mut count = 0;
        for (piece, expected) in
            [("data: a\r", 0), ("\n", 0), ("\r", 1), ("\n", 2), ("data: b\n", 2), ("\n", 3)]
        {
            events
                .push(piece.as_bytes(), |_, _| {
                    count += 1;
                    Ok(())
                })
                .unwrap();
            assert_eq!(count, expected, "{piece:?}");
        }
    }

    #[test]
    fn an_event_has_a_limit() {
        let mut events = Events::default();
        let piece = [b'a'; 64 * 1024];
        let pushed = (0..17).map(|_| events.push(&piece, |_, _| Ok(()))).find(Result::is_err);
        assert_eq!(pushed, Some(Err(WireError::TooLarge)));
        let lines = b"a\n".repeat(1024 * 1024);
        assert_eq!(Events::default().push(&lines, |_, _| Ok(())), Err(WireError::TooLarge));
    }
}
