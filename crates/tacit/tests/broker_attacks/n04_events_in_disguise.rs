//! N4: server-sent events that a reader joins in more ways than one: in a content coding, with each kind of line end, a
//! byte-order mark, several `data` lines, no blank after the colon, fields that are not `data`, and no end. Cut so that
//! no event holds sixteen characters.

use crate::{
    codings::{brotli, gzip, zstd},
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::{Act, chunk, chunked_head, write},
    world::World,
};

/// What a reader joins: the values of the fields of this name.
fn joined(body: &str, field: &str) -> String {
    let lines = body.split(['\r', '\n']).map(|line| line.trim_start_matches('\u{feff}'));
    let values = lines.filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect()
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "N4").await;
    let lease = scene.lease().await;
    let bearer = lease.bearer("KEY");
    let headers = [("Authorization", bearer.as_str())];
    let parts = |s: &str, size: usize| -> Vec<String> {
        s.as_bytes().chunks(size).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    };

    // One event each for a few characters, written in every way.
    for (what, first, event) in [
        ("lf", "", "data: {}\n\n"),
        ("crlf", "", "data: {}\r\n\r\n"),
        ("cr", "", "data: {}\r\r"),
        ("mixed line ends", "", "data: {}\r\n\n"),
        ("no blank", "", "data:{}\n\n"),
        ("a mark at the start", "\u{feff}", "data: {}\n\n"),
        ("comments between", "", ":\ndata: {}\n:\n\n"),
        ("named", "", "event: e\ndata: {}\n\n"),
        ("numbered", "", "id: 1\ndata: {}\n\n"),
        ("after an empty one", "", "\n\ndata: {}\n\n"),
        ("behind an empty line of data", "", "data\ndata: {}\n\n"),
    ] {
        for coding in ["", "gzip", "br", "zstd"] {
            scene.on("/events", move |seen| {
                let text: String = parts(&seen.s, 8).iter().map(|part| event.replace("{}", part)).collect();
                let text = format!("{first}{text}data: the end\n\n");
                let body = match coding {
                    "gzip" => gzip(text.as_bytes()),
                    "br" => brotli(text.as_bytes()),
                    "zstd" => zstd(text.as_bytes()),
                    _ => text.into_bytes(),
                };
                let coding = if coding.is_empty() { String::new() } else { format!("content-encoding: {coding}\r\n") };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n{coding}transfer-encoding: chunked\r\n\r\n");
                std::iter::once(write(head)).chain(body.chunks(11).map(chunk)).chain([chunk(b"")]).collect::<Vec<Act>>()
            });
            let what = format!("{what} {coding}");
            let answer = scene.ask(&lease, "GET", "/events", &headers, b"").await;
            scene.noleak(&what, &answer.raw)?;
            scene.noleak(&format!("{what}, joined"), joined(&answer.text(), "data").as_bytes())?;
            ensure!(!answer.text().contains("the end"), "{what}: it went on to its end: {}", answer.text());
        }
    }

    // Several lines of one event are one text.
    scene.on("/lines", move |seen| {
        let lines: String = parts(&seen.s, 6).iter().map(|part| format!("data: {part}\n")).collect();
        vec![
            chunked_head("text/event-stream"),
            chunk(format!("{lines}\ndata: more\n\n").as_bytes()),
            chunk(b""),
        ]
    });
    // An event that nothing ends, and one that is an end without an event.
    scene.on("/open", move |seen| {
        vec![chunked_head("Text/Event-Stream"), chunk(format!("data: {}", seen.s).as_bytes()), chunk(b"")]
    });
    scene.on("/cut-off", move |seen| {
        vec![
            chunked_head("text/event-stream"),
            chunk(format!("data: {}", &seen.s[..30]).as_bytes()),
            Act::Close,
        ]
    });
    // Whole in a field that is no data.
    scene.on("/fields", move |seen| {
        let event = format!("id: {0}\nevent: {0}\nretry: {0}\n: {0}\n{0}: x\ndata: fine\n\n", seen.s);
        vec![chunked_head("text/event-stream"), chunk(event.as_bytes()), chunk(b"")]
    });
    for path in ["/lines", "/open", "/cut-off", "/fields"] {
        for way in Way::ALL {
            let answer = scene.via(way, &lease, "GET", path, &headers, b"").await;
            scene.noleak(&format!("{path} by {way:?}"), &answer.raw)?;
            for field in ["data", "id", "event", "retry"] {
                scene.noleak(
                    &format!("{path} by {way:?}, joined"),
                    joined(&answer.text(), field).as_bytes(),
                )?;
            }
        }
    }
    // What has no value in it is delivered, event by event, as it was.
    let events = "\u{feff}id: 1\r\ndata: one\r\n\r\ndata:two\r\rdata: three\n\n: comment\n\n";
    scene
        .on("/plain", move |_| vec![chunked_head("text/event-stream"), chunk(events.as_bytes()), chunk(b"")]);
    let answer = scene.ask(&lease, "GET", "/plain", &headers, b"").await;
    ensure!(answer.is_whole && answer.text() == events, "harmless events were changed: {:?}", answer.text());
    Ok(())
}
