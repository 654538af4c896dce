//! The hostile upstream's other half: HTTP/2 over TLS, with a copy of every byte that it received.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::{
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use crate::authority::Leaf;

/// A request as it was seen.
#[derive(Clone)]
pub(crate) struct SeenH2 {
    /// The name in the handshake.
    pub(crate) name: String,
    pub(crate) connection: usize,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// What came in `authorization` now or before, without its scheme word.
    pub(crate) s: String,
}

/// What is answered.
#[derive(Clone, Default)]
pub(crate) struct AnswerH2 {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) pause: Duration,
    pub(crate) trailers: Vec<(String, String)>,
}

type Script = Arc<dyn Fn(&SeenH2) -> AnswerH2 + Send + Sync>;

/// The upstream.
#[derive(Clone)]
pub(crate) struct UpstreamH2 {
    pub(crate) port: u16,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    connections: usize,
    seen: Vec<SeenH2>,
    scripts: HashMap<(String, String), Script>,
    known: HashMap<String, String>,
    /// By connection, without TLS.
    bytes: HashMap<usize, Vec<u8>>,
}

impl UpstreamH2 {
    pub(crate) async fn start(leaf: Leaf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self { port: listener.local_addr().unwrap().port(), shared: Arc::default() };
        let acceptor = TlsAcceptor::from(leaf.server_config(&[b"h2"]));
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, acceptor) = (serving.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let name = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
                    let number = {
                        let mut shared = serving.shared.lock().unwrap();
                        shared.connections += 1;
                        shared.connections
                    };
                    let io = Copied { io: stream, shared: Arc::clone(&serving.shared), number };
                    let service =
                        service_fn(move |request| serving.clone().respond(request, name.clone(), number));
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(io), service).await;
                });
            }
        });
        upstream
    }

    /// What it does for requests to a path of a host. Without a script everything comes back.
    pub(crate) fn on(
        &self,
        host: &str,
        path: &str,
        script: impl Fn(&SeenH2) -> AnswerH2 + Send + Sync + 'static,
    ) {
        let key = (host.to_owned(), path.to_owned());
        self.shared.lock().unwrap().scripts.insert(key, Arc::new(script));
    }

    pub(crate) fn seen(&self, name: &str) -> Vec<SeenH2> {
        self.shared.lock().unwrap().seen.iter().filter(|seen| seen.name == name).cloned().collect()
    }

    /// Every byte of a connection.
    pub(crate) fn bytes(&self, connection: usize) -> Vec<u8> {
        self.shared.lock().unwrap().bytes.get(&connection).cloned().unwrap_or_default()
    }

    async fn respond(
        self,
        request: Request<Incoming>,
        name: String,
        connection: usize,
    ) -> Result<Response<Frames>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        let mut seen = SeenH2 {
            name: name.clone(),
            connection,
            authority: parts.uri.authority().map(ToString::to_string).unwrap_or_default(),
            path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            headers: parts.headers,
            body,
            s: String::new(),
        };
        let script = {
            let mut shared = self.shared.lock().unwrap();
            let presented = seen.headers.get("authorization").and_then(|value| value.to_str().ok());
            if let Some((_, value)) = presented.and_then(|text| text.split_once(' ')) {
                shared.known.insert(name.clone(), value.to_owned());
            }
            seen.s = shared.known.get(&name).cloned().unwrap_or_default();
            shared.seen.push(seen.clone());
            let path = seen.path.split('?').next().unwrap_or_default().to_owned();
            shared.scripts.get(&(name, path)).cloned()
        };
        let answer = script.map_or_else(|| echo(&seen), |script| script(&seen));
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            for piece in answer.pieces {
                if sender.send(Frame::data(Bytes::from(piece))).await.is_err() {
                    return;
                }
                tokio::time::sleep(answer.pause).await;
            }
            if !answer.trailers.is_empty() {
                let _ = sender.send(Frame::trailers(map(&answer.trailers))).await;
            }
        });
        let mut response = Response::new(Frames(receiver));
        *response.headers_mut() = map(&answer.headers);
        Ok(response)
    }
}

fn echo(seen: &SeenH2) -> AnswerH2 {
    let text = format!("{}\n{} {}\n{:?}\n", seen.s, seen.authority, seen.path, seen.headers);
    AnswerH2 {
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        pieces: vec![[text.as_bytes(), &seen.body].concat()],
        ..AnswerH2::default()
    }
}

fn map(headers: &[(String, String)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
        .collect()
}

/// The frames of a body as they come out of a channel.
struct Frames(mpsc::Receiver<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

/// A stream that keeps a copy of what is read from it.
struct Copied<I> {
    io: I,
    shared: Arc<Mutex<Shared>>,
    number: usize,
}

impl<I: AsyncRead + Unpin> AsyncRead for Copied<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        let number = self.number;
        let mut shared = self.shared.lock().unwrap();
        shared.bytes.entry(number).or_default().extend_from_slice(&buffer.filled()[before..]);
        drop(shared);
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Copied<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
