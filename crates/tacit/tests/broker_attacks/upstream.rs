//! An upstream that means harm: HTTP/1.1 written byte by byte, over TLS on one port and in plain on another. It
//! does what a case says, sends back what it got where the case says nothing, and remembers every byte.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::{authority::Leaf, disguise::DISGUISES};

/// One thing that an upstream does.
#[derive(Clone)]
pub(crate) enum Act {
    Write(Vec<u8>),
    Wait(Duration),
    /// Keeps writing this, so many times or until nobody reads.
    Repeat(Vec<u8>, usize),
    /// Closes without ceremony.
    Close,
}

/// A request as the upstream saw it.
#[derive(Clone)]
pub(crate) struct Seen {
    /// The name in the TLS handshake, or in `Host` where there is no TLS.
    pub(crate) host: String,
    /// Which connection of this upstream it came on.
    pub(crate) connection: usize,
    pub(crate) raw: Vec<u8>,
    pub(crate) is_tls: bool,
    /// The value that it carried, or that the last request to this host carried: what a service knows.
    pub(crate) s: String,
}

type Script = Arc<dyn Fn(&Seen) -> Vec<Act> + Send + Sync>;

/// The upstream.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) port: u16,
    pub(crate) plain_port: u16,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    connections: usize,
    /// The host of each TLS connection.
    handshakes: Vec<String>,
    seen: Vec<Seen>,
    bytes: Vec<u8>,
    scripts: HashMap<(String, String), Script>,
    known: HashMap<String, String>,
}

impl Seen {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    /// Method and target.
    pub(crate) fn line(&self) -> String {
        self.text().lines().next().unwrap_or_default().to_owned()
    }

    fn path(&self) -> String {
        let line = self.line();
        let target = line.split(' ').nth(1).unwrap_or_default();
        target.split('?').next().unwrap_or_default().to_owned()
    }

    /// The values of a header, in order.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers(name).pop()
    }

    pub(crate) fn body(&self) -> &[u8] {
        let end =
            self.raw.windows(4).position(|window| window == b"\r\n\r\n").map_or(self.raw.len(), |at| at + 4);
        &self.raw[end..]
    }
}

impl Upstream {
    /// Listens on two free ports of 127.0.0.1 and shows this certificate.
    pub(crate) async fn start(leaf: Leaf) -> Self {
        let tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self {
            port: tls.local_addr().unwrap().port(),
            plain_port: plain.local_addr().unwrap().port(),
            shared: Arc::default(),
        };
        let acceptor = TlsAcceptor::from(leaf.server_config(&[b"http/1.1"]));
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = tls.accept().await {
                let (serving, acceptor) = (serving.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let number = serving.connected();
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let name = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
                    serving.shared.lock().unwrap().handshakes.push(name.clone());
                    serving.serve(stream, Some(name), number).await;
                });
            }
        });
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = plain.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move {
                    let number = serving.connected();
                    serving.serve(stream, None, number).await;
                });
            }
        });
        upstream
    }

    fn connected(&self) -> usize {
        let mut shared = self.shared.lock().unwrap();
        shared.connections += 1;
        shared.connections
    }

    /// What it does for requests to a path of a host.
    pub(crate) fn on(
        &self,
        host: &str,
        path: &str,
        script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    ) {
        let key = (host.to_owned(), path.to_owned());
        self.shared.lock().unwrap().scripts.insert(key, Arc::new(script));
    }

    /// Tells it a value, as a service knows the credentials that it has issued.
    pub(crate) fn tell(&self, host: &str, value: &str) {
        self.shared.lock().unwrap().known.insert(host.to_owned(), value.to_owned());
    }

    /// The requests to a host so far.
    pub(crate) fn seen(&self, host: &str) -> Vec<Seen> {
        self.shared.lock().unwrap().seen.iter().filter(|seen| seen.host == host).cloned().collect()
    }

    /// Everything that was ever received, of whichever host, whether or not it was a request.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.shared.lock().unwrap().bytes.clone()
    }

    /// How many handshakes named a host.
    pub(crate) fn handshakes(&self, host: &str) -> usize {
        self.shared.lock().unwrap().handshakes.iter().filter(|name| *name == host).count()
    }

    async fn serve<I: AsyncRead + AsyncWrite + Unpin>(self, mut io: I, name: Option<String>, number: usize) {
        let mut held = Vec::new();
        while let Some(raw) = self.read(&mut io, &mut held).await {
            let mut seen = Seen {
                host: String::new(),
                connection: number,
                raw,
                is_tls: name.is_some(),
                s: String::new(),
            };
            seen.host = name.clone().unwrap_or_else(|| {
                let host = seen.header("host").unwrap_or_default();
                host.rsplit_once(':').map_or(host.clone(), |(host, _)| host.to_owned())
            });
            let script = {
                let mut shared = self.shared.lock().unwrap();
                if let Some(value) = value_in(&seen.raw) {
                    shared.known.insert(seen.host.clone(), value);
                }
                seen.s = shared.known.get(&seen.host).cloned().unwrap_or_default();
                shared.seen.push(seen.clone());
                shared.scripts.get(&(seen.host.clone(), seen.path())).cloned()
            };
            for act in script.map_or_else(|| echo(&seen), |script| script(&seen)) {
                if !act.perform(&mut io).await {
                    return;
                }
            }
        }
    }

    /// One request with its whole body.
    async fn read<I: AsyncRead + Unpin>(&self, io: &mut I, held: &mut Vec<u8>) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(length) = whole_request(held) {
                return Some(held.drain(..length).collect());
            }
            let Ok(read @ 1..) = io.read(&mut buffer).await else { return None };
            held.extend_from_slice(&buffer[..read]);
            // Of a huge upload the beginning is enough to look for values in.
            let mut shared = self.shared.lock().unwrap();
            if shared.bytes.len() < 64 << 20 {
                shared.bytes.extend_from_slice(&buffer[..read]);
            }
        }
    }
}

