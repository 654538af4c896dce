//! What Tacit's proxy is measured beside: `hudsucker` (intercepts, sets one header, opens nothing and records nothing)
//! and `plain` (a blind forward proxy).
//!
//!     tacit-peers plain
//!     tacit-peers hudsucker CA.pem CA-KEY.pem UPSTREAM-CA.pem
//!
//! Each prints `NAME: ready on http://ADDRESS` and serves until it is killed.

use std::{io, net::Ipv4Addr, sync::Arc};

use anyhow::Context;
use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hudsucker::{
    Body, HttpContext, HttpHandler, Proxy, RequestOrResponse,
    certificate_authority::RcgenAuthority,
    rcgen::{Issuer, KeyPair},
};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["plain"] => {
            println!("plain: ready on http://{address}");
            plain(listener).await
        }
        ["hudsucker", ca, key, upstream_ca] => {
            println!("hudsucker: ready on http://{address}");
            intercepting(listener, ca, key, upstream_ca).await
        }
        _ => anyhow::bail!("say `plain`, or `hudsucker CA.pem CA-KEY.pem UPSTREAM-CA.pem`"),
    }
}

/// Sets the credential, as a proxy that holds it in memory would.
#[derive(Clone)]
struct SetHeader(HeaderValue);

impl HttpHandler for SetHeader {
    async fn handle_request(&mut self, _: &HttpContext, mut request: Request<Body>) -> RequestOrResponse {
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        request.into()
    }
}

async fn intercepting(listener: TcpListener, ca: &str, key: &str, upstream_ca: &str) -> anyhow::Result<()> {
    let read = |file: &str| std::fs::read_to_string(file).with_context(|| file.to_owned());
    let issuer = Issuer::from_ca_cert_pem(&read(ca)?, KeyPair::from_pem(&read(key)?)?)?;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(upstream_ca)? {
        roots.add(root?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Proxy::builder()
        .with_listener(listener)
        .with_ca(RcgenAuthority::new(issuer, 1_000, aws_lc_rs::default_provider()))
        .with_http_connector(connector)
        .with_http_handler(SetHeader(HeaderValue::from_static("Bearer a-credential-in-memory")))
        .build()?
        .start()
        .await?;
    Ok(())
}

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

async fn plain(listener: TcpListener) -> anyhow::Result<()> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let client = client.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| forward(client.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            // A client that goes away is no news.
            let _ = connection.await;
        });
    }
}

async fn forward(client: Client<HttpConnector, Incoming>, request: Request<Incoming>) -> io::Result<Answer> {
    if request.method() != Method::CONNECT {
        let answer = client.request(request).await.map_err(io::Error::other)?;
        return Ok(answer.map(BodyExt::boxed));
    }
    let empty = || Empty::new().map_err(|never| match never {}).boxed();
    let Some(authority) = request.uri().authority().map(ToString::to_string) else {
        let mut refused = Response::new(empty());
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refused);
    };
    let mut upstream = TcpStream::connect(authority).await?;
    upstream.set_nodelay(true)?;
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut upstream).await;
        }
    });
    Ok(Response::new(empty()))
}
