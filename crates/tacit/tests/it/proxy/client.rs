//! A client of the proxy that is made of its parts, so that a test can do each of them wrongly.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::ClientConfig};

/// A lease, as it was given.
pub(crate) struct Lease {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) placeholders: Value,
    pub(crate) ca_pem: String,
    /// `127.0.0.1:PORT` of the server.
    pub(crate) address: String,
}

/// A response that was read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The problem's code, if the status is this one.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        let problem: Value = serde_json::from_str(&self.text).unwrap_or_default();
        assert_eq!(problem["code"], code, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
    }

    pub(crate) async fn of(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

pub(crate) type Body = BoxBody<Bytes, std::convert::Infallible>;

/// A body that is known whole.
pub(crate) fn whole(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}

impl Lease {
    /// A placeholder of it.
    pub(crate) fn placeholder(&self, alias: &str) -> &str {
        self.placeholders[alias].as_str().unwrap()
    }

    /// Sends bytes to the proxy's port, and gives back what comes until it closes.
    pub(crate) async fn raw(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), stream.read_to_end(&mut read)).await;
        String::from_utf8_lossy(&read).into_owned()
    }

    /// `Proxy-Authorization`, as programs make it from the proxy's URL.
    pub(crate) fn credentials(&self) -> String {
        use base64::Engine;
        let pair = format!("tacit:{}", self.token);
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    }

    /// `CONNECT`, and what the proxy says to it.
    pub(crate) async fn connect(&self, authority: &str) -> Result<TcpStream, Answer> {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let credentials = self.credentials();
        let request = format!(
            "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: {credentials}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "{}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        if head.starts_with("HTTP/1.1 200") {
            return Ok(stream);
        }
        let mut body = String::new();
        let _ = stream.read_to_string(&mut body).await;
        let mut headers = hyper::HeaderMap::new();
        for line in head.lines().skip(1) {
            if let Some((name, value)) = line.split_once(": ") {
                headers.insert(
                    hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    value.parse().unwrap(),
                );
            }
        }
        Err(Answer { status: head[9..12].parse().unwrap(), headers, text: body })
    }

    /// `CONNECT` and TLS, trusting the lease's authority and nothing else.
    pub(crate) async fn tls(&self, authority: &str, alpn: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = self.connect(authority).await.unwrap();
        let host = authority.rsplit_once(':').unwrap().0;
        handshake(stream, host, &self.ca_pem, alpn).await
    }

    /// An HTTP/1.1 client through a tunnel.
    pub(crate) async fn http1(&self, authority: &str) -> hyper::client::conn::http1::SendRequest<Body> {
        let stream = self.tls(authority, "http/1.1").await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// An HTTP/2 client through a tunnel.
    pub(crate) async fn http2(&self, authority: &str) -> hyper::client::conn::http2::SendRequest<Body> {
        let stream = self.tls(authority, "h2").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// One request through a tunnel of its own.
    pub(crate) async fn send(&self, authority: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut sender = self.http1(authority).await;
        let mut request = Request::builder().uri(path).header("host", authority);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(sender.send_request(request.body(whole("")).unwrap()).await.unwrap()).await
    }

    /// One request over the proxy's own port, with an absolute URL or a path.
    pub(crate) async fn send_plain(&self, url: &str, host: &str, headers: &[(&str, &str)]) -> Answer {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().uri(url).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(sender.send_request(request.body(whole("")).unwrap()).await.unwrap()).await
    }
}

/// TLS over a connection, trusting one authority.
pub(crate) async fn handshake<I: AsyncRead + AsyncWrite + Unpin>(
    stream: I,
    host: &str,
    ca_pem: &str,
    alpn: &str,
) -> std::io::Result<TlsStream<I>> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
