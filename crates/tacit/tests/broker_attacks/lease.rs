//! A lease in the hands of the attacker, and the three ways through the proxy.

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;

use crate::client::{Answer, Conn, request};

/// How a request comes to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// CONNECT, then TLS with the lease's own authority.
    Tunnel,
    /// `GET http://host:port/…`, upgraded to TLS towards the upstream.
    Absolute,
    /// `GET /to/TOKEN/host:port/…`.
    Base,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Tunnel, Self::Absolute, Self::Base];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tunnel => "a tunnel",
            Self::Absolute => "an absolute URL",
            Self::Base => "a base URL",
        }
    }
}

/// What `POST B/leases` gave.
#[derive(Clone)]
pub(crate) struct Lease {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) ca_pem: String,
    pub(crate) given: Value,
    pub(crate) proxy: SocketAddr,
}

impl Lease {
    pub(crate) fn new(proxy: SocketAddr, given: &Value) -> Self {
        let text = |name: &str| given[name].as_str().unwrap().to_owned();
        Self { id: text("id"), token: text("token"), ca_pem: text("ca_pem"), given: given.clone(), proxy }
    }

    /// The placeholder under an alias.
    pub(crate) fn ph(&self, alias: &str) -> &str {
        self.given["secrets"][alias].as_str().unwrap()
    }

    pub(crate) fn bearer(&self, alias: &str) -> String {
        format!("Bearer {}", self.ph(alias))
    }

    /// The value of `Proxy-Authorization`.
    pub(crate) fn credentials(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("tacit:{}", self.token)))
    }

    /// Asks for a tunnel.
    pub(crate) async fn connect(&self, authority: &str) -> (Conn, Answer) {
        let mut conn = Conn::open(self.proxy).await;
        let credentials = self.credentials();
        let headers = [("Proxy-Authorization", credentials.as_str())];
        conn.write(request("CONNECT", authority, authority, &headers, b"")).await;
        let answer = conn.head().await;
        (conn, answer)
    }

    /// A tunnel with TLS inside.
    pub(crate) async fn tunnel(&self, authority: &str) -> Conn {
        self.tunnel_alpn(authority, &[b"http/1.1"]).await
    }

    pub(crate) async fn tunnel_alpn(&self, authority: &str, alpn: &[&[u8]]) -> Conn {
        let (conn, answer) = self.connect(authority).await;
        assert_eq!(answer.status, 200, "CONNECT {authority}: {}", answer.text());
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        conn.tls(host, &self.ca_pem, alpn).await.expect("TLS with the lease's authority")
    }

    /// HTTP/2 through a tunnel.
    pub(crate) async fn http2(&self, authority: &str) -> SendRequest<Full<Bytes>> {
        let io = TokioIo::new(self.tunnel_alpn(authority, &[b"h2"]).await.into_io());
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// One request in one of the forms.
    pub(crate) async fn send(
        &self,
        way: Way,
        method: &str,
        authority: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let (mut conn, bytes) = match way {
            Way::Tunnel => {
                // A refusal of the tunnel itself is the answer.
                let (conn, answer) = self.connect(authority).await;
                if answer.status != 200 {
                    return answer;
                }
                let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
                let conn = conn.tls(host, &self.ca_pem, &[b"http/1.1"]).await;
                (
                    conn.expect("TLS with the lease's authority"),
                    request(method, path, authority, headers, body),
                )
            }
            Way::Absolute => {
                let target = format!("http://{authority}{path}");
                let credentials = self.credentials();
                let mut all = vec![("Proxy-Authorization", credentials.as_str())];
                all.extend_from_slice(headers);
                (Conn::open(self.proxy).await, request(method, &target, authority, &all, body))
            }
            Way::Base => {
                let target = format!("/to/{}/{authority}{path}", self.token);
                let host = self.proxy.to_string();
                (Conn::open(self.proxy).await, request(method, &target, &host, headers, body))
            }
        };
        conn.write(bytes).await;
        if method == "HEAD" { conn.bare_head().await } else { conn.answer().await }
    }
}
