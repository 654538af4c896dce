//! A connection whose first bytes were read already.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gives the bytes back that were read to see what the connection is, and then the rest.
pub struct Prefixed<I> {
    start: Bytes,
    io: I,
}

impl<I> Prefixed<I> {
    /// `start` comes before everything that `io` still yields.
    pub fn new(start: Bytes, io: I) -> Self {
        Self { start, io }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Prefixed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let taken = self.start.len().min(buf.remaining());
        buf.put_slice(&self.start[..taken]);
        self.start.advance(taken);
        if self.start.is_empty() {
            // The memory goes now, not with the connection.
            self.start = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Prefixed<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
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
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// What was read comes first, then the rest, however small the pieces.
    #[tokio::test]
    async fn nothing_is_lost() {
        let mut io = Prefixed::new(Bytes::from_static(b"CONNECT "), &b"good.test:443"[..]);
        let mut text = Vec::new();
        let mut piece = [0; 3];
        loop {
            let read = io.read(&mut piece).await.unwrap();
            if read == 0 {
                break;
            }
            text.extend_from_slice(&piece[..read]);
        }
        assert_eq!(text, b"CONNECT good.test:443");
    }
}
