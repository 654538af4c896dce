//! Whatever the strict front passes on, hyper reads as what it is: the same requests with the same methods, targets, headers and
//! bodies, and no other. And what passes does not depend on how the bytes arrive.
//!
//! The input: `T` for a tunnel or anything else for a bare connection, a digit that says how many bytes of sizes follow,
//! these sizes, and what a client sends.
#![no_main]

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use tacit_fuzz::{
    by_hyper::{self, Seen},
    pieces::Pieces,
    proxy::{
        authority::RequestTarget,
        head::{Inside, StrictIo, Violation},
    },
};
use tokio::{
    io::AsyncReadExt,
    runtime::{Builder, Runtime},
    select,
};

thread_local! {
    static RUNTIME: LazyCell<Runtime> =
        LazyCell::new(|| Builder::new_current_thread().build().expect("a runtime without drivers needs nothing"));
}

fuzz_target!(|input: &[u8]| {
    let [inside, sizes, rest @ ..] = input else { return };
    let inside = if *inside == b'T' { Inside::Tunnel } else { Inside::Nothing };
    let (sizes, bytes) = rest.split_at(usize::from(sizes % 8).min(rest.len()));
    RUNTIME.with(|runtime| runtime.block_on(compare(bytes, sizes, inside)));
});

async fn compare(bytes: &[u8], sizes: &[u8], inside: Inside) {
    let passed = pass(bytes, &[], inside).await;
    let in_pieces = pass(bytes, sizes, inside).await;
    assert_eq!((passed.violation, passed.is_broken), (in_pieces.violation, in_pieces.is_broken));
    // How much of a body passes before it is found to be broken may differ.
    if !passed.is_broken {
        assert_eq!(passed.bytes.escape_ascii().to_string(), in_pieces.bytes.escape_ascii().to_string());
    }
    assert!(bytes.starts_with(&passed.bytes));

    let (written, is_cut) = read_plainly(&passed.bytes);
    assert!(!is_cut || passed.is_broken, "what passed ends in the middle of a request");
    let seen = by_hyper::requests(StrictIo::new(Pieces::new(bytes, sizes), inside)).await;
    // hyper reads nothing behind a request that says that it is the last.
    let last = written.iter().position(closes).map_or(written.len(), |at| at + 1);
    for (seen, written) in seen.iter().zip(&written) {
        assert_eq!(seen, written);
        match inside {
            Inside::Tunnel => assert!(seen.target.starts_with('/') && seen.method != "CONNECT"),
            Inside::Nothing => drop(RequestTarget::parse(&seen.method, &seen.target).expect("it passed")),
        }
    }
    match &seen[last.min(seen.len())..] {
        [] => assert_eq!(seen.len(), last, "hyper refused what passed"),
        [broken] => assert!(passed.is_broken && broken.body.is_none(), "hyper sees one request more"),
        _ => panic!("hyper sees requests that nobody sent"),
    }
}

struct Passed {
    bytes: Vec<u8>,
    violation: Option<Violation>,
    is_broken: bool,
}

async fn pass(bytes: &[u8], sizes: &[u8], inside: Inside) -> Passed {
    let mut strict = StrictIo::new(Pieces::new(bytes, sizes), inside);
    let mut passed = Vec::new();
    let is_broken = select! {
        biased;
        read = strict.read_to_end(&mut passed) => read.is_err(),
        // After a CONNECT there is nothing more to read, and no end either.
        () = std::future::ready(()) => false,
    };
    let (_, _, violation) = strict.into_parts();
    Passed { bytes: passed, violation, is_broken }
}

/// Reads requests that are known to be well-formed, as simply as that allows. Also says whether the last one is not all there.
fn read_plainly(mut bytes: &[u8]) -> (Vec<Seen>, bool) {
    let mut requests = Vec::new();
    while !bytes.is_empty() {
        let Some((head, rest)) = cut(bytes, b"\r\n\r\n") else { return (requests, true) };
        let mut lines =
            head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let request_line = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let mut words = request_line.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let fields = lines.map(|line| {
            let (name, value) = cut(line, b":").expect("a field has a colon");
            (String::from_utf8_lossy(name).to_ascii_lowercase(), trim(value).to_vec())
        });
        let mut request =
            Seen { method, target: as_hyper_writes(target), fields: fields.collect(), body: None };
        let Some((body, rest)) = body(&request, rest) else { return (requests, true) };
        request.body = Some(body);
        // hyper hands fields out by name.
        request.fields = by_name(request.fields);
        let is_last = request.method == "CONNECT";
        requests.push(request);
        bytes = rest;
        if is_last {
            assert!(bytes.is_empty(), "something passed behind a CONNECT");
        }
    }
    (requests, false)
}

fn body<'a>(request: &Seen, bytes: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
    if field(request, "transfer-encoding").is_some() {
        let (mut body, mut bytes) = (Vec::new(), bytes);
        loop {
            let (size, rest) = cut(bytes, b"\r\n")?;
            let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
            let chunk = rest.get(..size)?;
            let rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
            if size == 0 {
                return Some((body, rest));
            }
            body.extend(chunk);
            bytes = rest;
        }
    }
    let length = field(request, "content-length").map_or("0".into(), |value| String::from_utf8_lossy(value));
    let length = length.parse().ok()?;
    Some((bytes.get(..length)?.to_vec(), &bytes[length..]))
}

fn field<'a>(request: &'a Seen, name: &str) -> Option<&'a [u8]> {
    request.fields.iter().find(|field| field.0 == name).map(|field| &field.1[..])
}

/// Grouped by name, in the order in which the names first come.
fn by_name(fields: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in &fields {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names.iter().flat_map(|name| fields.iter().filter(move |field| field.0 == *name).cloned()).collect()
}

/// A URL without a path has one when hyper shows it, and its scheme is in lower case.
fn as_hyper_writes(target: String) -> String {
    let Some((scheme, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) else {
        return target;
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let slash = if rest[end..].starts_with('/') { "" } else { "/" };
    format!("{}://{}{slash}{}", scheme.to_ascii_lowercase(), &rest[..end], &rest[end..])
}

/// As hyper takes it: what is not ASCII says nothing to it.
fn closes(request: &Seen) -> bool {
    request.fields.iter().any(|(name, value)| {
        let mut options = value.split(|byte| *byte == b',');
        name == "connection"
            && value.is_ascii()
            && options.any(|option| trim(option).eq_ignore_ascii_case(b"close"))
    })
}

fn cut<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let found = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..found], &bytes[found + at.len()..]))
}

fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}
