//! The loopback port that the command has as its proxy.
//!
//! What comes in goes to the server as it is, and back. The server knows the lease by the connection, so the command needs
//! no credential for its proxy, and holds none. Only one thing is looked at: what the proxy answers to `CONNECT`, because
//! most programs do not show why it said no.

use std::{collections::HashSet, io, net::SocketAddr, sync::Arc, time::Duration};

use tacit_api::Problem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional_with_sizes},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    time::timeout,
};

use super::{
    link::{Link, Refused, Stream, read_head},
    peer, say,
};

/// What is on its way in one direction of one connection.
const BUFFER_BYTES: usize = 32 * 1024;
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long to wait for a request that is only going to be refused.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(50);
/// Different things that are said on standard error at most.
const SAID_MAX: usize = 16;

/// The open port.
pub(super) struct Relay {
    listener: TcpListener,
    us: SocketAddr,
}

impl Relay {
    /// Opens a port of the system's choice.
    pub(super) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let us = listener.local_addr()?;
        Ok(Self { listener, us })
    }

    /// Its number.
    pub(super) fn port(&self) -> u16 {
        self.us.port()
    }

    /// Carries connections for as long as it is polled.
    pub(super) async fn run(self, link: Link) {
        let shared = Arc::new(Shared { link, said: Mutex::default() });
        loop {
            let Ok((client, peer)) = self.listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let (shared, us) = (Arc::clone(&shared), self.us);
            tokio::spawn(async move {
                // What becomes of one connection its two ends are told by its end.
                let _ = shared.carry(client, peer, us).await;
            });
        }
    }
}

struct Shared {
    link: Link,
    said: Mutex<HashSet<String>>,
}

impl Shared {
    async fn carry(&self, mut client: TcpStream, peer: SocketAddr, us: SocketAddr) -> io::Result<()> {
        client.set_nodelay(true)?;
        let known = tokio::task::spawn_blocking(move || peer::is_ours(peer, us)).await;
        if !known.is_ok_and(|known| known) {
            return self.refuse(client, Refusal::stranger()).await;
        }
        match self.link.open().await {
            Ok(mut open) => {
                client.write_all(&open.first).await?;
                if asks_for_tunnel(&client).await? {
                    self.open_tunnel(&mut client, &mut open.stream).await?;
                }
                copy_bidirectional_with_sizes(&mut client, &mut open.stream, BUFFER_BYTES, BUFFER_BYTES)
                    .await?;
                Ok(())
            }
            Err(refused) => self.refuse(client, Refusal::from(refused)).await,
        }
    }

    /// Carries both sides up to the proxy's answer to `CONNECT`. If that is a refusal, it is said to whoever sits there.
    async fn open_tunnel(&self, client: &mut TcpStream, server: &mut Box<dyn Stream>) -> io::Result<()> {
        let (mut asked, mut answered) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
        loop {
            tokio::select! {
                read = server.read(&mut answered) => {
                    let answer = &answered[..read?];
                    if let Some(refused) = refused_tunnel(answer) {
                        self.say_once(&refused).await;
                    }
                    return client.write_all(answer).await;
                }
                read = client.read(&mut asked) => match read? {
                    0 => return server.shutdown().await,
                    read => server.write_all(&asked[..read]).await?,
                },
            }
        }
    }

    async fn say_once(&self, what: &str) {
        let mut said = self.said.lock().await;
        if said.len() < SAID_MAX && said.insert(what.to_owned()) {
            say(&format!("tacit run: {what}"));
        }
    }

    /// Answers the request that comes, in the shape of the server's own answers, and says so once to whoever sits there.
    async fn refuse(&self, mut client: TcpStream, refusal: Refusal) -> io::Result<()> {
        self.say_once(&format!("{}; {}", refusal.what, refusal.hint)).await;
        // Only when the request was read does an answer reach its sender.
        let _ = timeout(REFUSAL_TIMEOUT, read_head(&mut client, HEAD_BYTES_MAX)).await;
        client.write_all(refusal.answer().as_bytes()).await?;
        client.shutdown().await?;
        let mut rest = [0; 4096];
        let drain = async { while matches!(client.read(&mut rest).await, Ok(read) if read > 0) {} };
        let _ = timeout(REFUSAL_TIMEOUT, drain).await;
        Ok(())
    }
}

