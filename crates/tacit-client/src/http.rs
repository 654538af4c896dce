//! One request and its answer. Bodies are never logged, redirects never followed, proxies of the environment not used.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH},
};
use reqwest::Url;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tacit_api::{Page, Problem};

use crate::{Error, InWorkspace};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for an answer that needs nobody else.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How a request gets to a server and its whole answer back: over the network, or within a process to a server that
/// runs in it.
pub trait Transport: Send + Sync {
    /// Sends one request. The answer is whatever the server said, problems too; an error is what lies between.
    fn send(&self, request: Request<Bytes>, timeout: Duration) -> Sending<'_>;
}

/// A request on its way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Error>> + Send + 'a>>;

/// A server's address and somebody's token. Cheap to clone. Has no `Debug`: it holds the token.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    base: Url,
    bearer: HeaderValue,
}

impl Client {
    /// A client for a server such as `http://127.0.0.1:8200`, with a token `tct_…`. Sends nothing yet.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Token`], or [`Error::Unreachable`] if the system has no roots for TLS.
    pub fn new(address: &str, token: &str) -> Result<Self, Error> {
        let base = parse_address(address)?;
        let bearer = bearer(token)?;
        Ok(Self { transport: Arc::new(Network::new(&base)?), base, bearer })
    }

    /// A client that speaks through something else than the network. The requests' address is then only a form: what
    /// counts is their path.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub fn with_transport(transport: Arc<dyn Transport>, token: &str) -> Result<Self, Error> {
        Ok(Self { transport, base: parse_address("http://localhost")?, bearer: bearer(token)? })
    }

    /// The same server for somebody else.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub fn with_token(&self, token: &str) -> Result<Self, Error> {
        Ok(Self { bearer: bearer(token)?, ..self.clone() })
    }

    /// Everything in one workspace.
    pub fn workspace<'a>(&'a self, name: &'a str) -> InWorkspace<'a> {
        InWorkspace::new(self, name)
    }

    /// `GET` of a path, its segments encoded.
    pub(crate) fn get(&self, path: &[&str]) -> Result<Call, Error> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &[&str]) -> Result<Call, Error> {
        self.call(Method::POST, path)
    }

    pub(crate) fn put(&self, path: &[&str]) -> Result<Call, Error> {
        self.call(Method::PUT, path)
    }

    pub(crate) fn patch(&self, path: &[&str]) -> Result<Call, Error> {
        self.call(Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: &[&str]) -> Result<Call, Error> {
        self.call(Method::DELETE, path)
    }

    fn call(&self, method: Method, path: &[&str]) -> Result<Call, Error> {
        let mut url = self.base.clone();
        url.set_path(&encode_path(self.base.path(), path)?);
        Ok(Call { client: self.clone(), method, url, body: None, if_match: None, timeout: TIMEOUT })
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Error> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Error::Token)?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

/// The network, by the one HTTP client of the outside.
struct Network(reqwest::Client);

impl Network {
    fn new(base: &Url) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tacit/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the token, or a body with a value, to where nobody meant it to go.
            .redirect(reqwest::redirect::Policy::none())
            // So would a proxy that somebody's environment names.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT);
        if base.scheme() == "http" {
            // Without TLS no roots are needed; reading the system's takes time and fails where there are none.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self(builder.build()?))
    }
}

impl Transport for Network {
    fn send(&self, request: Request<Bytes>, timeout: Duration) -> Sending<'_> {
        Box::pin(async move {
            let mut request = reqwest::Request::try_from(request)?;
            *request.timeout_mut() = Some(timeout);
            let mut answer = self.0.execute(request).await?;
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = answer.status();
            *response.headers_mut() = std::mem::take(answer.headers_mut());
            *response.body_mut() = answer.bytes().await?;
            Ok(response)
        })
    }
}

/// A request that is being put together.
pub(crate) struct Call {
    client: Client,
    method: Method,
    url: Url,
    body: Option<(&'static str, Vec<u8>)>,
    if_match: Option<String>,
    timeout: Duration,
}

impl Call {
    /// With the fields of a flat struct as query parameters.
    pub(crate) fn query(mut self, query: &impl Serialize) -> Self {
        // Query types are flat structs of texts, numbers and flags, which always serialize.
        if let Ok(Value::Object(fields)) = serde_json::to_value(query) {
            let mut pairs = self.url.query_pairs_mut();
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                match value {
                    Value::String(text) => pairs.append_pair(name, text),
                    other => pairs.append_pair(name, &other.to_string()),
                };
            }
        }
        if self.url.query() == Some("") {
            self.url.set_query(None);
        }
        self
    }

    /// With a JSON body.
    pub(crate) fn json(self, body: &impl Serialize) -> Result<Self, Error> {
        // Wire types are plain data with string keys; a failure here is a mistake in this crate.
        let bytes = serde_json::to_vec(body).map_err(|_| Error::Unexpected {
            status: 0,
            reason: "the request could not be written as JSON",
        })?;
        Ok(self.body("application/json", bytes))
    }

    /// With a body of some type.
    pub(crate) fn body(self, content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { body: Some((content_type, bytes)), ..self }
    }

    /// Only if the thing still has this tag.
    pub(crate) fn if_match(self, tag: &str) -> Self {
        Self { if_match: Some(tag.to_owned()), ..self }
    }

    /// With more patience than usual.
    pub(crate) fn patience(self, more: Duration) -> Self {
        Self { timeout: self.timeout.saturating_add(more), ..self }
    }

