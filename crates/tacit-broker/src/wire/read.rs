//! The response at its head: it is read whole, or streamed, under the rule that its destinations have.

use std::{fmt, net::SocketAddr, time::Duration};

use http::{HeaderMap, header};
use tacit_model::{destination::ResponseRule, limits};
use tacit_redact::{Findings, ScanSet};

use super::{
    error::WireError,
    stream::{ScrubbedStream, StreamLimits},
    tail::{Patience, Tail},
};

/// How much of a response is read, and how long.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Decoded bytes, before scrubbing.
    pub body_bytes_max: u64,
    /// For the whole body.
    pub timeout: Duration,
}

/// A response as it is delivered.
#[derive(Clone, Debug, Default)]
pub struct Scrubbed {
    /// The status code. There is no reason phrase: it is the upstream's text.
    pub status: u16,
    /// Lower-case names, in the upstream's order.
    pub headers: Vec<(String, String)>,
    /// Decoded and scrubbed.
    pub body: Vec<u8>,
    /// What was found, in headers and body.
    pub findings: Findings,
    /// Whether something was found and [`ResponseRule::Block`] therefore keeps everything back.
    pub withheld: bool,
    /// Body bytes as they came over the wire, still encoded.
    pub body_bytes_received: u64,
    /// Whether the body looks like an archive, an image or another container that the scrubber cannot look into.
    pub is_opaque: bool,
}

impl Scrubbed {
    /// Takes more out of it than was known when it was read.
    pub(crate) fn search_again(&mut self, scan: &ScanSet, rule: ResponseRule) {
        let (body, findings) = tacit_redact::scrub(scan, &self.body);
        self.body = body;
        self.findings.merge(findings);
        for (name, value) in std::mem::take(&mut self.headers) {
            let (_, in_name) = tacit_redact::scrub_text(scan, &name);
            let (value, in_value) = tacit_redact::scrub_text(scan, &value);
            // A name cannot be shown in part: the header goes.
            if in_name.total() == 0 {
                self.headers.push((name, value));
            }
            self.findings.merge(in_name);
            self.findings.merge(in_value);
        }
        if rule == ResponseRule::Block && self.findings.total() > 0 {
            let (status, body_bytes_received) = (self.status, self.body_bytes_received);
            let findings = std::mem::take(&mut self.findings);
            *self = Self { status, findings, withheld: true, body_bytes_received, ..Self::default() };
        }
    }
}

/// The head of a response, with the body still to come.
pub struct Received {
    status: u16,
    headers: HeaderMap,
    body: Tail,
    /// Whether it answers `HEAD`.
    is_bodiless: bool,
}

impl Received {
    pub(super) fn new(status: u16, headers: HeaderMap, body: Tail, is_bodiless: bool) -> Self {
        let mut headers = headers;
        if is_bodiless {
            // The answer to HEAD names the coding of a body that is not there.
            headers.remove(header::CONTENT_ENCODING);
        }
        Self { status, headers, body, is_bodiless }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The address that answered. After a second attempt it may differ from the connection's.
    pub fn address(&self) -> SocketAddr {
        self.body.address()
    }

    /// The upstream's leaf certificate (DER); `None` for plain http.
    pub fn certificate_der(&self) -> Option<&[u8]> {
        self.body.certificate_der()
    }

    /// Where a redirect points to, as the upstream wrote it: for the caller that judges each hop (attack A2).
    ///
    /// Raw and unscrubbed, so never to be shown. `None` if this is no redirect, or one that can be read in two ways.
    pub fn redirect_location(&self) -> Option<String> {
        if !matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let mut values = self.headers.get_all(header::LOCATION).iter();
        let location = values.next()?.to_str().ok()?.to_owned();
        values.next().is_none().then_some(location)
    }

    /// Reads the whole response under a rule.
    pub async fn read(
        self,
        scan: &ScanSet,
        rule: ResponseRule,
        limits: ReadLimits,
    ) -> Result<Scrubbed, WireError> {
        let status = self.status;
        if rule == ResponseRule::StatusOnly {
            let body_bytes_received = self.body.drain(limits.timeout).await;
            return Ok(Scrubbed { status, body_bytes_received, ..Scrubbed::default() });
        }
        let patience = Patience::total(limits.timeout);
        let mut stream = self.live(scan, limits.body_bytes_max, patience)?;
        let body = stream.read_whole().await?;
        let (findings, body_bytes_received) = (stream.findings(), stream.body_bytes_received());
        if rule == ResponseRule::Block && findings.total() > 0 {
            return Ok(Scrubbed {
                status,
                findings,
                withheld: true,
                body_bytes_received,
                ..Scrubbed::default()
            });
        }
        let is_opaque = stream.is_opaque();
        let headers = stream.into_headers();
        Ok(Scrubbed { status, headers, body, findings, withheld: false, body_bytes_received, is_opaque })
    }

    /// Streams the response under a rule.
    ///
    /// Under [`ResponseRule::Scrub`] this returns at once, and the body is scrubbed as it comes. Under
    /// [`ResponseRule::Block`] the body is read first, up to [`limits::RESPONSE_BODY_BYTES_MAX`], and then delivered whole
    /// or not at all. Under [`ResponseRule::StatusOnly`] nothing but the status is there.
    pub async fn stream(
        self,
        scan: &ScanSet,
        rule: ResponseRule,
        limits: StreamLimits,
    ) -> Result<ScrubbedStream, WireError> {
        let patience = Patience::idle(limits.idle);
        match rule {
            ResponseRule::Scrub => self.live(scan, u64::MAX, patience),
            ResponseRule::Block => {
                let bytes_max = limits::RESPONSE_BODY_BYTES_MAX as u64;
                self.live(scan, bytes_max, patience)?.read_and_block().await
            }
            ResponseRule::StatusOnly => {
                let status = self.status;
                let received = self.body.drain(limits.idle).await;
                Ok(ScrubbedStream::status_only(status, received))
            }
        }
    }

    fn live(self, scan: &ScanSet, bytes_max: u64, patience: Patience) -> Result<ScrubbedStream, WireError> {
        let Self { status, headers, body, is_bodiless } = self;
        ScrubbedStream::live(status, &headers, body, is_bodiless, scan, (bytes_max, patience))
    }
}

/// The status. Headers are the upstream's text.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("status", &self.status).finish_non_exhaustive()
    }
}
