//! A value that is typed or pasted at a terminal, unseen and whole.
//!
//! A terminal that waits for lines hands over the first line of what is pasted and keeps the rest for the next program, and
//! cuts a line at 4,095 bytes. So keys are read one by one here, until Enter is pressed with nothing behind it.

use std::{
    io::{self, Write},
    os::fd::AsFd,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};

/// How long to wait behind an Enter for more of what is pasted, for terminals that do not mark what is. Nobody types the next
/// line that fast.
const MORE_WITHIN_MILLIS: i64 = 150;
/// What a terminal that marks pasted text puts around it, once it was asked to.
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";
const MARK_PASTES: &[u8] = b"\x1b[?2004h";
const MARK_NO_PASTES: &[u8] = b"\x1b[?2004l";

/// What a key means.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    /// It is part of the text, or changed it.
    Text,
    /// The end, unless more is on its way.
    Enter,
    /// The end.
    End,
    /// Nothing is to be done.
    Abort,
}

/// What was typed so far. No `Debug`: it is a value.
#[derive(Default)]
struct Typed {
    text: Vec<u8>,
    /// An escape sequence that has not ended.
    escape: Vec<u8>,
    in_paste: bool,
}

impl Typed {
    fn take(&mut self, byte: u8) -> Key {
        if !self.escape.is_empty() || byte == 0x1b {
            return self.take_escape(byte);
        }
        match byte {
            b'\r' | b'\n' if !self.in_paste => return Key::Enter,
            b'\r' => self.text.push(b'\n'),
            0x03 if !self.in_paste => return Key::Abort,
            0x04 if !self.in_paste => return Key::End,
            0x08 | 0x7f if !self.in_paste => while self.text.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            0x15 if !self.in_paste => self.text.clear(),
            byte => self.text.push(byte),
        }
        Key::Text
    }

    /// Marks of a paste, and keys without a meaning here, such as arrows: `ESC [ … letter` or `ESC O letter`.
    fn take_escape(&mut self, byte: u8) -> Key {
        self.escape.push(byte);
        let is_whole = match self.escape.as_slice() {
            [_] | [_, b'[' | b'O'] => false,
            [_, b'[', .., last] => (0x40..=0x7e).contains(last),
            _ => true,
        };
        if is_whole {
            match self.escape.as_slice() {
                PASTE_BEGINS => self.in_paste = true,
                PASTE_ENDS => self.in_paste = false,
                // Within a paste nothing is a key: it is kept, for whoever checks the value to refuse.
                other if self.in_paste => self.text.extend_from_slice(other),
                _ => {}
            }
            self.escape.clear();
        }
        Key::Text
    }
}

/// Reads until Enter with nothing behind it, or Ctrl-D. `None` if it was broken off. One line break at the end is not part
/// of it.
pub(super) fn read(prompt: &str) -> io::Result<Option<String>> {
    let terminal = Unseen::begin(prompt)?;
    let mut typed = Typed::default();
    let mut chunk = [0; 4096];
    'reading: loop {
        let count = rustix::io::read(io::stdin(), &mut chunk)?;
        if count == 0 {
            break;
        }
        for (at, byte) in chunk[..count].iter().enumerate() {
            match typed.take(*byte) {
                Key::Text => {}
                Key::Enter if at + 1 < count || is_more_waiting()? => typed.text.push(b'\n'),
                // Nothing is no value: keep on asking.
                Key::Enter if typed.text.is_empty() => {}
                Key::Enter | Key::End => break 'reading,
                Key::Abort => return Ok(None),
            }
        }
    }
    drop(terminal);
    let text = String::from_utf8(typed.text);
    let text = text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))?;
    Ok(Some(super::without_line_break(&text).to_owned()))
}

fn is_more_waiting() -> io::Result<bool> {
    let stdin = io::stdin();
    let patience = Timespec { tv_sec: 0, tv_nsec: MORE_WITHIN_MILLIS * 1_000_000 };
    Ok(poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&patience))? > 0)
}

/// The terminal while keys are read one by one and not shown. Left as it was when dropped.
struct Unseen {
    before: Termios,
}

impl Unseen {
    fn begin(prompt: &str) -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let mut unseen = before.clone();
        // Ctrl-C is read like any key, so that the terminal is put right before the command ends.
        unseen.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
        tcsetattr(stdin.as_fd(), OptionalActions::Now, &unseen)?;
        let terminal = Self { before };
        let mut stderr = io::stderr().lock();
        stderr.write_all(MARK_PASTES)?;
        write!(stderr, "{prompt}: ")?;
        stderr.flush()?;
        Ok(terminal)
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // If this fails the terminal is gone.
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &self.before);
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(MARK_NO_PASTES).and_then(|()| stderr.write_all(b"\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> (Vec<u8>, Key) {
        let mut typed = Typed::default();
        let mut last = Key::Text;
        for byte in bytes {
            last = typed.take(*byte);
        }
        (typed.text, last)
    }

    /// Keys edit, and what is marked as pasted is text whatever it holds.
    #[test]
    fn keys_and_pastes() {
        assert_eq!(typed("aö\u{7f}b".as_bytes()), (b"ab".to_vec(), Key::Text));
        assert_eq!(typed(b"wrong\x15right\x1b[A\x1bOB"), (b"right".to_vec(), Key::Text));
        assert_eq!(typed(b"a\r"), (b"a".to_vec(), Key::Enter));
        assert_eq!(typed(b"a\x04"), (b"a".to_vec(), Key::End));
        assert_eq!(typed(b"a\x03").1, Key::Abort);
        assert_eq!(typed(b"\x1b[200~a\r\x04b\x1b[201~"), (b"a\n\x04b".to_vec(), Key::Text));
        assert_eq!(typed(b"\x1b[200~a\x1b[201~\n"), (b"a".to_vec(), Key::Enter));
    }
}
