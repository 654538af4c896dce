//! A9: spellings of a host that two parsers read in two ways. One parser makes one typed host of it; whatever is
//! not its one normal form but for case and a final dot is refused.

use serde_json::json;

use crate::{
    client::{Conn, request},
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A9").await;
    let lease = scene.lease().await;
    let (good, port, evil) = (scene.good.clone(), world.good.port, scene.evil_authority());
    let (bearer, credentials) = (lease.bearer("KEY"), lease.credentials());

    // The same host.
    for authority in [format!("A9.GOOD.test:{port}"), format!("{good}.:{port}"), format!("{good}:{port}")] {
        for way in [Way::Absolute, Way::Base] {
            let answer = lease.send(way, "GET", &authority, "/", &[("Authorization", &bearer)], b"").await;
            ensure!(answer.status == 200, "{authority} by {}: {}", way.name(), answer.text());
            ensure!(scene.last().headers("host") == [scene.authority()], "{authority} went out as another");
        }
    }
    let heard = scene.seen().len();

    // No host, or another: nothing that anybody dials.
    let spellings = [
        "GOOD\\@EVIL",
        "GOOD#@EVIL",
        "GOOD?@EVIL",
        "GOOD/@EVIL",
        "EVIL\\GOOD",
        "GOOD%2f@EVIL",
        "GOOD%23EVIL",
        "GOOD%00.EVIL",
        "GOOD%20",
        "%67ood.test:PORT",
        "a9%2egood.test:PORT",
        "a9.goo%64.test:PORT",
        "a9。good.test:PORT",
        "a9.good.test。:PORT",
        "ａ９.good.test:PORT",
        "a９.good.test:PORT",
        "ⓐ9.good.test:PORT",
        "a9.good.test..:PORT",
        ".a9.good.test:PORT",
        "a9..good.test:PORT",
        "a9.good.test.:",
        "a9.good.test::PORT",
        "a9.good.test:PORT:80",
        "a9.good.test:0",
        "a9.good.test:65536",
        "a9.good.test:99999",
        "a9.good.test:-1",
        "a9.good.test:+PORT",
        "a9.good.test:0xPORT",
        "a9.good.test:P0RT",
        "a9.good.test:0PORT",
        "a9.good.test: PORT",
        "[a9.good.test]:PORT",
        "[::1%25lo]:PORT",
        "[::1",
        "::1:PORT",
        "a9_x.good.test\u{7f}:PORT",
        "a9,good.test:PORT",
        "a9.good.test;EVIL",
        "-a9.good.test:PORT",
        "a9.good.test-:PORT",
        "xn--a.good.test:PORT",
        "a9!.good.test:PORT",
        "a9.good.test&EVIL",
        "",
    ];
    for spelling in spellings {
        let full = format!("{good}:{port}");
        let authority =
            spelling.replace("GOOD", &full).replace("EVIL", &evil).replace("PORT", &port.to_string());
        // `#`, `?` and `/` end an authority: what is left of it is the good host.
        let is_cut = ["GOOD#", "GOOD?", "GOOD/"].iter().any(|cut| spelling.starts_with(cut));
        for (form, line) in [
            ("CONNECT", format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}")),
            ("absolute", format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}")),
            ("https", format!("GET https://{authority}/ HTTP/1.1\r\nHost: {authority}")),
            ("base", format!("GET /to/{}/{authority}/ HTTP/1.1\r\nHost: {}", lease.token, lease.proxy)),
        ] {
            let mut conn = Conn::open(lease.proxy).await;
            let headers = format!("Proxy-Authorization: {credentials}\r\nAuthorization: {bearer}");
            conn.write(format!("{line}\r\n{headers}\r\n\r\n")).await;
            let answer = conn.head().await;
            let is_cut = form == "base" && is_cut;
            ensure!(
                matches!(answer.status, 400..500) || is_cut,
                "{form} {authority:?}: {}",
                answer.status_line()
            );
        }
        let step = json!({"url": format!("https://{authority}/"), "auth": {"secret": "KEY"}});
        let reply = scene.sealed(&step).await;
        // What parses (an ideographic full stop is a dot, in a URL) is the same host, by its one name.
        let is_same = reply.status == 200 && scene.last().headers("host") == [scene.authority()];
        ensure!(reply.status >= 400 || is_same, "{authority:?} as a sealed request: {}", reply.text);
        ensure!(scene.evil_count() == 0, "{authority:?} led to the evil host");
    }
    let arrived = scene.seen().split_off(heard);
    ensure!(arrived.len() <= 12, "a wrong spelling reached the good host");
    ensure!(
        arrived.iter().all(|seen| seen.headers("host") == [scene.authority()]),
        "it went out as another host"
    );
    // What a browser would make of these is not what is asked for: only the exact text counts.
    let mut conn = lease.tunnel(&scene.authority()).await;
    conn.write(request("GET", "/", &format!("{good}%2e:{port}"), &[("Authorization", &bearer)], b"")).await;
    ensure!(matches!(conn.answer().await.status, 400 | 421), "an escaped dot in Host was taken");
    scene.nosend()
}
