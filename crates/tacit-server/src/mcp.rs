//! The door for AI agents: the Model Context Protocol over HTTP, at `/v1/workspaces/{workspace}/mcp`.
//!
//! The tools are `tacit-mcp`'s, and what they do they ask this server's own routes for, in memory: with the same
//! authentication, validation, rights and events as everybody else. Here is only who may come in.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body as AxumBody,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use rustls::{
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    server::ParsedCertificate,
};
use tacit_client::{Error, Sending, Transport};
use tacit_mcp::{Sessions, Turned, Visitor};
use tacit_model::{Code, Host, Problem, Scheme, Target, limits};
use tower::ServiceExt;

use crate::{
    app::App,
    extract::{Body, Member},
    problem::ApiError,
    start::{ServeOptions, StartError},
};

/// The path of the door.
const PATH: &str = "/v1/workspaces/{workspace}/mcp";
/// Bytes of an answer of our own: a body from outside as it may be at most, and what JSON makes of it.
const ANSWER_BYTES_MAX: usize = 8 * limits::RESPONSE_BODY_BYTES_MAX;

/// The routes of the door, as they stand beside the others.
pub(crate) fn routes() -> Router<App> {
    Router::new().route(PATH, post(message).delete(end).get(listen))
}

/// Opens the door of a finished router, which is also where the tools' requests go.
pub(crate) fn open(router: Router) -> Router {
    let sessions = Sessions::new(Arc::new(InMemory(router.clone())), generate_id);
    router.layer(Extension(sessions))
}

fn generate_id() -> String {
    let bytes: [u8; 16] = tacit_crypto::random_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One message and its answer.
async fn message(
    State(app): State<App>,
    Extension(sessions): Extension<Arc<Sessions>>,
    Member(caller): Member,
    uri: Uri,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, ApiError> {
    app.hosts.check(&uri, &headers)?;
    let answer = sessions.post(visitor(&caller, &headers), headers, body).await.map_err(turned)?;
    Ok(answer.map(AxumBody::new))
}

/// The end of a session.
async fn end(
    State(app): State<App>,
    Extension(sessions): Extension<Arc<Sessions>>,
    Member(caller): Member,
    uri: Uri,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    app.hosts.check(&uri, &headers)?;
    sessions.delete(&visitor(&caller, &headers), &headers).await.map_err(turned)?;
    Ok(StatusCode::NO_CONTENT)
}

/// There is nothing to listen to: the server never speaks first. The protocol has this answer for it.
async fn listen(Member(_): Member) -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST, DELETE")]).into_response()
}

fn visitor(caller: &tacit_vault::Caller, headers: &HeaderMap) -> Visitor {
    // `Member` has read it already.
    let presented = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = presented.and_then(|presented| presented.split_once(' ')).map_or("", |(_, token)| token);
    Visitor {
        token: token.to_owned(),
        owner: *caller.token.as_bytes(),
        workspace: caller.workspace.to_string(),
    }
}

fn turned(turned: Turned) -> ApiError {
    match turned {
        Turned::NoSession => Problem::not_found("session").suggest("send `initialize` for a new one"),
        Turned::TooMany => Problem::new(Code::RateLimited, "too many agents' sessions are open")
            .suggest("end those that nobody needs, or wait until idle ones end"),
        Turned::TooLong => Problem::new(Code::PayloadTooLarge, "the message is longer than the door takes")
            .suggest("send less"),
        Turned::Unnamed => Problem::invalid("Mcp-Session-Id", "must name the session to end"),
    }
    .into()
}

/// The way from the tools back into this server.
struct InMemory(Router);

impl Transport for InMemory {
    fn send(&self, request: axum::http::Request<Bytes>, timeout: Duration) -> Sending<'_> {
        let router = self.0.clone();
        Box::pin(async move {
            let answering = async {
                let answer =
                    router.oneshot(request.map(AxumBody::from)).await.unwrap_or_else(|never| match never {});
                let (parts, body) = answer.into_parts();
                let status = parts.status.as_u16();
                let body = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await;
                let body =
                    body.map_err(|_| Error::Unexpected { status, reason: "the answer is too long" })?;
                Ok(axum::http::Response::from_parts(parts, body))
            };
            tokio::time::timeout(timeout, answering).await.unwrap_or(Err(Error::Timeout))
        })
    }
}

/// The names under which this server may be spoken to through the door.
///
/// A browser that was led to believe that somebody else's name is this machine's address sends that name. It cannot send an
/// address, and it cannot make a certificate.
pub(crate) struct Hosts {
    scheme: Scheme,
    named: Vec<Host>,
    certificate: Option<CertificateDer<'static>>,
}

impl Hosts {
    pub(crate) fn new(options: &ServeOptions) -> Result<Self, StartError> {
        let mut named = Vec::new();
        for name in &options.public_hosts {
            let host = Host::parse(name).map_err(|_| {
                StartError::new(
                    format!("--public-host {name} is not the name of a host"),
                    "write the name alone, such as tacit.example.com",
                )
            })?;
            named.push(host);
        }
        let certificate = options
            .tls
            .as_ref()
            .and_then(|(certificate, _)| CertificateDer::pem_file_iter(certificate).ok()?.next()?.ok());
        let scheme = if options.tls.is_some() { Scheme::Https } else { Scheme::Http };
        Ok(Self { scheme, named, certificate })
    }