/// Whether a connection begins with `CONNECT`. Whoever uses a proxy speaks first, and a client that does not say the whole
/// word at once does not get this comfort.
async fn asks_for_tunnel(client: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 8];
    let read = client.peek(&mut first).await?;
    Ok(first[..read] == *b"CONNECT ")
}

/// Why the proxy does not open a tunnel, if this is its answer that says so. Up to this answer nobody but the proxy speaks.
fn refused_tunnel(answer: &[u8]) -> Option<String> {
    let answer = std::str::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if head.starts_with("HTTP/1.1 2") {
        return None;
    }
    let problem: Problem = serde_json::from_str(body).ok()?;
    let hint = problem.suggestion.map(|hint| format!("; {hint}")).unwrap_or_default();
    Some(format!("{} ({}){hint}", problem.detail, problem.code))
}

/// An answer that we give ourselves.
struct Refusal {
    status: u16,
    title: &'static str,
    code: String,
    what: String,
    hint: String,
}

impl Refusal {
    fn stranger() -> Self {
        Self {
            status: 403,
            title: "Forbidden",
            code: "forbidden".to_owned(),
            what: "a connection from another user was refused".to_owned(),
            hint: "programs of this run have to run as the user who started it".to_owned(),
        }
    }

    fn answer(&self) -> String {
        let body = serde_json::json!({
            "type": "about:blank", "title": self.title, "status": self.status, "code": self.code,
            "detail": self.what, "suggestion": self.hint, "request_id": "",
        })
        .to_string();
        let challenge = if self.status == 407 { "Proxy-Authenticate: Basic realm=\"tacit\"\r\n" } else { "" };
        format!(
            "HTTP/1.1 {} {}\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n{challenge}\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.status,
            self.title,
            body.len()
        )
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Problem(problem) if problem.status == 401 => Self {
                status: 407,
                title: "Proxy Authentication Required",
                code: problem.code,
                what: "the lease of this run has ended".to_owned(),
                hint: "start the command again".to_owned(),
            },
            Refused::Problem(problem) => Self {
                status: 502,
                title: "Bad Gateway",
                what: format!("the server does not take the connection: {}", problem.detail),
                hint: problem.suggestion.unwrap_or_else(|| "look at the server's log".to_owned()),
                code: problem.code,
            },
            Refused::Unreachable(why) => Self {
                status: 502,
                title: "Bad Gateway",
                code: "upstream_failed".to_owned(),
                what: format!("the server cannot be reached: {why}"),
                hint: "check that it is running".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A relay whose server sends back what it gets, in upper case; at the end of its input it says so.
    async fn shouting() -> u16 {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", server.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = server.accept().await.unwrap();
                tokio::spawn(async move {
                    read_head(&mut stream, 4096).await.unwrap();
                    stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.unwrap();
                    let mut bytes = vec![0; 1024];
                    loop {
                        let read = stream.read(&mut bytes).await.unwrap();
                        if read == 0 {
                            return stream.write_all(b"END").await.unwrap();
                        }
                        stream.write_all(&bytes[..read].to_ascii_uppercase()).await.unwrap();
                    }
                });
            }
        });
        started(&address).await
    }

    async fn started(address: &str) -> u16 {
        let relay = Relay::open().await.unwrap();
        let port = relay.port();
        tokio::spawn(relay.run(Link::new(address, "acme", "lea_1", "tct_ls_1").ok().unwrap()));
        port
    }

    /// Bytes go both ways on many connections at once, and the end of one direction is not the end of the other.
    #[tokio::test]
    async fn carrying() {
        let port = shouting().await;
        let clients = (0..100).map(|at| {
            tokio::spawn(async move {
                let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                client.write_all(format!("client {at}").as_bytes()).await.unwrap();
                client.shutdown().await.unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).await.unwrap();
                assert_eq!(answer, format!("CLIENT {at}END"));
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
    }

    /// Without a server there is an answer that a program can read.
    #[tokio::test]
    async fn no_server() {
        let port = started("http://127.0.0.1:1").await;
        let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        client
            .write_all(b"CONNECT api.stripe.com:443 HTTP/1.1\r\nHost: api.stripe.com\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
        let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!((&body["code"], &body["status"]), (&"upstream_failed".into(), &502.into()));
    }
}
