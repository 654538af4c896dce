//! A chunked body, followed to its end.
//!
//! Sizes in hexadecimal, CRLF, no extensions and no trailers: nobody who sends requests needs them, and both have been
//! read differently by two parsers.

/// Digits of a size: more than any body has.
const DIGITS_MAX: u32 = 15;

/// Not a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Size { digits: u32, size: u64 },
    SizeLineFeed(u64),
    Data(u64),
    DataReturn,
    DataLineFeed,
    LastReturn,
    LastLineFeed,
    End,
}

/// A place in a chunked body.
#[derive(Debug)]
pub(super) struct Chunks(Next);

impl Default for Chunks {
    fn default() -> Self {
        Self(Next::Size { digits: 0, size: 0 })
    }
}

impl Chunks {
    /// Reads on, to the end of the body at most. Says how much of `bytes` belongs to it.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<usize, Bad> {
        let mut at = 0;
        while at < bytes.len() && self.0 != Next::End {
            if let Next::Data(left) = self.0 {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += taken;
                let left = left - taken as u64;
                self.0 = if left == 0 { Next::DataReturn } else { Next::Data(left) };
                continue;
            }
            self.0 = step(self.0, bytes[at])?;
            at += 1;
        }
        Ok(at)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0 == Next::End
    }
}

fn step(next: Next, byte: u8) -> Result<Next, Bad> {
    Ok(match (next, byte) {
        (Next::Size { digits, size }, byte) if byte.is_ascii_hexdigit() && digits < DIGITS_MAX => {
            let digit = char::from(byte).to_digit(16).ok_or(Bad)?;
            Next::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
        }
        (Next::Size { digits: 1.., size }, b'\r') => Next::SizeLineFeed(size),
        (Next::SizeLineFeed(0), b'\n') => Next::LastReturn,
        (Next::SizeLineFeed(size), b'\n') => Next::Data(size),
        (Next::DataReturn, b'\r') => Next::DataLineFeed,
        (Next::DataLineFeed, b'\n') => Next::Size { digits: 0, size: 0 },
        (Next::LastReturn, b'\r') => Next::LastLineFeed,
        (Next::LastLineFeed, b'\n') => Next::End,
        _ => return Err(Bad),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_wherever_the_bytes_are_cut() {
        let body = b"5\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\nGET";
        for cut in 0..body.len() {
            let mut chunks = Chunks::default();
            let first = chunks.read(&body[..cut]).unwrap();
            let second = chunks.read(&body[first..]).unwrap();
            assert!(chunks.is_at_end());
            assert_eq!(first + second, body.len() - 3);
        }
    }

    #[test]
    fn f1_what_two_parsers_would_read_differently() {
        for bad in [
            "5;ext=1\r\nhello\r\n0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "5\nhello\n0\n\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "-5\r\nhello\r\n0\r\n\r\n",
            "5\r\nhelloo\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "\r\n",
            "0\r\nTrailer: x\r\n\r\n",
            "0\r\n\n",
            "10000000000000000\r\nx",
        ] {
            assert_eq!(Chunks::default().read(bad.as_bytes()), Err(Bad), "{bad:?}");
        }
    }
}