    /// Whether a request names this server, and if it comes from a page, whether the page is this server's.
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let written = match headers.get(header::HOST) {
            Some(host) => host.to_str().ok(),
            None => uri.authority().map(|authority| authority.as_str()),
        };
        let target = written.and_then(|written| Target::parse_authority(self.scheme, written).ok());
        let Some(target) = target.filter(|target| self.knows(target.host())) else {
            return Err(Problem::new(
                Code::Forbidden,
                "this server does not know the host name it was asked under",
            )
            .suggest("use its address, or start it with --public-host NAME"));
        };
        let is_own = |origin: &str| match origin.split_once("://") {
            // TLS may end in front of the server, so a page may be https where the server is not.
            Some(("https", authority)) => is_same(Scheme::Https, authority, &target),
            Some(("http", authority)) => {
                self.scheme == Scheme::Http && is_same(Scheme::Http, authority, &target)
            }
            _ => false,
        };
        let origin = headers.get(header::ORIGIN);
        if origin.is_some_and(|origin| !origin.to_str().is_ok_and(is_own)) {
            return Err(Problem::new(
                Code::Forbidden,
                "a page of another origin may not speak to this server",
            )
            .suggest("use a client that is not a web page"));
        }
        Ok(())
    }

    fn knows(&self, host: &Host) -> bool {
        match host {
            Host::Ip(_) => true,
            Host::Name(name) if &**name == "localhost" => true,
            Host::Name(name) => self.named.contains(host) || self.is_certified(name),
        }
    }

    fn is_certified(&self, name: &str) -> bool {
        let parsed = self.certificate.as_ref().and_then(|der| ParsedCertificate::try_from(der).ok());
        let name = ServerName::try_from(name);
        matches!((parsed, name), (Some(parsed), Ok(name)) if verify_server_name(&parsed, &name).is_ok())
    }
}

/// Whether an origin's host and port are those that were asked, each with its own default port.
fn is_same(scheme: Scheme, authority: &str, target: &Target) -> bool {
    Target::parse_authority(scheme, authority).is_ok_and(|origin| {
        origin.host() == target.host()
            && (origin.port() == target.port()
                || (origin.port() == scheme.default_port()
                    && target.port() == target.scheme().default_port()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(named: &[&str]) -> Hosts {
        let named = named.iter().map(|name| Host::parse(name).ok().unwrap()).collect();
        Hosts { scheme: Scheme::Http, named, certificate: None }
    }

    fn is_let_in(hosts: &Hosts, host: Option<&str>, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            headers.extend(value.map(|value| (name, value.parse().unwrap())));
        }
        hosts.check(&Uri::from_static("/"), &headers).is_ok()
    }

    /// DNS rebinding: a name that somebody else made point here is not this server's.
    #[test]
    fn names_of_others() {
        let here = hosts(&["tacit.example.com"]);
        for good in [
            "127.0.0.1:8200",
            "localhost:8200",
            "[::1]:8200",
            "10.1.2.3",
            "tacit.example.com",
            "TACIT.example.com:443",
        ] {
            assert!(is_let_in(&here, Some(good), None), "{good}");
        }
        for bad in [
            "evil.test",
            "evil.test:8200",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "example.com",
            "",
            "a b",
            "u@localhost",
        ] {
            assert!(!is_let_in(&here, Some(bad), None), "{bad}");
        }
        assert!(!is_let_in(&here, None, None));
    }

    /// What the certificate is for, the server is called; one label of a wildcard included.
    #[test]
    fn names_of_the_certificate() {
        let names = ["tacit.example.com".to_owned(), "*.inside.example.com".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let here =
            Hosts { scheme: Scheme::Https, named: Vec::new(), certificate: Some(made.cert.der().clone()) };
        for good in ["tacit.example.com", "a.inside.example.com:8200", "10.0.0.1"] {
            assert!(is_let_in(&here, Some(good), None), "{good}");
        }
        for bad in ["example.com", "a.b.inside.example.com", "evil.test"] {
            assert!(!is_let_in(&here, Some(bad), None), "{bad}");
        }
    }

    /// A page speaks only to the server it came from.
    #[test]
    fn pages_of_others() {
        let here = hosts(&["tacit.example.com"]);
        assert!(is_let_in(&here, Some("127.0.0.1:8200"), Some("http://127.0.0.1:8200")));
        assert!(is_let_in(&here, Some("tacit.example.com"), Some("https://tacit.example.com")));
        for bad in [
            "http://evil.test:8200",
            "null",
            "http://127.0.0.1:8201",
            "http://localhost:8200",
            "file://",
            "",
            "https://127.0.0.1",
        ] {
            assert!(!is_let_in(&here, Some("127.0.0.1:8200"), Some(bad)), "{bad}");
        }
    }
}
