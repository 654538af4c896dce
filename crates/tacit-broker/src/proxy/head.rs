//! A strict front before the HTTP library: bytes of a request reach it only after they were found to be readable in one
//! way.
//!
//! Two parsers that read one request differently are how requests are smuggled (attack F1). hyper is one; whatever stands
//! between the client and us may be another. So this reads HTTP/1.1 as its grammar has it and forgives nothing: lines end
//! in CRLF, there is one way to say how long a body is, a header is one line. What hyper gets after that has one meaning.
//!
//! [`StrictIo`] lies under hyper's server connection. It holds a request's head back until it is complete and checked,
//! then follows the body to know where the next head begins. A bad head is the end of the stream for hyper; who serves the
//! connection then finds the [`Violation`] and answers it. A request that is still being answered is given up then, as it is
//! whenever a client hangs up: nobody sends such a head behind a good one by mistake. In the middle of a body nothing can
//! be answered any more, and the stream fails.

mod chunks;
mod rules;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use chunks::Chunks;
use rules::{Framing, HEAD_BYTES_MAX, check_head};
pub use rules::{Violation, check_in_tunnel};

/// How much is read from the client at once.
const READ_BYTES: usize = 16 * 1024;

/// What kind of requests a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// None: `CONNECT` may come, also in HTTP/1.0 and without a `Host`, as older clients write it.
    Nothing,
    /// A tunnel.
    Tunnel,
}

/// What is being read.
enum State {
    Head,
    /// So many bytes of a body.
    Length(u64),
    Chunked(Chunks),
    /// What comes after a `CONNECT` is no request.
    Connected,
    /// Nothing is passed on any more.
    Violated(Violation),
    /// The client is done.
    Ended,
}

/// A connection of a client, of which only well-formed requests can be read.
pub struct StrictIo<I> {
    io: I,
    inside: Inside,
    state: State,
    /// Received and not yet passed on.
    buffer: BytesMut,
    /// How much of `buffer` may be passed on.
    checked: usize,
    /// How much of the head at the start of `buffer` holds no end of it.
    searched: usize,
}

impl<I> StrictIo<I> {
    /// In front of a connection at the beginning of a request.
    pub fn new(io: I, inside: Inside) -> Self {
        Self { io, inside, state: State::Head, buffer: BytesMut::new(), checked: 0, searched: 0 }
    }

    /// The connection as it was, what was read from it and not passed on, and what was wrong, if something was.
    pub fn into_parts(self) -> (I, BytesMut, Option<Violation>) {
        let violation = if let State::Violated(violation) = self.state { Some(violation) } else { None };
        (self.io, self.buffer, violation)
    }

    /// Looks at what was received. `true` if there is something new to pass on or the state changed; `false` if more has
    /// to be received.
    fn advance(&mut self) -> io::Result<bool> {
        let left = &self.buffer[self.checked..];
        match &mut self.state {
            State::Head => {
                let checked = match find_end(left, &mut self.searched) {
                    Ok(None) => return Ok(false),
                    Ok(Some(end)) => check_head(&left[..end], self.inside).map(|framing| (end, framing)),
                    Err(violation) => Err(violation),
                };
                match checked {
                    Ok((end, framing)) => {
                        self.checked += end;
                        self.state = match framing {
                            Framing::None => State::Head,
                            Framing::Length(bytes) => State::Length(bytes),
                            Framing::Chunked => State::Chunked(Chunks::default()),
                            Framing::Connect => State::Connected,
                        };
                    }
                    Err(violation) => self.state = State::Violated(violation),
                }
                Ok(true)
            }
            State::Length(0) => {
                self.state = State::Head;
                Ok(true)
            }
            State::Length(bytes) => {
                let taken = usize::try_from(*bytes).unwrap_or(usize::MAX).min(left.len());
                *bytes -= taken as u64;
                self.checked += taken;
                Ok(taken > 0)
            }
            State::Chunked(chunks) => {
                let taken = chunks.read(left).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
                self.checked += taken;
                if chunks.is_at_end() {
                    self.state = State::Head;
                    return Ok(true);
                }
                Ok(taken > 0)
            }
            State::Connected | State::Violated(_) | State::Ended => Ok(false),
        }
    }

    /// What the client's end means where it came.
    fn end(&mut self) -> io::Result<()> {
        let is_between = matches!(self.state, State::Head) && self.buffer.len() == self.checked;
        match &self.state {
            State::Head if is_between => self.state = State::Ended,
            State::Head => self.state = State::Violated(Violation::Line),
            State::Length(_) | State::Chunked(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            State::Connected | State::Violated(_) | State::Ended => {}
        }
        Ok(())
    }
}

/// Where the head that begins here ends, behind its empty line. What is too long or has a line end that is none need not
/// be waited for. Every byte is looked at once and in its turn, so that the finding is the same however they arrive.
fn find_end(head: &[u8], searched: &mut usize) -> Result<Option<usize>, Violation> {
    for at in *searched..head.len() {
        let before = &head[..at];
        let is_line_feed = head[at] == b'\n';
        if at == HEAD_BYTES_MAX {
            return Err(Violation::TooLarge);
        }
        // A line feed and a carriage return come together, and not as the first thing.
        if is_line_feed != before.ends_with(b"\r") || (is_line_feed && at == 1) {
            return Err(Violation::Line);
        }
        if is_line_feed && before.ends_with(b"\r\n\r") {
            *searched = 0;
            return Ok(Some(at + 1));
        }
    }
    *searched = head.len();
    Ok(None)
}

impl<I: AsyncRead + Unpin> AsyncRead for StrictIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.checked > 0 {
                let passed = this.checked.min(to.remaining());
                to.put_slice(&this.buffer[..passed]);
                this.buffer.advance(passed);
                this.checked -= passed;
                return Poll::Ready(Ok(()));
            }
            if this.advance()? {
                continue;
            }
            match this.state {
                State::Violated(_) | State::Ended => return Poll::Ready(Ok(())),
                // Whoever turns the connection into a tunnel takes it from under hyper.
                State::Connected => return Poll::Pending,
                State::Head | State::Length(_) | State::Chunked(_) => {}
            }
            let received = ready!(receive(&mut this.io, &mut this.buffer, cx))?;
            if received == 0 {
                this.end()?;
            }
        }
    }
}

fn receive<I: AsyncRead + Unpin>(
    io: &mut I,
    buffer: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let before = buffer.len();
    buffer.resize(before + READ_BYTES, 0);
    let mut space = ReadBuf::new(&mut buffer[before..]);
    let polled = Pin::new(io).poll_read(cx, &mut space);
    let received = space.filled().len();
    buffer.truncate(before + received);
    polled.map_ok(|()| received)
}

impl<I: AsyncWrite + Unpin> AsyncWrite for StrictIo<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
