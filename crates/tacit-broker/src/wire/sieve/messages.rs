//! gRPC's messages: a flag, a length of four bytes, and as many bytes.
//!
//! A message that is changed gets a new length. The lengths inside of it cannot be mended here, so a client will often not
//! be able to read what is left; it is not meant to.

use super::WireError;
use zeroize::Zeroize;

/// Bytes of one message; what most clients take by default.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
const PREFIX_BYTES: usize = 5;

/// Cuts a body into messages.
#[derive(Default)]
pub(super) struct Messages {
    /// The message that is not complete yet, with its prefix.
    pending: Vec<u8>,
}

impl Messages {
    /// Reads the next part of the body. `scrub` appends what is left of a message's content.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        out: &mut Vec<u8>,
        mut scrub: impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let mut rest = piece;
        while !rest.is_empty() {
            let missing = self.length()?.saturating_sub(self.pending.len());
            let (taken, after) = rest.split_at(missing.min(rest.len()));
            self.pending.extend_from_slice(taken);
            rest = after;
            // Having the prefix may show that there is more.
            if self.pending.len() < self.length()? {
                continue;
            }
            let start = out.len();
            out.extend_from_slice(&[0; PREFIX_BYTES]);
            scrub(&self.pending[PREFIX_BYTES..], out)?;
            let length = u32::try_from(out.len() - start - PREFIX_BYTES).map_err(|_| WireError::TooLarge)?;
            out[start + 1..start + PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
            self.pending.zeroize();
        }
        Ok(())
    }

    /// Checks that the body ended where a message does.
    pub(super) fn finish(self) -> Result<(), WireError> {
        if self.pending.is_empty() { Ok(()) } else { Err(WireError::UpstreamFailed) }
    }

    /// How long the pending message is with its prefix, as far as that is known.
    fn length(&self) -> Result<usize, WireError> {
        match *self.pending.as_slice() {
            [0, a, b, c, d, ..] => {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                if length > MESSAGE_BYTES_MAX { Err(WireError::TooLarge) } else { Ok(PREFIX_BYTES + length) }
            }
            [] | [0, ..] => Ok(PREFIX_BYTES),
            // Compressed, in a way that only the two ends know.
            _ => Err(WireError::Unscannable),
        }
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.pending.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &[u8]) -> Vec<u8> {
        [&[0][..], &(content.len() as u32).to_be_bytes(), content].concat()
    }

    /// Messages come out whole, one by one, with the length of what is left.
    #[test]
    fn messages_at_any_cut() {
        let body = [message(b"one"), message(b""), message(b"three three")].concat();
        let expected = [message(b"ONE!"), message(b"!"), message(b"THREE THREE!")].concat();
        for size in 1..=body.len() {
            let (mut messages, mut out) = (Messages::default(), Vec::new());
            for piece in body.chunks(size) {
                messages
                    .push(piece, &mut out, |content, out| {
                        out.extend(content.to_ascii_uppercase());
                        out.push(b'!');
                        Ok(())
                    })
                    .unwrap();
            }
            messages.finish().unwrap();
            assert_eq!(out, expected, "{size}");
        }
    }

    #[test]
    fn messages_that_are_refused() {
        let push = |bytes: &[u8]| {
            let mut messages = Messages::default();
            messages.push(bytes, &mut Vec::new(), |_, _| Ok(()))?;
            messages.finish()
        };
        assert_eq!(push(b"\x01\0\0\0\x01a"), Err(WireError::Unscannable));
        assert_eq!(push(b"\x80\0\0\0\x01a"), Err(WireError::Unscannable));
        assert_eq!(push(b"\0\xff\0\0\0"), Err(WireError::TooLarge));
        assert_eq!(push(b"\0\0\0\0\x02a"), Err(WireError::UpstreamFailed));
        assert_eq!(push(b"\0\0"), Err(WireError::UpstreamFailed));
        assert_eq!(push(b""), Ok(()));
    }
}
