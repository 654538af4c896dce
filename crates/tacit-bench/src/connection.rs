//! One keep-alive HTTP/1.1 connection, as cheap as it gets: the client shares the machine with what it measures.
//!
//! It knows answers with a `Content-Length`, and chunked ones whose end shows: a body that holds the bytes of a last
//! chunk would be cut short, and none here does.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// How a server is reached.
#[derive(Clone)]
pub(crate) struct Route {
    /// Where the connection goes: the server, or a proxy.
    pub(crate) dial: SocketAddr,
    /// A `CONNECT` that is written out, for a proxy.
    pub(crate) connect: Option<String>,
    /// TLS with whoever answers then.
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Route {
    /// Straight, in plain text.
    pub(crate) fn plain(dial: SocketAddr) -> Self {
        Self { dial, connect: None, tls: None }
    }
}

/// What carries the bytes.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An answer may be this long.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A connection and its buffer.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

/// How a chunked body ends.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A status and a body; a chunked one as it came.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(route: &Route) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(route.dial)
            .await
            .with_context(|| format!("no connection to {}", route.dial))?;
        stream.set_nodelay(true)?;
        if let Some(connect) = &route.connect {
            stream.write_all(connect.as_bytes()).await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.context("the proxy closed the connection")?);
            }
            let status = head.split(|byte| *byte == b' ').nth(1);
            anyhow::ensure!(status == Some(b"200"), "the proxy said {}", String::from_utf8_lossy(&head));
        }
        let stream: Box<dyn Stream> = match &route.tls {
            None => Box::new(stream),
            Some((tls, name)) => Box::new(tls.connect(name.clone(), stream).await?),
        };
        Ok(Self { stream, buffer: vec![0; 2048] })
    }

    /// Sends a request with `Connection: close`, and counts what comes until the end.
    pub(crate) async fn drain(mut self, request: &[u8]) -> anyhow::Result<u64> {
        self.stream.write_all(request).await?;
        self.buffer.resize(256 * 1024, 0);
        let mut total = 0;
        loop {
            match self.stream.read(&mut self.buffer).await {
                Ok(0) => return Ok(total),
                Ok(read) => total += read as u64,
                // Not every proxy takes its leave of TLS. The caller looks whether all came.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(total),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends a request that was written out before, and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let head = loop {
            filled += self.read(filled).await?;
            if let Some(head) = Head::parse(&self.buffer[..filled])? {
                break head;
            }
        };
        let is_whole = |buffer: &[u8]| match head.body_bytes {
            Some(body_bytes) => buffer.len() >= head.bytes + body_bytes,
            None => buffer[head.bytes..].ends_with(LAST_CHUNK),
        };
        while !is_whole(&self.buffer[..filled]) {
            filled += self.read(filled).await?;
        }
        Ok(Answer { status: head.status, body: &self.buffer[head.bytes..filled] })
    }

    async fn read(&mut self, filled: usize) -> anyhow::Result<usize> {
        if filled == self.buffer.len() {
            anyhow::ensure!(filled < ANSWER_BYTES_MAX, "the answer does not end");
            self.buffer.resize(filled * 2, 0);
        }
        match self.stream.read(&mut self.buffer[filled..]).await? {
            0 => bail!("the server closed the connection"),
            read => Ok(read),
        }
    }
}

struct Head {
    status: u16,
    bytes: usize,
    /// None for a chunked body.
    body_bytes: Option<usize>,
}

impl Head {
    /// `None` while there is more to come.
    fn parse(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&bytes[..end]).context("the answer's head is not text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let status = status.context("the answer has no status")?;
        let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
        let field = |wanted: &str| {
            fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
        };
        let body_bytes = match (field("content-length"), field("transfer-encoding")) {
            (Some(length), _) => Some(length.parse()?),
            (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => None,
            (None, _) if status == 204 => Some(0),
            (None, _) => bail!("the answer has no length"),
        };
        Ok(Some(Self { status, bytes: end + 4, body_bytes }))
    }
}

/// A request, written out.
pub(crate) fn request(method: &str, path: &str, address: SocketAddr, token: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok";
        assert!(Head::parse(&answer[..30]).unwrap().is_none());
        let head = Head::parse(answer).unwrap().unwrap();
        assert_eq!((head.status, head.bytes, head.body_bytes), (201, 43, Some(2)));
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
