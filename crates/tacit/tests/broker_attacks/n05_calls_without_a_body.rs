//! N5: gRPC says much outside of its messages: an outcome in the head of an answer without a body, details in base64,
//! trailers inside the body for browsers (gRPC-Web), and the same in base64. A message that says it is compressed is
//! one that nobody here can read.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream_h2::AnswerH2,
    world::World,
};

fn message(flag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, content].concat()
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "N5").await;
    let destinations = json!([{"host": scene.good, "port": world.good_h2.port}]);
    scene.secret("H2", "bearer_token", destinations, json!({"token": scene.s})).await;
    let lease = scene.lease_for(&scene.p, &["H2"]).await;
    let authority = format!("{}:{}", scene.good, world.good_h2.port);
    for what in [
        "in the head alone",
        "details in the head",
        "a long status",
        "half in the message, half in the outcome",
        "a field of trailers in the body",
        "all of it in base64",
        "base64 of each piece",
        "compressed",
        "two in one frame",
        "an empty one between",
        "a length that lies",
    ] {
        let path = format!("/pkg.Service/{}", what.replace([' ', ','], ""));
        let content_type = match what {
            "a field of trailers in the body" => "application/grpc-web+proto",
            "all of it in base64" | "base64 of each piece" => "application/grpc-web-text",
            _ => "application/grpc+proto",
        };
        world.good_h2.on(&scene.good, &path, move |seen| {
            let s = seen.s.as_bytes();
            let percent: String = s.iter().map(|byte| format!("%{byte:02x}")).collect();
            let field = |name: &str, value: String| (name.to_owned(), value);
            let mut answer = AnswerH2 {
                headers: vec![field("content-type", content_type.to_owned())],
                ..AnswerH2::default()
            };
            match what {
                "in the head alone" => {
                    answer.headers.extend([
                        field("grpc-status", "16".into()),
                        field("grpc-message", format!("bad {percent}")),
                    ]);
                }
                "details in the head" => {
                    let details = [&b"\x08\x10\x12\x30"[..], s].concat();
                    answer.headers.push(field("grpc-status-details-bin", STANDARD.encode(&details)));
                    answer.headers.push(field("x-other-bin", STANDARD.encode(&details).replace('=', "")));
                }
                "a long status" => {
                    let digits: String = s.iter().map(|byte| format!("{byte:03}")).collect();
                    answer.trailers = vec![field("grpc-status", digits)];
                }
                "half in the message, half in the outcome" => {
                    answer.pieces = vec![message(0, &s[..28])];
                    answer.trailers = vec![
                        field("grpc-status", "2".into()),
                        field("grpc-message", seen.s[20..].to_owned()),
                    ];
                }
                "a field of trailers in the body" => {
                    let fields = format!("grpc-status:2\r\ngrpc-message:{percent}\r\nx:{}\r\n", seen.s);
                    answer.pieces = vec![message(0, b"ok"), message(0x80, fields.as_bytes())];
                }
                "all of it in base64" => {
                    answer.pieces =
                        vec![STANDARD.encode([message(0, s), message(0x80, s)].concat()).into_bytes()];
                }
                "base64 of each piece" => {
                    answer.pieces =
                        message(0, s).chunks(9).map(|piece| STANDARD.encode(piece).into_bytes()).collect();
                }
                "compressed" => answer.pieces = vec![message(1, &crate::codings::gzip(s))],
                "two in one frame" => {
                    answer.pieces = vec![[message(0, &s[..20]), message(0, &s[20..])].concat()]
                }
                "an empty one between" => {
                    answer.pieces =
                        s.chunks(10).flat_map(|part| [message(0, part), message(0, b"")]).collect();
                }
                _ => answer.pieces = vec![[&[0, 0, 0, 0, 200][..], s].concat()],
            }
            answer
        });
        let mut sender = lease.http2(&authority).await;
        let request = Request::post(format!("https://{authority}{path}"))
            .header("authorization", lease.bearer("H2"))
            .header("content-type", content_type)
            .header("te", "trailers")
            .header("grpc-accept-encoding", "gzip")
            .body(Full::new(Bytes::from_static(&[0, 0, 0, 0, 0])))
            .unwrap();
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let head = format!("{} {:?}", response.status(), response.headers());
        let mut body = Vec::new();
        let mut stream = response.into_body();
        let (mut trailers, mut is_whole) = (http::HeaderMap::new(), true);
        while let Some(frame) = stream.frame().await {
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => body.extend_from_slice(&data),
                Ok(Err(frame)) => trailers = frame.into_trailers().unwrap_or_default(),
                Err(_) => {
                    is_whole = false;
                    break;
                }
            }
        }
        let seen = world.good_h2.seen(&scene.good).pop().unwrap();
        assert_eq!(seen.s, scene.s, "S did not arrive");
        ensure!(!seen.headers.contains_key("grpc-accept-encoding"), "{what}: it may answer compressed");
        scene.noleak(what, format!("{head}\n{trailers:?}").as_bytes())?;
        scene.noleak(what, &body)?;
        ensure!(
            trailers.keys().all(|name| ["grpc-status", "grpc-message"].contains(&name.as_str())),
            "{what}: {trailers:?}"
        );
        ensure!(trailers.get("grpc-status").is_none_or(|status| status.len() <= 3), "{what}: {trailers:?}");
        // A reader puts the contents of the messages one behind the other.
        let mut contents = Vec::new();
        let mut rest = body.as_slice();
        while let [_, a, b, c, d, after @ ..] = rest {
            let length = (u32::from_be_bytes([*a, *b, *c, *d]) as usize).min(after.len());
            contents.extend_from_slice(&after[..length]);
            rest = &after[length..];
        }
        scene.noleak(&format!("{what}, joined"), &contents)?;
        let decoded: Vec<u8> =
            body.chunks(12).flat_map(|piece| STANDARD.decode(piece).unwrap_or_default()).collect();
        scene.noleak(&format!("{what}, decoded"), &decoded)?;
        if ["compressed", "an empty one between", "a length that lies"].contains(&what) {
            ensure!(!is_whole || head.starts_with("502"), "{what}: it came to its end");
        }
    }
    Ok(())
}
