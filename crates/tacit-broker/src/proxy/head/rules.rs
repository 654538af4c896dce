//! What a request's head must be.

use http::{HeaderMap, HeaderValue, Request, Version, header};
use tacit_model::Target;

use super::{
    super::authority::{RequestTarget, RequestTargetError, is_target_byte},
    Inside,
};

/// A whole head (attack B19). hyper's own limit is higher.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// One header of it.
const FIELD_BYTES_MAX: usize = 8 * 1024;
/// Headers of a request. hyper's limit is the same.
const FIELDS_MAX: usize = 100;
/// Digits of a length: more than any body has.
const LENGTH_DIGITS_MAX: usize = 15;

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A line does not end in CRLF, is folded, is empty where none may be, or holds a control character.
    #[error("a line of the request does not end in CRLF, is folded, or holds a control character")]
    Line,
    /// Not `METHOD target HTTP/1.1`.
    #[error("the request line is not a method, a target and HTTP/1.1, with one space between")]
    RequestLine,
    /// Nothing that leads anywhere, or not from here.
    #[error("{0}")]
    Target(#[from] RequestTargetError),
    /// In a tunnel, or in HTTP/2: not for the scheme or host that the connection leads to.
    #[error("the request is not for the host that the connection leads to")]
    Misdirected,
    /// An older or a newer version.
    #[error("the request is not HTTP/1.1")]
    Version,
    /// `TRACE`, or `CONNECT` in a tunnel.
    #[error("this method is not passed on")]
    Method,
    /// A field whose name is no token, or is followed by a blank.
    #[error("a header has a name that is none")]
    FieldName,
    /// None, or more than one.
    #[error("there must be one Host")]
    Host,
    /// The body's length is said twice, or in a way that is not plain.
    #[error("the length of the body is not said in one plain way")]
    Framing,
    /// A header about the connection, in HTTP/2, where there is none to be about.
    #[error("a header about the connection does not belong into HTTP/2")]
    Connection,
    /// Something other than `100-continue`.
    #[error("Expect can only be 100-continue")]
    Expectation,
    /// Too long, or too many headers.
    #[error("the head of the request is too large")]
    TooLarge,
}

impl Violation {
    /// The status that says so.
    pub fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Expectation => 417,
            Self::Misdirected => 421,
            Self::TooLarge => 431,
            Self::Version => 505,
            _ => 400,
        }
    }
}

/// How the body after a head is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    None,
    /// It has so many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunked,
    /// There are no more requests: the connection becomes a tunnel.
    Connect,
}

/// Checks a head, its empty line included.
pub(super) fn check_head(head: &[u8], inside: Inside) -> Result<Framing, Violation> {
    let head = head.strip_suffix(b"\r\n\r\n").ok_or(Violation::Line)?;
    let mut lines = Lines(Some(head));
    let request_line = lines.next().ok_or(Violation::Line)?;
    let [method, target, version] = check_request_line(request_line)?;
    let is_connect = method == b"CONNECT";
    match version {
        b"HTTP/1.1" => {}
        b"HTTP/1.0" if is_connect && inside == Inside::Nothing => {}
        version if version.starts_with(b"HTTP/") => return Err(Violation::Version),
        _ => return Err(Violation::RequestLine),
    }
    if is_refused(method) && !(is_connect && inside == Inside::Nothing) {
        return Err(Violation::Method);
    }
    check_target(method, target, inside)?;
    let (mut fields, mut hosts, mut length, mut is_chunked) = (0, 0, None, false);
    for line in lines {
        fields += 1;
        if fields > FIELDS_MAX {
            return Err(Violation::TooLarge);
        }
        let (name, value) = check_field(line)?;
        if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let bytes = parse_length(value).ok_or(Violation::Framing)?;
            if length.replace(bytes).is_some() {
                return Err(Violation::Framing);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Violation::Framing);
            }
            is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"expect") && !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Violation::Expectation);
        }
    }
    if hosts > 1 || (hosts == 0 && !is_connect) {
        return Err(Violation::Host);
    }
    match (length, is_chunked) {
        (Some(_), true) => Err(Violation::Framing),
        (None | Some(0), false) if is_connect => Ok(Framing::Connect),
        _ if is_connect => Err(Violation::Framing),
        (Some(0) | None, false) => Ok(Framing::None),
        (Some(bytes), false) => Ok(Framing::Length(bytes)),
        (None, true) => Ok(Framing::Chunked),
    }
}

