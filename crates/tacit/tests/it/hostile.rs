//! An upstream that sends back what it gets in every way it can think of, and remembers every byte.
//!
//! It stands for a service that is allowed and careless, and, on another port, for a server of the attacker's own.

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::disguise::DISGUISES;

/// The upstream. Its first path segment says how it answers; the modes are in [`answer`].
pub(crate) struct Hostile {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Vec<u8>>>,
    known: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

/// What is written back, piece by piece.
struct Answer {
    pieces: Vec<Vec<u8>>,
    pause: Duration,
    closes: bool,
}

impl Hostile {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let kept = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                kept.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self { port, shared }
    }

    /// Tells it values, as a service knows the credentials it has issued: it sends them back whether or not a request
    /// carried them.
    pub(crate) fn tell(&self, values: &[&str]) {
        self.shared.known.lock().unwrap().extend(values.iter().map(|value| (*value).to_owned()));
    }

    /// A URL of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A destination that means it, with whatever else is said.
    pub(crate) fn destination(&self, more: Value) -> Value {
        let mut destination = json!({"host": "127.0.0.1", "scheme": "http", "port": self.port});
        for (name, value) in more.as_object().unwrap() {
            destination[name] = value.clone();
        }
        destination
    }

    /// Every request so far, as it came.
    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many requests came so far.
    pub(crate) fn count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Whether some request holds this text.
    pub(crate) fn received(&self, text: &str) -> bool {
        self.requests().iter().any(|request| String::from_utf8_lossy(request).contains(text))
    }

    /// The last request as text.
    pub(crate) fn last(&self) -> String {
        String::from_utf8_lossy(self.requests().last().unwrap()).into_owned()
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Some(request) = read(&mut stream).await {
        shared.requests.lock().unwrap().push(request.clone());
        let known = shared.known.lock().unwrap().clone();
        let answer = answer(&String::from_utf8_lossy(&request), &known);
        for piece in &answer.pieces {
            if stream.write_all(piece).await.is_err() {
                return;
            }
            if !answer.pause.is_zero() {
                let _ = stream.flush().await;
                tokio::time::sleep(answer.pause).await;
            }
        }
        if answer.closes {
            return;
        }
    }
}

/// One request with its whole body.
async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length = length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or(0);
            if request.len() >= end + 4 + length {
                return Some(request);
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
}

/// The modes, by the first segment of the path. `known` is sent back together with the request itself.
fn answer(request: &str, known: &[String]) -> Answer {
    let target = request.split(' ').nth(1).unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut segments = path.trim_start_matches('/').split('/');
    let mode = segments.next().unwrap_or_default();
    let echo = format!("{request}\n{}", known.join("\n"));
    if let Some((_, disguise)) = DISGUISES.iter().find(|(name, _)| *name == mode) {
        return whole("200 OK", "content-type: application/octet-stream\r\n", &disguise(&echo));
    }
    let text = "content-type: text/plain\r\n";
    match mode {
        "json" => {
            let body = json!({"echo": echo, "known": known, "deep": [{"a": known.first()}]}).to_string();
            whole("200 OK", "content-type: application/json\r\n", body.as_bytes())
        }
        // JSON whose every character is an escape: plain again for whoever parses it after the scrubber.
        "json-escaped" => {
            let escaped: String = echo.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let body = format!("{{\"{escaped}\": \"{escaped}\"}}");
            whole("200 OK", "content-type: application/json\r\n", body.as_bytes())
        }
        "status" => whole(&format!("{} Nope", segments.next().unwrap_or("400")), text, echo.as_bytes()),
        "headers" => whole("200 OK", &header_values(known), b"see the headers"),
        "header-names" => {
            let names: String =
                known.iter().filter(|value| is_token(value)).map(|v| format!("x-{v}: 1\r\n")).collect();
            whole("200 OK", &format!("{names}x-kept: 1\r\n"), b"see the headers")
        }
        "reason" => whole(&format!("200 {}", one_line(known)), text, b"see the status line"),
        "interim" => {
            let mut answer = whole("200 OK", text, b"see the interim answer");
            let early = format!("HTTP/1.1 103 Early Hints\r\nlink: <{}>\r\n\r\n", one_line(known));
            answer.pieces.insert(0, early.into_bytes());
            answer
        }
        "trailers" => chunked(echo.as_bytes(), 1000, &format!("x-trailer: {}\r\n", one_line(known)), true),
        "byte-by-byte" => chunked(echo.as_bytes(), 1, "", false),
        "drip" => {
            Answer { pause: Duration::from_millis(2), ..chunked(known.join("\n").as_bytes(), 3, "", false) }
        }
        "gzip" => coded("gzip", &gzip(echo.as_bytes())),
        "gzip-members" => {
            // A decoder that stops after the first member never sees the second one.
            let (first, second) = echo.split_at(echo.len() / 2);
            coded("gzip", &[gzip(first.as_bytes()), gzip(second.as_bytes())].concat())
        }
        "deflate" => coded("deflate", &zlib(echo.as_bytes())),
        "deflate-raw" => coded("deflate", &raw_deflate(echo.as_bytes())),
        "br" => coded("br", &brotli(echo.as_bytes())),
        "zstd" => coded("zstd", &zstd(echo.as_bytes())),
        "stacked" => coded("gzip, br", &brotli(&gzip(echo.as_bytes()))),
        "stacked-thrice" => coded("gzip, gzip, gzip", &gzip(&gzip(&gzip(echo.as_bytes())))),
        "mislabelled" => coded("gzip", echo.as_bytes()),
        "unknown-coding" => coded("rot13", echo.as_bytes()),
        "bomb" => coded("gzip", &gzip(&vec![b'0'; 64 * 1024 * 1024])),
        "huge" => whole("200 OK", text, &[vec![b'.'; 17 * 1024 * 1024], echo.into_bytes()].concat()),
        "big" => whole("200 OK", text, &[vec![b'.'; 4 * 1024 * 1024], echo.into_bytes()].concat()),
        "cut" => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{echo}");
            Answer { pieces: vec![head.into_bytes()], pause: Duration::from_millis(20), closes: true }
        }
        "not-http" => Answer { pieces: vec![echo.into_bytes()], pause: Duration::ZERO, closes: true },
        "partial" => whole("206 Partial Content", "content-range: bytes 0-14/1000\r\n", echo.as_bytes()),
        "redirect" => {
            let status = segments.next().unwrap_or("302");
            let to = query.split('&').find_map(|pair| pair.strip_prefix("to=")).unwrap_or_default();
            let location = percent_decoded(to).replace("KNOWN", known.first().map_or("", String::as_str));
            whole(&format!("{status} Moved"), &format!("location: {location}\r\n"), echo.as_bytes())
        }
        "archive" => whole(
            "200 OK",
            "content-type: application/octet-stream\r\n",
            b"PK\x03\x04 what is in it is packed",
        ),
        "slow" => {
            let answer = whole("200 OK", text, b"at last");
            Answer {
                pieces: vec![Vec::new(), answer.pieces.concat()],
                pause: Duration::from_millis(1500),
                closes: false,
            }
        }
        _ => whole("200 OK", text, echo.as_bytes()),
    }
}

