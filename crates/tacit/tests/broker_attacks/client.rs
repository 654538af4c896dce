//! A client of the proxy that writes what it likes, byte by byte.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Longer than anything takes; whatever takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection, and what was read of it beyond the last answer.
pub(crate) struct Conn {
    io: Box<dyn Stream>,
    held: Vec<u8>,
}

/// An answer, as it came.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Zero if there was none.
    pub(crate) status: u16,
    /// The head of the final answer.
    pub(crate) head: String,
    /// Without its framing.
    pub(crate) body: Vec<u8>,
    /// Every byte, interim answers, framing and trailers included.
    pub(crate) raw: Vec<u8>,
    /// Whether it came to its end.
    pub(crate) is_whole: bool,
    /// How many 1xx came before it.
    pub(crate) interim: usize,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The problem's code; empty if it is none.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned()).next()
    }

    pub(crate) fn status_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

impl Conn {
    /// A connection in plain.
    pub(crate) async fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { io: Box::new(stream), held: Vec::new() }
    }

    /// A connection in plain, from an address of ours.
    pub(crate) async fn open_from(source: IpAddr, to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source, 0)).unwrap();
        Self { io: Box::new(socket.connect(to).await.unwrap()), held: Vec::new() }
    }

    /// TLS on top, trusting this certificate and no other.
    pub(crate) async fn tls(self, host: &str, ca_pem: &str, alpn: &[&[u8]]) -> Result<Self, String> {
        self.tls_with(host, client_config(ca_pem, alpn)).await
    }

    pub(crate) async fn tls_with(self, host: &str, config: ClientConfig) -> Result<Self, String> {
        assert!(self.held.is_empty(), "bytes came before the handshake");
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, self.io);
        let stream = timeout(PATIENCE, connecting).await.map_err(|_| "the handshake hangs".to_owned())?;
        Ok(Self { io: Box::new(stream.map_err(|error| error.to_string())?), held: Vec::new() })
    }

    /// The stream itself, for protocols of others.
    pub(crate) fn into_io(self) -> Box<dyn Stream> {
        assert!(self.held.is_empty());
        self.io
    }

    /// Writes. The other side may have closed: that is seen when its answer is read.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let writing =
            async { self.io.write_all(bytes.as_ref()).await.is_ok() && self.io.flush().await.is_ok() };
        timeout(PATIENCE, writing).await.unwrap_or(false)
    }

    /// Half-closes.
    pub(crate) async fn finish(&mut self) {
        let _ = self.io.shutdown().await;
    }

    async fn more(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        match timeout(PATIENCE, self.io.read(&mut buffer)).await {
            Ok(Ok(read @ 1..)) => {
                self.held.extend_from_slice(&buffer[..read]);
                true
            }
            _ => false,
        }
    }

    /// Bytes as soon as there are some; empty at the end.
    pub(crate) async fn some(&mut self) -> Vec<u8> {
        if self.held.is_empty() {
            self.more().await;
        }
        std::mem::take(&mut self.held)
    }

    /// Everything until the other side closes; whether it did.
    pub(crate) async fn rest(&mut self) -> (Vec<u8>, bool) {
        let reading = async { while self.more().await {} };
        let is_closed = timeout(PATIENCE, reading).await.is_ok();
        (std::mem::take(&mut self.held), is_closed)
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = Answer::default();
        loop {
            let Some(end) = self.until(b"\r\n\r\n").await else {
                answer.raw.append(&mut self.held);
                return answer;
            };
            let head: Vec<u8> = self.held.drain(..end).collect();
            answer.raw.extend_from_slice(&head);
            answer.head = String::from_utf8_lossy(&head).into_owned();
            answer.status = answer.head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
            if !(100..200).contains(&answer.status) || answer.status == 101 {
                break;
            }
            answer.interim += 1;
        }
        let is_chunked = answer.header("transfer-encoding").is_some_and(|coding| coding == "chunked");
        let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
        if matches!(answer.status, 101 | 204 | 304) {
            answer.is_whole = true;
        } else if is_chunked {
            self.chunks(&mut answer).await;
        } else if let Some(length) = length {
            while self.held.len() < length && self.more().await {}
            answer.is_whole = self.held.len() >= length;
            let body: Vec<u8> = self.held.drain(..length.min(self.held.len())).collect();
            answer.raw.extend_from_slice(&body);
            answer.body = body;
        } else {
            let (body, is_closed) = self.rest().await;
            answer.raw.extend_from_slice(&body);
            (answer.body, answer.is_whole) = (body, is_closed);
        }
        answer
    }

    /// The answer to a CONNECT, which has no body if it is a good one.
    pub(crate) async fn head(&mut self) -> Answer {
        match self.until(b"\r\n\r\n").await {
            Some(end) if !self.held[9..end].starts_with(b"2") => self.answer().await,
            _ => self.bare_head().await,
        }
    }

    /// The answer to a HEAD, which never has a body.
    pub(crate) async fn bare_head(&mut self) -> Answer {
        let Some(end) = self.until(b"\r\n\r\n").await else {
            return Answer { raw: std::mem::take(&mut self.held), ..Answer::default() };
        };
        let raw: Vec<u8> = self.held.drain(..end).collect();
        let head = String::from_utf8_lossy(&raw).into_owned();
        let status = head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        Answer { status, head, raw, is_whole: true, ..Answer::default() }
    }

    async fn chunks(&mut self, answer: &mut Answer) {
        loop {
            let Some(end) = self.until(b"\r\n").await else { break };
            let line = String::from_utf8_lossy(&self.held[..end]).into_owned();
            let size = line.trim().split(';').next().and_then(|size| usize::from_str_radix(size, 16).ok());
            let Some(size) = size else { break };
            answer.raw.extend(self.held.drain(..end));
            if size == 0 {
                // Trailers, if there are some, up to the empty line.
                while let Some(end) = self.until(b"\r\n").await {
                    answer.raw.extend(self.held.drain(..end));
                    if end == 2 {
                        answer.is_whole = true;
                        return;
                    }
                }
                break;
            }
            while self.held.len() < size + 2 && self.more().await {}
            let chunk: Vec<u8> = self.held.drain(..(size + 2).min(self.held.len())).collect();
            answer.raw.extend_from_slice(&chunk);
            answer.body.extend_from_slice(&chunk[..size.min(chunk.len())]);
        }
        answer.raw.append(&mut self.held);
    }

    /// Where something ends that is waited for.
    async fn until(&mut self, end: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.held.windows(end.len()).position(|window| window == end) {
                return Some(at + end.len());
            }
            if !self.more().await {
                return None;
            }
        }
    }
}

/// TLS settings of a client that trusts this certificate and no other.
pub(crate) fn client_config(ca_pem: &str, alpn: &[&[u8]]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(ca_pem))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

/// The certificates of a PEM as roots.
pub(crate) fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}

/// A request as a decent client writes it.
pub(crate) fn request(
    method: &str,
    target: &str,
    host: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let has_length = headers.iter().any(|(name, _)| {
        name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
    });
    if !body.is_empty() && !has_length {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}