impl Act {
    async fn perform<I: AsyncWrite + Unpin>(&self, io: &mut I) -> bool {
        match self {
            Self::Write(bytes) => io.write_all(bytes).await.is_ok() && io.flush().await.is_ok(),
            Self::Wait(time) => {
                tokio::time::sleep(*time).await;
                true
            }
            Self::Repeat(bytes, times) => {
                for _ in 0..*times {
                    if io.write_all(bytes).await.is_err() {
                        return false;
                    }
                }
                io.flush().await.is_ok()
            }
            Self::Close => false,
        }
    }
}

/// Bytes of the request that the buffer begins with, once all of it is there.
fn whole_request(held: &[u8]) -> Option<usize> {
    let end = held.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&held[..end]).to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        let last = held[end..].windows(5).position(|window| window == b"0\r\n\r\n")?;
        return Some(end + last + 5);
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or(0);
    (held.len() >= end + length).then_some(end + length)
}

/// `sk_live_` and 32 letters and digits, if they are somewhere in a request.
fn value_in(raw: &[u8]) -> Option<String> {
    let prefix = b"sk_live_";
    let at = raw.windows(prefix.len() + 32).position(|window| {
        window.starts_with(prefix) && window[prefix.len()..].iter().all(u8::is_ascii_alphanumeric)
    })?;
    Some(String::from_utf8_lossy(&raw[at..at + prefix.len() + 32]).into_owned())
}

/// Without a script: the value and the whole request come back. `/as/NAME` writes them in one of the disguises.
fn echo(seen: &Seen) -> Vec<Act> {
    let text = format!("{}\n{}", seen.s, seen.text());
    let path = seen.path();
    let disguise =
        path.strip_prefix("/as/").and_then(|name| DISGUISES.iter().find(|(known, _)| *known == name));
    let body = disguise.map_or_else(|| text.clone().into_bytes(), |(_, disguise)| disguise(&text));
    vec![answer("200 OK", "content-type: text/plain\r\n", &body)]
}

/// Text as it is written.
pub(crate) fn write(bytes: impl AsRef<[u8]>) -> Act {
    Act::Write(bytes.as_ref().to_vec())
}

/// A whole answer. `headers` end their lines themselves.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Act {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    Act::Write([head.as_bytes(), body].concat())
}

/// A whole answer of plain text.
pub(crate) fn text(body: &str) -> Vec<Act> {
    vec![answer("200 OK", "content-type: text/plain\r\n", body.as_bytes())]
}

/// The head of an answer in chunks.
pub(crate) fn chunked_head(content_type: &str) -> Act {
    write(format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"))
}

/// One chunk; an empty one is the end.
pub(crate) fn chunk(bytes: &[u8]) -> Act {
    Act::Write([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
}
