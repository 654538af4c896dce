//! The proxy: requests of programs that hold placeholders, sent with values.
//!
//! A program under a lease knows no value. It sends its requests to this proxy, in one of three forms (`CONNECT`, an
//! absolute URL, `/to/…` as a base URL), with placeholders where values belong. One straight line, file by file:
//!
//! 1. [`door`]: the first bytes of a connection say that it is for the proxy.
//! 2. [`connection`]: who it is (a lease), and where each request goes.
//! 3. [`tunnel`]: after a `CONNECT`, TLS is ended here for hosts that the lease's secrets are bound to, and for no other.
//! 4. [`forward`]: one request. [`find`] and [`body`] turn it into a draft with slots; from there on it takes the way of
//!    every other request, [`crate::permit`]; its answer streams back through the scrubber ([`reply`]).
//! 5. [`refusal`]: what a client is told when something of this is not allowed.
//!
//! This file holds the leases that are live: their certificate authorities, and the signal that cuts everything that is
//! open when they end.

pub mod authority;
mod body;
mod ca;
mod connection;
mod door;
mod find;
mod forward;
pub mod head;
mod http1;
mod json;
mod live;
mod prefixed;
mod refusal;
mod reply;
mod tunnel;
mod unstoppable;

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body::Body;
use tacit_model::{Destination, LeaseId, Problem};
use tacit_vault::Lease;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

use crate::Broker;
pub use door::Door;
use live::Live;
pub use prefixed::Prefixed;

/// The proxy. Cheap to clone.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    broker: Broker,
    live: RwLock<HashMap<LeaseId, Arc<Live>>>,
    /// Told when the server stops. Whoever serves a connection holds a receiver, so that the end of all can be waited for.
    stopping: watch::Sender<bool>,
}

/// How somebody came to the proxy.
pub enum Entry {
    /// Over the listener: each request says whose lease it is.
    Open {
        /// The client's address. A lease is good from the addresses it names.
        source: IpAddr,
    },
    /// Over a connection that a lease's token was already presented for.
    Lease(Arc<Lease>),
}

impl Proxy {
    /// A proxy that sends through this broker.
    pub fn new(broker: Broker) -> Self {
        Self(Arc::new(Inner { broker, live: RwLock::default(), stopping: watch::Sender::new(false) }))
    }

    /// Makes a lease usable here: gives it a certificate authority of its own, whose certificate (PEM) is returned, and
    /// watches it until it ends.
    ///
    /// `destinations` are those of its secrets: the certificates are good for their hosts and for no other.
    ///
    /// # Errors
    /// `internal`, if the authority cannot be made.
    pub fn open(&self, lease: Arc<Lease>, destinations: &[Destination]) -> Result<String, Problem> {
        let live = Arc::new(Live::new(lease, destinations)?);
        let pem = live.ca_pem();
        self.lock().insert(live.lease.id, Arc::clone(&live));
        metrics::gauge!("tacit_proxy_live_leases").increment(1);
        tokio::spawn(watch_over(self.clone(), live));
        Ok(pem)
    }

    /// Serves one connection of a client until it ends, its lease does, or the server stops.
    pub async fn serve<I>(&self, io: I, entry: Entry)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        connection::serve(self, io, entry).await;
    }

    /// Answers one request to a base URL (`/to/…`) that came over HTTP/2 on a connection of the API. Over HTTP/1.1 such a
    /// request has a connection of its own, which is read more strictly: [`Self::serve`].
    pub async fn answer<B>(
        &self,
        request: Request<B>,
        source: IpAddr,
    ) -> Response<impl Body<Data = Bytes, Error = io::Error> + Send + 'static>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
    {
        let mut response = connection::answer(self, request, source).await;
        response.headers_mut().remove(header::CONNECTION);
        response
    }

    /// Tells every connection to finish what is in flight, and waits until all have.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        self.0.stopping.closed().await;
    }

    fn live(&self, lease: LeaseId) -> Option<Arc<Live>> {
        self.0.live.read().unwrap_or_else(PoisonError::into_inner).get(&lease).cloned()
    }

    fn lock(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<LeaseId, Arc<Live>>> {
        self.0.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends what is open under a lease soon after the lease itself ended.
async fn watch_over(proxy: Proxy, live: Arc<Live>) {
    live.watch(&proxy.0.broker.vault).await;
    proxy.lock().remove(&live.lease.id);
    metrics::gauge!("tacit_proxy_live_leases").decrement(1);
}