/// Checks a request in a tunnel for what can be said once it was read: that it is for where the tunnel leads (attacks A3,
/// A5), and in HTTP/2, whose frames have no text to be strict about, what was said of HTTP/1.1 above.
pub fn check_in_tunnel<B>(request: &Request<B>, tunnel: &Target) -> Result<(), Violation> {
    let uri = request.uri();
    if is_refused(request.method().as_str().as_bytes()) {
        return Err(Violation::Method);
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    let authority = uri.authority().map(|authority| authority.as_str());
    if more.is_some() || (host.is_none() && authority.is_none()) {
        return Err(Violation::Host);
    }
    let host = host.map(|host| host.to_str().unwrap_or_default());
    let is_tunnel =
        |text: &str| Target::parse_authority(tunnel.scheme(), text).is_ok_and(|named| named == *tunnel);
    let is_scheme =
        uri.scheme_str().is_none_or(|scheme| scheme.eq_ignore_ascii_case(tunnel.scheme().as_str()));
    if !is_scheme || ![host, authority].into_iter().flatten().all(is_tunnel) {
        return Err(Violation::Misdirected);
    }
    let path = uri.path_and_query().map_or("", |path_and_query| path_and_query.as_str());
    if !path.starts_with('/') || !path.bytes().all(is_target_byte) {
        return Err(RequestTargetError::Form.into());
    }
    if request.version() == Version::HTTP_2 { check_http2_fields(request.headers()) } else { Ok(()) }
}

fn check_http2_fields(headers: &HeaderMap) -> Result<(), Violation> {
    const OF_A_CONNECTION: [&str; 5] =
        ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    let is_trailers = |te: &HeaderValue| te.as_bytes().eq_ignore_ascii_case(b"trailers");
    if OF_A_CONNECTION.iter().any(|name| headers.contains_key(*name))
        || !headers.get_all(header::TE).iter().all(is_trailers)
    {
        return Err(Violation::Connection);
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if lengths.next().is_some_and(|length| parse_length(length.as_bytes()).is_none())
        || lengths.next().is_some()
    {
        return Err(Violation::Framing);
    }
    let is_continue = |expected: &HeaderValue| expected.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(header::EXPECT).iter().all(is_continue) { Ok(()) } else { Err(Violation::Expectation) }
}

/// What turns the connection into something else, or echoes by design (attack C10). Some servers do not mind the case.
fn is_refused(method: &[u8]) -> bool {
    method.eq_ignore_ascii_case(b"TRACE") || method.eq_ignore_ascii_case(b"CONNECT")
}

/// Whether the target is in a form that belongs here.
fn check_target(method: &[u8], target: &[u8], inside: Inside) -> Result<(), Violation> {
    let (Ok(method), Ok(target)) = (str::from_utf8(method), str::from_utf8(target)) else {
        return Err(Violation::RequestLine);
    };
    match inside {
        Inside::Nothing => RequestTarget::parse(method, target).map(drop)?,
        // Where it goes was said with the tunnel (attack A6).
        Inside::Tunnel if target.starts_with('/') => {}
        Inside::Tunnel => return Err(RequestTargetError::Form.into()),
    }
    Ok(())
}

/// The lines of a head. Each is free of control characters but for tabs in values, so no line ends anywhere else.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let left = self.0?;
        match left.windows(2).position(|two| two == b"\r\n") {
            Some(end) => {
                self.0 = Some(&left[end + 2..]);
                Some(&left[..end])
            }
            None => {
                self.0 = None;
                Some(left)
            }
        }
    }
}

fn check_request_line(line: &[u8]) -> Result<[&[u8]; 3], Violation> {
    if line.iter().any(|byte| byte.is_ascii_control()) {
        return Err(Violation::Line);
    }
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Violation::RequestLine);
    };
    let is_target = !target.is_empty() && target.iter().all(|byte| is_target_byte(*byte));
    if is_token(method) && is_target { Ok([method, target, version]) } else { Err(Violation::RequestLine) }
}

fn check_field(line: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    // A line that begins with a blank goes on the one before, or does not: parsers differ.
    if line.first().is_none_or(|first| matches!(first, b' ' | b'\t')) {
        return Err(Violation::Line);
    }
    if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(Violation::Line);
    }
    if line.len() > FIELD_BYTES_MAX {
        return Err(Violation::TooLarge);
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Violation::FieldName)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(Violation::FieldName);
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    Ok((name, &value[start..end]))
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Digits and nothing else.
fn parse_length(value: &[u8]) -> Option<u64> {
    let is_plain = (1..=LENGTH_DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    if is_plain { std::str::from_utf8(value).ok()?.parse().ok() } else { None }
}