    /// Sends it and reads the answer as JSON.
    pub(crate) async fn answer<T: DeserializeOwned>(self) -> Result<T, Error> {
        parse(&self.send().await?)
    }

    /// Sends it and reads the answer as JSON, with its tag.
    pub(crate) async fn tagged_answer<T: DeserializeOwned>(self) -> Result<(T, String), Error> {
        let response = self.send().await?;
        let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        Ok((parse(&response)?, tag.to_owned()))
    }

    /// Sends it and reads the answer as JSON, if there is one.
    pub(crate) async fn answer_if_any<T: DeserializeOwned + Default>(self) -> Result<T, Error> {
        let response = self.send().await?;
        if response.body().is_empty() { Ok(T::default()) } else { parse(&response) }
    }

    /// Sends it and reads the answer as one page.
    pub(crate) async fn page<T: DeserializeOwned>(self) -> Result<Page<T>, Error> {
        self.answer().await
    }

    /// Sends it and wants nothing but success.
    pub(crate) async fn done(self) -> Result<(), Error> {
        self.send().await.map(|_| ())
    }

    async fn send(self) -> Result<Response<Bytes>, Error> {
        let mut headers = HeaderMap::from_iter([(AUTHORIZATION, self.client.bearer.clone())]);
        let mut body = Bytes::new();
        if let Some((content_type, bytes)) = self.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            body = bytes.into();
        }
        // What is no header cannot be a tag that a server gave, and so matches nothing.
        if let Some(tag) = &self.if_match {
            headers.insert(IF_MATCH, HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\"")));
        }
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        // A URL that parsed is a URI, unless it is longer than any URI may be.
        *request.uri_mut() = self
            .url
            .as_str()
            .parse()
            .map_err(|_| Error::Unexpected { status: 0, reason: "the request's address is too long" })?;
        *request.headers_mut() = headers;
        let response = self.client.transport.send(request, self.timeout).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        match serde_json::from_slice::<Problem>(response.body()) {
            Ok(problem) => Err(Error::Problem(Box::new(problem))),
            Err(_) => Err(Error::Unexpected {
                status: response.status().as_u16(),
                reason: "this does not look like a Tacit server",
            }),
        }
    }
}

fn parse<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, Error> {
    serde_json::from_slice(response.body()).map_err(|_| Error::Unexpected {
        status: response.status().as_u16(),
        reason: "the body is not what this API answers",
    })
}

/// A server's address: http or https, a host, perhaps a path; nothing else.
fn parse_address(address: &str) -> Result<Url, Error> {
    let refused = || Error::Address(without_credentials(address));
    let url = Url::parse(address.trim()).map_err(|_| refused())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err(refused());
    }
    Ok(url)
}

/// What stands before an `@` may be a password; an error does not repeat it.
fn without_credentials(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => address.to_owned(),
    }
}

/// The path of segments under a base, everything but unreserved characters percent-encoded.
fn encode_path(base: &str, segments: &[&str]) -> Result<String, Error> {
    let mut path = base.trim_end_matches('/').to_owned();
    for segment in segments {
        // A URL parser drops these even when they are encoded, and the request would reach another path.
        if matches!(*segment, "" | "." | "..") {
            return Err(Error::Name((*segment).to_owned()));
        }
        path.push('/');
        for byte in segment.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                path.push(char::from(byte));
            } else {
                path.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every name is one segment, whatever is in it.
    #[test]
    fn segments_are_encoded() {
        let encoded = encode_path("/", &["v1", "HubSpot API key – production", "a/../b?c#d%2F"]).unwrap();
        assert_eq!(encoded, "/v1/HubSpot%20API%20key%20%E2%80%93%20production/a%2F..%2Fb%3Fc%23d%252F");
        let mut url = Url::parse("https://x.test/").unwrap();
        url.set_path(&encoded);
        assert_eq!(url.path(), encoded, "the parser leaves it alone");
        assert_eq!(encode_path("/tacit/", &["v1"]).unwrap(), "/tacit/v1");
        for name in ["", ".", ".."] {
            assert!(matches!(encode_path("/", &["v1", name]), Err(Error::Name(_))), "{name}");
        }
    }

    /// Addresses are http or https and carry no credentials, which an error would not repeat.
    #[test]
    fn addresses() {
        for good in ["http://127.0.0.1:8200", "https://tacit.example", "https://example.test/tacit/"] {
            assert!(parse_address(good).is_ok(), "{good}");
        }
        for bad in
            ["127.0.0.1:8200", "ftp://x.test", "https://", "https://x.test/?a", "https://x.test/#a", ""]
        {
            assert!(matches!(parse_address(bad), Err(Error::Address(_))), "{bad}");
        }
        let error = parse_address("https://user:hunter2@x.test").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    /// Queries leave out what is absent.
    #[test]
    fn queries() {
        let client = Client::new("http://127.0.0.1:1", "tct_x").ok().unwrap();
        let query = tacit_api::SecretQuery {
            search: Some("a b&c".into()),
            system: Some(true),
            limit: Some(5),
            ..Default::default()
        };
        let call = client.get(&["v1"]).ok().unwrap().query(&query);
        assert_eq!(call.url.query(), Some("search=a+b%26c&system=true&limit=5"));
        let call = client.get(&["v1"]).ok().unwrap().query(&tacit_api::SecretQuery::default());
        assert_eq!(call.url.as_str(), "http://127.0.0.1:1/v1");
    }

    /// A token that is not one is refused before it is sent.
    #[test]
    fn tokens() {
        assert!(matches!(Client::new("http://127.0.0.1:1", "tct_x\r\nX: y"), Err(Error::Token)));
    }
}
