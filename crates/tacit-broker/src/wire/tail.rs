//! The body of a response as it comes in, with the connection that it comes on.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    body::Upload,
    error::{Phase, WireError},
    link::Link,
    pool::{Place, Pool},
};

/// Reads at most this much of a body that nobody wants, so that its connection can be used again.
const DRAIN_BYTES_MAX: u64 = 64 * 1024;
/// And waits at most this long for it.
const DRAIN_TIME_MAX: Duration = Duration::from_millis(250);

/// A body with the connection that it arrives on. Dropping it gives both up.
pub(super) struct Tail {
    body: Incoming,
    link: Link,
    /// A request's body that may still be on its way. It stops with the response.
    upload: Option<Upload>,
    parking: (Arc<Pool>, Place),
}

/// A part of a body.
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Tail {
    pub(super) fn new(
        body: Incoming,
        link: Link,
        upload: Option<Upload>,
        parking: (Arc<Pool>, Place),
    ) -> Self {
        Self { body, link, upload, parking }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.link.address()
    }

    pub(super) fn certificate_der(&self) -> Option<&[u8]> {
        self.link.certificate().map(|der| &**der)
    }

    /// Bytes still to come, if the upstream said how many.
    pub(super) fn bytes_left(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next piece; `None` at the proper end.
    pub(super) fn poll_piece(
        &mut self,
        patience: &mut Patience,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Piece>, WireError>> {
        let frame = loop {
            match self.link.poll_frame(&mut self.body, cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => break Ok(Some(Piece::Data(data))),
                    Err(frame) => match frame.into_trailers() {
                        Ok(trailers) => break Ok(Some(Piece::Trailers(trailers))),
                        Err(_unknown) => continue,
                    },
                },
                Poll::Ready(Some(Err(error))) => break Err(error),
                Poll::Ready(None) => break Ok(None),
                Poll::Pending => {
                    ready!(patience.poll_end(cx));
                    return Poll::Ready(Err(WireError::Timeout(Phase::Body)));
                }
            }
        };
        patience.renew();
        // Where the request broke off, the upstream may well say that it has had enough.
        let is_broken = frame.is_err() && self.upload.as_ref().is_some_and(Upload::is_broken);
        Poll::Ready(if is_broken { Err(WireError::BodyBroken) } else { frame })
    }

    /// Gives the connection back after the body's proper end, if it is clean.
    pub(super) fn park(self, cx: &mut Context<'_>) {
        let Self { mut link, parking: (pool, place), body, upload: _upload } = self;
        drop(body);
        // One that is shared never left the pool.
        if let Link::Http1(parked) = &mut link
            && !parked.poll_reusable(cx)
        {
            return;
        }
        if let Link::Http1(link) = link {
            pool.park(place, link);
        }
    }

    /// Reads a little of a body that nobody wants, and all of it while the request is still on its way. The status is
    /// known, so no failure matters any more.
    pub(super) async fn drain(mut self, limit: Duration) -> u64 {
        let mut patience = Patience::total(limit.min(DRAIN_TIME_MAX));
        let mut while_uploading = Patience::idle(limit);
        let mut drained = 0;
        loop {
            let is_uploading = self.upload.as_ref().is_some_and(|upload| !upload.is_over());
            if drained > DRAIN_BYTES_MAX && !is_uploading {
                return drained;
            }
            let patience = if is_uploading { &mut while_uploading } else { &mut patience };
            match poll_fn(|cx| self.poll_piece(patience, cx)).await {
                Ok(Some(Piece::Data(data))) => drained += data.len() as u64,
                Ok(Some(Piece::Trailers(_))) => {}
                Ok(None) => break,
                Err(_) => return drained,
            }
        }
        let mut tail = Some(self);
        poll_fn(|cx| {
            if let Some(tail) = tail.take() {
                tail.park(cx);
            }
            Poll::Ready(())
        })
        .await;
        drained
    }
}

/// How long to wait.
pub(super) struct Patience {
    limit: Limit,
    sleep: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

enum Limit {
    Until(Option<Instant>),
    Idle(Duration),
}

impl Patience {
    /// For everything together, from now on.
    pub(super) fn total(limit: Duration) -> Self {
        Self { limit: Limit::Until(Instant::now().checked_add(limit)), sleep: None, is_waiting: false }
    }

    /// For each piece. Only waiting counts: while nobody asks for the next piece, the upstream has all the time.
    pub(super) fn idle(limit: Duration) -> Self {
        Self { limit: Limit::Idle(limit), sleep: None, is_waiting: false }
    }

    /// A piece has come.
    fn renew(&mut self) {
        if matches!(self.limit, Limit::Idle(_)) {
            self.is_waiting = false;
        }
    }

    /// Ready when it is at its end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = match self.limit {
            Limit::Until(until) => until,
            Limit::Idle(limit) => Instant::now().checked_add(limit),
        };
        let Some(until) = until else { return Poll::Pending };
        let is_new = self.sleep.is_none();
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if !self.is_waiting && !is_new {
            sleep.as_mut().reset(until);
        }
        self.is_waiting = true;
        sleep.as_mut().poll(cx)
    }
}
