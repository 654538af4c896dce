//! A client of HTTP/2 that writes its frames by hand, because no library would send what these cases send.

use tokio::time::timeout;

use crate::client::{Conn, PATIENCE};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What came of one request.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Every byte of its body.
    pub(crate) body: Vec<u8>,
    /// Whether a head came.
    pub(crate) is_answered: bool,
    /// Whether the stream or the connection was reset.
    pub(crate) is_reset: bool,
}

impl Outcome {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection after its preface.
pub(crate) struct Frames {
    conn: Conn,
    held: Vec<u8>,
}

impl Frames {
    pub(crate) async fn open(mut conn: Conn) -> Self {
        conn.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let mut frames = Self { conn, held: Vec::new() };
        frames.write(SETTINGS, 0, 0, b"").await;
        frames
    }

    /// One request on stream 1: fields as they are, a body if there is one, and trailers if there are some.
    pub(crate) async fn ask(
        &mut self,
        fields: &[(&str, &str)],
        body: &[u8],
        trailers: &[(&str, &str)],
    ) -> Outcome {
        let ends = if body.is_empty() && trailers.is_empty() { END_STREAM } else { 0 };
        self.write(HEADERS, END_HEADERS | ends, 1, &block(fields)).await;
        if !body.is_empty() {
            self.write(DATA, if trailers.is_empty() { END_STREAM } else { 0 }, 1, body).await;
        }
        if !trailers.is_empty() {
            self.write(HEADERS, END_HEADERS | END_STREAM, 1, &block(trailers)).await;
        }
        self.outcome().await
    }

    async fn outcome(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        while let Ok(Some((kind, flags, stream, payload))) = timeout(PATIENCE, self.frame()).await {
            match kind {
                HEADERS if stream == 1 => outcome.is_answered = true,
                DATA if stream == 1 => outcome.body.extend(payload),
                RST_STREAM | GOAWAY => {
                    outcome.is_reset = true;
                    break;
                }
                _ => continue,
            }
            if flags & END_STREAM != 0 {
                break;
            }
        }
        outcome
    }

    async fn frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        loop {
            if let [a, b, c, kind, flags, stream @ ..] = self.held.as_slice()
                && let Some((stream, rest)) = stream.split_first_chunk::<4>()
            {
                let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
                if rest.len() >= length {
                    let frame = (*kind, *flags, u32::from_be_bytes(*stream), rest[..length].to_vec());
                    self.held.drain(..9 + length);
                    return Some(frame);
                }
            }
            let more = self.conn.some().await;
            if more.is_empty() {
                return None;
            }
            self.held.extend(more);
        }
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.conn.write(frame).await;
    }
}

/// Fields as literals that nobody indexes (RFC 7541, 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            let mut left = text.len();
            if left < 127 {
                block.push(u8::try_from(left).unwrap());
            } else {
                block.push(127);
                left -= 127;
                while left >= 128 {
                    block.push(u8::try_from(left % 128).unwrap() | 128);
                    left /= 128;
                }
                block.push(u8::try_from(left).unwrap());
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}
