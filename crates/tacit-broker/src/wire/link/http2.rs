//! HTTP/2: many requests at a time, driven by tasks of its own.
//!
//! A connection is shared by the requests of one [`PoolKey`](crate::wire::PoolKey) to one target, and by no others: what
//! an upstream mixes up stays with the one whose secrets it got anyway. Its certificate may be good for other names too;
//! they get connections of their own.
//!
//! It lives as long as somebody holds it, the pool or a request. With the last of them its tasks end and its socket
//! closes, whatever the upstream would still like to do.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::{Notify, watch},
};
use tokio_rustls::client::TlsStream;

use super::{HEAD_BYTES_MAX, Peer};
use crate::wire::{body::Outgoing, error::WireError};

/// Requests that share a connection at a time, if the upstream takes as many.
const STREAMS_MAX: usize = 32;
/// What an upstream may send of one response before we read it. The connection has room for all of them, so that one
/// client who reads slowly holds up nobody else.
const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES * STREAMS_MAX as u32;
/// What waits to be sent of one request.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

type Io = TokioIo<Box<TlsStream<TcpStream>>>;

/// A connection that many requests use.
pub(in crate::wire) struct Shared {
    sender: SendRequest<Outgoing>,
    peer: Peer,
    /// Requests that use it now.
    streams: AtomicUsize,
    limits: Arc<PeerLimits>,
    /// No new requests: one of the old ones found something wrong with it.
    is_retired: AtomicBool,
    idle_since: Mutex<Instant>,
    /// The tasks of the connection end when this is dropped.
    _life: watch::Sender<()>,
}

/// What the upstream takes.
struct PeerLimits {
    streams: AtomicUsize,
    /// Its settings come before its first response, and nobody tells us.
    look_again: Notify,
}

/// The use of a connection by one request.
pub(in crate::wire) struct Http2 {
    shared: Arc<Shared>,
}

impl Http2 {
    /// Opens a connection over a verified stream, with one request on it.
    pub(super) async fn open(stream: Box<TlsStream<TcpStream>>, peer: Peer) -> Result<Self, WireError> {
        let (life, alive) = watch::channel(());
        let tasks = Tasks { alive };
        let mut builder = http2::Builder::new(tasks.clone());
        builder
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .max_header_list_size(HEAD_BYTES_MAX as u32);
        let (sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|_| WireError::ConnectFailed)?;
        let limits =
            Arc::new(PeerLimits { streams: AtomicUsize::new(STREAMS_MAX), look_again: Notify::new() });
        hyper::rt::Executor::execute(&tasks, drive(connection, limits.clone()));
        let shared = Arc::new(Shared {
            sender,
            peer,
            streams: AtomicUsize::new(1),
            limits,
            is_retired: AtomicBool::new(false),
            idle_since: Mutex::new(Instant::now()),
            _life: life,
        });
        Ok(Self { shared })
    }

    /// The connection, to be shared.
    pub(in crate::wire) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.shared.peer
    }

    /// Whether a request can still be sent on it.
    pub(super) fn is_open(&self) -> bool {
        self.shared.is_open()
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(&self, request: Request<Outgoing>) -> Result<Response<Incoming>, hyper::Error> {
        let response = self.shared.sender.clone().send_request(request);
        let doubt = Doubt(&self.shared);
        let response = response.await?;
        std::mem::forget(doubt);
        self.shared.limits.look_again.notify_one();
        Ok(response)
    }

    /// The next frame of a response's body.
    pub(super) fn poll_frame(
        &self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(body).poll_frame(cx)
    }
}

/// Retires a connection on which a request got no answer: it may be dead without anybody having told us, and the next
/// request would wait there too.
struct Doubt<'a>(&'a Shared);

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        self.0.is_retired.store(true, Ordering::Relaxed);
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        *self.shared.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.shared.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// One more request on it, if there is room.
    pub(in crate::wire) fn join(self: &Arc<Self>) -> Option<Http2> {
        let most = self.limits.streams.load(Ordering::Relaxed).min(STREAMS_MAX);
        let joined = self.streams.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |streams| {
            (streams < most).then_some(streams + 1)
        });
        joined.is_ok().then(|| Http2 { shared: self.clone() })
    }

    /// Whether new requests may be sent on it: the upstream neither closed it nor said that it will.
    pub(in crate::wire) fn is_open(&self) -> bool {
        !self.is_retired.load(Ordering::Relaxed) && !self.sender.is_closed()
    }

    pub(in crate::wire) fn is_idle(&self) -> bool {
        self.streams.load(Ordering::Relaxed) == 0
    }

    /// For how long nobody has used it.
    pub(in crate::wire) fn idle_for(&self) -> Duration {
        if !self.is_idle() {
            return Duration::ZERO;
        }
        self.idle_since.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    pub(in crate::wire) fn age(&self) -> Duration {
        self.peer.opened.elapsed()
    }
}

/// Drives a connection's requests, and notes how many the upstream takes at a time.
async fn drive(connection: http2::Connection<Io, Outgoing, Tasks>, limits: Arc<PeerLimits>) {
    let mut connection = connection;
    loop {
        let mut look_again = pin!(limits.look_again.notified());
        let ended = std::future::poll_fn(|cx| {
            let ended = Pin::new(&mut connection).poll(cx).is_ready();
            if ended || look_again.as_mut().poll(cx).is_ready() { Poll::Ready(ended) } else { Poll::Pending }
        })
        .await;
        if ended {
            return;
        }
        limits.streams.store(connection.current_max_send_streams(), Ordering::Relaxed);
    }
}

/// Runs the tasks of one connection for as long as it lives.
#[derive(Clone)]
struct Tasks {
    alive: watch::Receiver<()>,
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let mut alive = self.alive.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = task => {}
                // Nothing is ever sent: this is the end of the sender.
                _ = alive.changed() => {}
            }
        });
    }
}
