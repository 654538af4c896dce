//! The body of what a client gets: a document of ours, or an upstream's answer as it comes out of the scrubber.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tacit_model::{Code, Problem, Target};
use tacit_vault::{Coverage, Vault};

use crate::{
    faults::{outdated, wire_problem},
    permit::PendingOutcome,
    wire::ScrubbedStream,
};

/// A response's body.
pub(super) enum Reply {
    /// Known whole.
    Whole(Bytes),
    /// Comes piece by piece.
    Stream(Box<Streamed>),
}

/// Bytes of a body that are waited for before the head is sent, while they are there already.
const READY_BYTES_MAX: usize = 64 * 1024;

impl Reply {
    /// An answer, from its head on. What of the body is there already is taken at once: a body that is whole by then has a
    /// length, and one that is broken is a refusal instead of an answer that breaks off.
    pub(super) async fn begin(
        stream: ScrubbedStream,
        check: Check,
        mut outcome: PendingOutcome,
        target: Target,
    ) -> Result<Self, Problem> {
        // What happens to the rest is the client's to say: it may stop listening when it likes.
        outcome.code = None;
        let mut streamed =
            Streamed { ready: Bytes::new(), stream, check, outcome, delivered: 0, is_cut: false, target };
        while streamed.ready.len() < READY_BYTES_MAX {
            match poll_fn(|cx| Poll::Ready(streamed.stream.poll_chunk(cx))).await {
                Poll::Pending => break,
                Poll::Ready(Ok(Some(piece))) if streamed.ready.is_empty() => streamed.ready = piece,
                Poll::Ready(Ok(Some(piece))) => {
                    streamed.ready = [&streamed.ready[..], &piece].concat().into()
                }
                Poll::Ready(Ok(None)) if streamed.stream.is_end_stream() => {
                    if !streamed.ready.is_empty() && !streamed.check.is_good().await {
                        let problem = outdated(&streamed.target);
                        streamed.outcome.code = Some(problem.code);
                        return Err(problem);
                    }
                    streamed.delivered = streamed.ready.len() as u64;
                    return Ok(Self::Whole(std::mem::take(&mut streamed.ready)));
                }
                // Trailers are left.
                Poll::Ready(Ok(None)) => break,
                Poll::Ready(Err(error)) => {
                    let problem = wire_problem(&error, &streamed.target);
                    streamed.outcome.code = Some(problem.code);
                    return Err(problem);
                }
            }
        }
        Ok(Self::Stream(Box::new(streamed)))
    }
}

/// An answer on its way. When it ends, or when nobody wants it any more, its outcome goes on the record.
pub(super) struct Streamed {
    /// What comes before the rest of the stream.
    ready: Bytes,
    stream: ScrubbedStream,
    check: Check,
    outcome: PendingOutcome,
    delivered: u64,
    /// Whether something came that is not to be delivered, nor what comes behind it.
    is_cut: bool,
    target: Target,
}

impl Drop for Streamed {
    fn drop(&mut self) {
        let found = self.stream.findings().total();
        self.outcome.findings = Some(found);
        self.outcome.body_bytes = Some(self.delivered);
        metrics::counter!("tacit_broker_findings_total").increment(found);
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let streamed = match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Self::Whole(bytes) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(streamed) => streamed,
        };
        loop {
            if let Some((frame, is_good)) = ready!(streamed.check.poll(cx)) {
                if !is_good {
                    streamed.outcome.code = Some(Code::ResponseUnscannable);
                    streamed.is_cut = true;
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
                }
                streamed.delivered += frame.data_ref().map_or(0, |data| data.len() as u64);
                return Poll::Ready(Some(Ok(frame)));
            }
            if streamed.is_cut {
                return Poll::Ready(None);
            }
            if !streamed.ready.is_empty() {
                streamed.check.start(Frame::data(std::mem::take(&mut streamed.ready)));
                continue;
            }
            match ready!(Pin::new(&mut streamed.stream).poll_frame(cx)) {
                Some(Ok(frame)) => streamed.check.start(frame),
                Some(Err(error)) => {
                    streamed.outcome.code = Some(wire_problem(&error, &streamed.target).code);
                    // Without a word of what happened: the connection is cut, and the record says why.
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
                }
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(streamed) => {
                streamed.ready.is_empty() && !streamed.check.is_running() && streamed.stream.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(streamed) => {
                if streamed.check.is_running() {
                    return SizeHint::default();
                }
                let (ready, rest) = (streamed.ready.len() as u64, streamed.stream.size_hint());
                let mut hint = SizeHint::new();
                hint.set_lower(ready + rest.lower());
                if let Some(upper) = rest.upper() {
                    hint.set_upper(ready + upper);
                }
                hint
            }
        }
    }
}

/// Asks for each piece whether it was searched for everything that may be in it by now.
pub(super) struct Check {
    vault: Vault,
    state: State,
}

enum State {
    Idle(Coverage),
    Running(Frame<Bytes>, Pin<Box<dyn Future<Output = (Coverage, bool)> + Send>>),
    /// The answer was no.
    Over,
}

impl Check {
    pub(super) fn new(vault: Vault, coverage: Coverage) -> Self {
        Self { vault, state: State::Idle(coverage) }
    }

    /// The same for everything that came so far.
    async fn is_good(&mut self) -> bool {
        match &mut self.state {
            State::Idle(coverage) => self.vault.still_covers(coverage).await,
            State::Running(..) | State::Over => false,
        }
    }

    /// Holds a piece until it is known.
    fn start(&mut self, frame: Frame<Bytes>) {
        if let State::Idle(mut coverage) = std::mem::replace(&mut self.state, State::Over) {
            let vault = self.vault.clone();
            let asking = async move {
                let is_good = vault.still_covers(&mut coverage).await;
                (coverage, is_good)
            };
            self.state = State::Running(frame, Box::pin(asking));
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.state, State::Running(..))
    }

    /// The piece that was held, and whether it may go out; `None` if none is.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Frame<Bytes>, bool)>> {
        let State::Running(_, asking) = &mut self.state else { return Poll::Ready(None) };
        let (coverage, is_good) = ready!(asking.as_mut().poll(cx));
        let next = if is_good { State::Idle(coverage) } else { State::Over };
        let State::Running(frame, _) = std::mem::replace(&mut self.state, next) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some((frame, is_good)))
    }
}

/// A body that breaks off when something else ends.
pub(super) struct Cut {
    reply: Reply,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Cut {
    pub(super) fn new(reply: Reply, end: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { reply, end: Box::pin(end) }
    }
}

impl Body for Cut {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        Pin::new(&mut self.reply).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}
