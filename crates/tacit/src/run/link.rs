//! A connection to the server that is a proxy's connection from then on.
//!
//! One request of HTTP/1.1 asks for it; after the answer 101 both sides carry raw bytes. The lease's token goes with that
//! request and is known to nobody but us: the command talks to our port without it.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tacit_api::Problem;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::error::{Failure, Outcome};

/// How long to wait for a connection, with TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for the answer 101.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
const HEAD_BYTES_MAX: usize = 16 * 1024;
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// Where the server is and what to say to it. Has no `Debug`: it has the lease's token.
pub(super) struct Link {
    host: Host<String>,
    port: u16,
    tls: Option<TlsConnector>,
    /// The whole request.
    request: String,
}

/// Why there is no connection.
pub(super) enum Refused {
    /// The server said so, and why.
    Problem(Box<Problem>),
    /// The server cannot be reached, or what answers is none.
    Unreachable(String),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error.to_string())
    }
}

/// Something that carries bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection, and what of it came already.
pub(super) struct Open {
    pub(super) stream: Box<dyn Stream>,
    pub(super) first: Vec<u8>,
}

impl Link {
    /// To the relay of a lease on the server at this address.
    pub(super) fn new(address: &str, workspace: &str, lease: &str, token: &str) -> Outcome<Self> {
        let wrong = || Failure::from(tacit_client::Error::Address(address.to_owned()));
        let url = Url::parse(address.trim()).map_err(|_| wrong())?;
        let host = url.host().ok_or_else(wrong)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(wrong)?;
        let tls = if url.scheme() == "https" { Some(connector()?) } else { None };
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let base = url.path().trim_end_matches('/');
        // A workspace's name and a lease's id have no characters that mean anything in a path: the server gave them.
        let request = format!(
            "GET {base}/v1/workspaces/{workspace}/leases/{lease}/relay HTTP/1.1\r\nHost: {authority}\r\n\
             Authorization: Bearer {token}\r\nConnection: Upgrade\r\nUpgrade: tacit-proxy\r\n\
             User-Agent: tacit/{}\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        );
        Ok(Self { host, port, tls, request })
    }

    /// A new connection.
    pub(super) async fn open(&self) -> Result<Open, Refused> {
        let connected = timeout(CONNECT_TIMEOUT, self.connect()).await;
        let mut stream = connected.map_err(|_| Refused::Unreachable("no answer in time".to_owned()))??;
        let upgraded = timeout(ANSWER_TIMEOUT, self.upgrade(&mut stream)).await;
        let first = upgraded.map_err(|_| Refused::Unreachable("no answer in time".to_owned()))??;
        Ok(Open { stream, first })
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let (tcp, name) = match &self.host {
            Host::Domain(name) => (
                TcpStream::connect((name.as_str(), self.port)).await?,
                ServerName::try_from(name.clone()).ok(),
            ),
            Host::Ipv4(ip) => (TcpStream::connect((*ip, self.port)).await?, Some(IpAddr::V4(*ip).into())),
            Host::Ipv6(ip) => (TcpStream::connect((*ip, self.port)).await?, Some(IpAddr::V6(*ip).into())),
        };
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Box::new(tcp)),
            Some(tls) => {
                let name = name.ok_or_else(|| io::Error::other("its name cannot be in a certificate"))?;
                Ok(Box::new(tls.connect(name, tcp).await?))
            }
        }
    }

    async fn upgrade(&self, stream: &mut Box<dyn Stream>) -> Result<Vec<u8>, Refused> {
        stream.write_all(self.request.as_bytes()).await?;
        stream.flush().await?;
        let (head, rest) = read_head(stream, HEAD_BYTES_MAX).await?;
        match status(&head) {
            Some(101) => Ok(rest),
            Some(status) => Err(problem(&head, rest, status, stream).await),
            None => Err(Refused::Unreachable("this does not look like a Tacit server".to_owned())),
        }
    }
}

fn connector() -> Outcome<TlsConnector> {
    let config = ClientConfig::builder().with_platform_verifier().map_err(|error| {
        Failure::new(
            format!("the system's roots cannot be read: {error}"),
            "install them, or name a file of roots in SSL_CERT_FILE",
        )
    })?;
    let mut config = config.with_no_client_auth();
    // Only this version can turn into something else.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Reads up to the empty line; gives the head with it, and what came after.
pub(super) async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((bytes, rest));
        }
        if bytes.len() > bytes_max || stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended"));
        }
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let rest = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.1 ")?;
    rest.get(..3)?.parse().ok()
}

/// The problem document of an answer, if it is one.
async fn problem(
    head: &[u8],
    mut body: Vec<u8>,
    status: u16,
    stream: &mut (impl AsyncRead + Unpin),
) -> Refused {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let length: usize = length.unwrap_or_default();
    while body.len() < length.min(PROBLEM_BYTES_MAX) {
        if !matches!(stream.read_buf(&mut body).await, Ok(read) if read > 0) {
            break;
        }
    }
    match serde_json::from_slice(&body) {
        Ok(problem) => Refused::Problem(Box::new(problem)),
        Err(_) => Refused::Unreachable(format!("unexpected answer with status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server that says this to whoever asks, and what it was asked.
    async fn answering(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/prefix/", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (head, _) = read_head(&mut stream, 4096).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(head).unwrap()
        });
        (address, asked)
    }

    /// The way in: what is asked, and that bytes which came with the answer are not lost.
    #[tokio::test]
    async fn upgrading() {
        let (address, asked) =
            answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: tacit-proxy\r\n\r\nearly").await;
        let open = Link::new(&address, "acme", "lea_1", "tct_ls_1").unwrap().open().await;
        assert_eq!(open.ok().unwrap().first, b"early");
        let asked = asked.await.unwrap();
        assert!(
            asked.starts_with("GET /prefix/v1/workspaces/acme/leases/lea_1/relay HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(asked.contains("\r\nAuthorization: Bearer tct_ls_1\r\n"), "{asked}");
        assert!(asked.contains("\r\nHost: 127.0.0.1:"), "{asked}");
    }

    /// A refusal is the server's own; anything else is no server.
    #[tokio::test]
    async fn refusals() {
        let document = r#"{"type":"about:blank","title":"Unauthorized","status":401,"code":"unauthenticated","detail":"over","request_id":"r"}"#;
        let answer =
            format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\n\r\n{document}", document.len());
        let (address, _) = answering(Box::leak(answer.into_boxed_str())).await;
        let refused = Link::new(&address, "acme", "lea_1", "t").unwrap().open().await.err().unwrap();
        assert!(matches!(refused, Refused::Problem(problem) if problem.code == "unauthenticated"));
        for answer in ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 x\r\n\r\n", ""] {
            let (address, _) = answering(answer).await;
            let refused = Link::new(&address, "acme", "lea_1", "t").unwrap().open().await.err().unwrap();
            assert!(matches!(refused, Refused::Unreachable(_)), "{answer}");
        }
    }
}
