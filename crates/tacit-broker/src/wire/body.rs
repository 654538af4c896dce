//! The body of a request: whole, or a stream that is passed on as it comes.
//!
//! Its framing is always generated: a known length becomes `Content-Length` and is held to, everything else goes out in
//! chunks or data frames. A streamed body can be sent once only, and trailers of a request are dropped.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tokio::{sync::oneshot, time::Instant};

/// What to send after the head.
pub enum OutboundBody {
    /// All of it. Cheap to clone, so that it can be sent a second time.
    Whole(Bytes),
    /// Read while it is sent.
    Stream(OutboundStream),
}

/// A body that comes from somewhere else, such as from the client of a proxy.
pub struct OutboundStream {
    body: UnsyncBoxBody<Bytes, BodyBroken>,
    /// Its length, if that is known.
    bytes: Option<u64>,
}

/// A request's body ended in the middle, or with another length than it said. Says no more: the cause is a client's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request's body broke off")]
pub(super) struct BodyBroken;

impl OutboundBody {
    /// Streams a body. Its length is known if its size hint is exact; an empty one is the same as a whole empty one.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
    {
        let bytes = body.size_hint().exact();
        if body.is_end_stream() || bytes == Some(0) {
            return Self::default();
        }
        Self::Stream(OutboundStream { body: body.map_err(|_| BodyBroken).boxed_unsync(), bytes })
    }

    /// Its length; `None` if nobody knows it before its end.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Stream(stream) => stream.bytes,
        }
    }

    /// The same once more; `None` for a stream.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Stream(_) => None,
        }
    }

    /// The body as hyper sends it, and, for a stream, the other end of it.
    pub(super) fn outgoing(self) -> (Outgoing, Option<Upload>) {
        match self {
            Self::Whole(bytes) => (Outgoing(Kind::Whole(bytes)), None),
            Self::Stream(OutboundStream { body, bytes }) => {
                let (stop, stopped) = oneshot::channel();
                let progress = Arc::new(Progress::default());
                let upload = Upload { progress: progress.clone(), _stop: stop };
                (
                    Outgoing(Kind::Stream { body, left: bytes, progress, stopped, is_over: false }),
                    Some(upload),
                )
            }
        }
    }
}

impl Default for OutboundBody {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl From<Bytes> for OutboundBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

/// Its length. It may hold a value.
impl fmt::Debug for OutboundBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundBody").field("bytes", &self.length()).finish_non_exhaustive()
    }
}

/// How far a stream is.
struct Progress {
    last: Mutex<Instant>,
    is_over: AtomicBool,
    is_broken: AtomicBool,
}

impl Default for Progress {
    fn default() -> Self {
        Self { last: Mutex::new(Instant::now()), is_over: false.into(), is_broken: false.into() }
    }
}

/// The other end of a body that is being streamed. Dropping it stops the stream, wherever it is read.
pub(super) struct Upload {
    progress: Arc<Progress>,
    _stop: oneshot::Sender<()>,
}

impl Upload {
    /// When the last piece was taken.
    pub(super) fn last_progress(&self) -> Instant {
        *self.progress.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is at its end, whichever.
    pub(super) fn is_over(&self) -> bool {
        self.progress.is_over.load(Ordering::Relaxed)
    }

    /// Whether it was the stream that failed.
    pub(super) fn is_broken(&self) -> bool {
        self.progress.is_broken.load(Ordering::Relaxed)
    }
}

/// A body as hyper takes it.
pub(super) struct Outgoing(Kind);

/// Says nothing: a body may hold a value.
impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outgoing(…)")
    }
}

enum Kind {
    Whole(Bytes),
    Stream {
        body: UnsyncBoxBody<Bytes, BodyBroken>,
        /// Bytes that must still come, where the length is known.
        left: Option<u64>,
        progress: Arc<Progress>,
        stopped: oneshot::Receiver<()>,
        is_over: bool,
    },
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        let (body, left, progress, stopped, is_over) = match &mut self.0 {
            Kind::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Kind::Whole(bytes) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Stream { is_over: true, .. } => return Poll::Ready(None),
            Kind::Stream { body, left, progress, stopped, is_over } => {
                (body, left, progress, stopped, is_over)
            }
        };
        let ended = if Pin::new(stopped).poll(cx).is_ready() {
            Err(BodyBroken)
        } else {
            loop {
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => break if left.unwrap_or(0) == 0 { Ok(()) } else { Err(BodyBroken) },
                    Poll::Ready(Some(Err(broken))) => break Err(broken),
                    Poll::Ready(Some(Ok(frame))) => {
                        // Trailers end here: nobody judged them.
                        let Ok(data) = frame.into_data() else { continue };
                        *progress.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                        match left {
                            None => return Poll::Ready(Some(Ok(Frame::data(data)))),
                            Some(left) if *left >= data.len() as u64 => {
                                *left -= data.len() as u64;
                                return Poll::Ready(Some(Ok(Frame::data(data))));
                            }
                            Some(_) => break Err(BodyBroken),
                        }
                    }
                }
            }
        };
        *is_over = true;
        progress.is_broken.store(ended.is_err(), Ordering::Relaxed);
        Poll::Ready(ended.err().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Stream { left, is_over, .. } => *is_over || *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream { left: Some(left), .. } => SizeHint::with_exact(*left),
            Kind::Stream { left: None, .. } => SizeHint::default(),
        }
    }
}