fn whole(status: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    Answer { pieces: vec![[head.as_bytes(), body].concat()], pause: Duration::ZERO, closes: false }
}

fn coded(coding: &str, body: &[u8]) -> Answer {
    whole("200 OK", &format!("content-type: text/plain\r\ncontent-encoding: {coding}\r\n"), body)
}

fn chunked(body: &[u8], size: usize, trailers: &str, has_extensions: bool) -> Answer {
    let mut pieces =
        vec![b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n".to_vec()];
    for chunk in body.chunks(size) {
        let extension = if has_extensions { ";e=Zq8Wn3Lk5Rt7Yp2X" } else { "" };
        let head = format!("{:x}{extension}\r\n", chunk.len());
        pieces.push([head.as_bytes(), chunk, b"\r\n"].concat());
    }
    pieces.push(format!("0\r\n{trailers}\r\n").into_bytes());
    Answer { pieces, pause: Duration::ZERO, closes: false }
}

/// The values in every header that a client might look at.
fn header_values(known: &[String]) -> String {
    let value = one_line(known);
    let mut headers = String::new();
    for name in [
        "www-authenticate",
        "link",
        "refresh",
        "etag",
        "set-cookie",
        "location",
        "x-echo",
        "content-type",
        "server",
        "via",
    ] {
        headers.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, disguise) in DISGUISES {
        let written = disguise(&value);
        if written.iter().all(|byte| (b' '..=b'~').contains(byte)) && written.len() < 4096 {
            headers.push_str(&format!("x-{name}: {}\r\n", String::from_utf8_lossy(&written)));
        }
    }
    headers
}

/// The first values that may stand on one line.
fn one_line(known: &[String]) -> String {
    known.iter().filter(|value| is_token(value)).take(3).cloned().collect::<Vec<_>>().join(" ")
}

fn is_token(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(bytes).unwrap();
    out
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}
