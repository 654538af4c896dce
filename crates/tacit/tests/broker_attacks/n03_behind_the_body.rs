//! N3: fields behind a request's body. A service that merges trailers into its headers would read another host,
//! another credential or another length than was judged. They are dropped.

use crate::{
    ensure,
    frames::Frames,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "N3").await;
    let lease = scene.lease().await;
    let (host, bearer, ph) = (scene.authority(), lease.bearer("KEY"), lease.ph("KEY").to_owned());
    let trailers = [
        ("authorization", "Bearer foreign".to_owned()),
        ("authorization", bearer.clone()),
        ("x-api-key", ph),
        ("cookie", "a=b".to_owned()),
        ("host", scene.evil_authority()),
        ("content-length", "1".to_owned()),
        ("transfer-encoding", "chunked".to_owned()),
        ("x-forwarded-host", scene.evil_authority()),
        ("x-http-method-override", "DELETE".to_owned()),
        ("x-harmless", "trailer".to_owned()),
    ];
    for (name, value) in &trailers {
        let what = format!("{name} behind the body");
        let heard = scene.seen().len();
        let mut conn = lease.tunnel(&host).await;
        conn.write(format!(
            "POST /x HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nTransfer-Encoding: chunked\r\nTrailer: {name}\r\n\r\n\
             4\r\nbody\r\n0\r\n{name}: {value}\r\n\r\n"
        ))
        .await;
        let answer = conn.answer().await;
        scene.noleak(&what, &answer.raw)?;
        let fields = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", host.as_str()),
            (":path", "/x"),
            ("authorization", bearer.as_str()),
            ("trailer", name),
        ];
        let mut frames = Frames::open(lease.tunnel_alpn(&host, &[b"h2"]).await).await;
        let outcome = frames.ask(&fields, b"body", &[(name, value)]).await;
        scene.noleak(&what, &outcome.body)?;
        let seen = scene.seen().split_off(heard);
        ensure!(seen.len() <= 2, "{what}: it became {} requests", seen.len());
        for seen in &seen {
            let text = seen.text();
            let is_as_judged = text.contains("body")
                && seen.headers("authorization") == [format!("Bearer {}", scene.s)]
                && seen.headers("host") == [host.as_str()]
                && seen.headers("trailer").is_empty();
            ensure!(is_as_judged, "{what}: it became {text}");
            let tail = text.rsplit("body").next().unwrap_or_default().to_lowercase();
            ensure!(!tail.contains(name), "{what}: it was sent on: {text}");
        }
        if *name == "x-harmless" {
            ensure!(
                outcome.text().contains("POST /x"),
                "a body with trailers is not sent at all: {}",
                outcome.text()
            );
        }
    }
    scene.works(&lease).await;
    scene.nosend()
}
