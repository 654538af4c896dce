//! Bytes that arrive in pieces of any size.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose other side sent all of `bytes` and closed, and does not care about answers.
pub struct Pieces<'a> {
    bytes: &'a [u8],
    /// The sizes of the pieces, again and again.
    sizes: &'a [u8],
    at: usize,
}

impl<'a> Pieces<'a> {
    /// All at once if there are no sizes.
    pub fn new(bytes: &'a [u8], sizes: &'a [u8]) -> Self {
        Self { bytes, sizes, at: 0 }
    }
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let size = match self.sizes {
            [] => usize::MAX,
            sizes => usize::from(sizes[self.at % sizes.len()]).max(1),
        };
        self.at += 1;
        let (piece, rest) = self.bytes.split_at(size.min(to.remaining()).min(self.bytes.len()));
        to.put_slice(piece);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
