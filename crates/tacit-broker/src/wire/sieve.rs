//! What decoded bytes pass on their way out.
//!
//! An ordinary body is one text: the scrubber holds back its last bytes until it knows what they belong to. A body that
//! consists of events or messages would lose its point that way, as somebody waits for each of them. So it is cut where
//! they end, each is scrubbed whole and released at once, and a value that is spread across two of them, of which the
//! first is gone already, ends the stream (attack E5).

mod events;
mod frames;
mod messages;

use http::HeaderMap;
use tacit_redact::{Findings, ScanSet, Scrubber};

use self::{events::Events, frames::FrameScrubber, messages::Messages};
use super::{error::WireError, headers};

/// One body's way out.
pub(super) struct Sieve(Kind);

enum Kind {
    /// There is nothing to look for.
    Open,
    /// One text.
    Text(Box<Scrubber>),
    /// Server-sent events.
    Events(Box<(Events, FrameScrubber)>),
    /// The messages of a gRPC call.
    Messages(Box<(Messages, FrameScrubber)>),
}

impl Sieve {
    /// For a body of the kind that the headers say.
    pub(super) fn new(headers: &HeaderMap, scan: &ScanSet) -> Self {
        Self(if scan.is_empty() {
            Kind::Open
        } else if headers::is_event_stream(headers) {
            Kind::Events(Box::new((Events::default(), FrameScrubber::new(scan))))
        } else if headers::is_grpc(headers) {
            Kind::Messages(Box::new((Messages::default(), FrameScrubber::new(scan))))
        } else {
            Kind::Text(Box::new(Scrubber::new(scan)))
        })
    }

    /// Whether everything passes as it is.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.0, Kind::Open)
    }

    /// Takes the next piece and appends what may go out.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        match &mut self.0 {
            Kind::Open => out.extend_from_slice(piece),
            Kind::Text(scrubber) => {
                scrubber.push(piece, out);
                // The beginning of a value was passed on before its end was seen: no more of it.
                if scrubber.findings().is_late() {
                    return Err(WireError::Unscannable);
                }
            }
            Kind::Events(parts) => {
                let (events, scrubber) = &mut **parts;
                events.push(piece, |event, data| release(scrubber, event, data, events::data_of, out))?;
            }
            Kind::Messages(parts) => {
                let (messages, scrubber) = &mut **parts;
                messages.push(piece, out, |message, out| {
                    release(scrubber, message, message, <[u8]>::to_vec, out)
                })?;
            }
        }
        Ok(())
    }

    /// Releases the rest after the body's proper end, and says what was found.
    pub(super) fn finish(self, out: &mut Vec<u8>) -> Result<Findings, WireError> {
        match self.0 {
            Kind::Open => Ok(Findings::default()),
            Kind::Text(scrubber) => Ok(scrubber.finish(out)),
            Kind::Events(parts) => {
                let (events, mut scrubber) = *parts;
                events.finish(|event, data| release(&mut scrubber, event, data, events::data_of, out))?;
                Ok(scrubber.findings().clone())
            }
            Kind::Messages(parts) => {
                let (messages, scrubber) = *parts;
                messages.finish()?;
                Ok(scrubber.findings().clone())
            }
        }
    }

    /// What was found in what went out.
    pub(super) fn findings(&self) -> Findings {
        match &self.0 {
            Kind::Open => Findings::default(),
            Kind::Text(scrubber) => scrubber.findings().clone(),
            Kind::Events(parts) => parts.1.findings().clone(),
            Kind::Messages(parts) => parts.1.findings().clone(),
        }
    }
}

fn release(
    scrubber: &mut FrameScrubber,
    framed: &[u8],
    payload: &[u8],
    payload_of: fn(&[u8]) -> Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    scrubber.frame(framed, payload, payload_of, out).map_err(|_| WireError::Unscannable)
}
