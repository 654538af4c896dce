//! F5: GET with a body, HTTP/1.0, `Expect` with something else in it. Bodies are framed explicitly; the rest is
//! refused.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "F5").await;
    let lease = scene.lease().await;
    let (host, bearer) = (scene.authority(), lease.bearer("KEY"));
    let ask = async |line: &str, more: &str, body: &str| {
        let mut conn = lease.tunnel(&host).await;
        conn.write(format!("{line}\r\nHost: {host}\r\nAuthorization: {bearer}\r\n{more}\r\n{body}")).await;
        conn.answer().await
    };
    for method in ["GET", "DELETE", "OPTIONS"] {
        let answer = ask(&format!("{method} /odd HTTP/1.1"), "Content-Length: 4\r\n", "body").await;
        ensure!(matches!(answer.status, 200 | 400), "{method} with a body: {}", answer.status_line());
        if answer.status == 200 {
            let seen = scene.last();
            let is_framed =
                seen.header("content-length").as_deref() == Some("4") || seen.text().contains("chunked");
            ensure!(is_framed && seen.text().contains("body"), "{method}: {}", seen.text());
        }
    }
    let heard = scene.seen().len();
    for (line, more, statuses) in [
        ("GET / HTTP/1.0", "", &[400, 505][..]),
        ("GET / HTTP/1.0", "Connection: keep-alive\r\n", &[400, 505]),
        ("GET / HTTP/0.9", "", &[400, 505]),
        ("GET / HTTP/1.2", "", &[400, 505]),
        ("GET / http/1.1", "", &[400, 505]),
        ("POST / HTTP/1.1", "Expect: 200-ok\r\nContent-Length: 0\r\n", &[417]),
        ("POST / HTTP/1.1", "Expect: 100-continue, x\r\nContent-Length: 0\r\n", &[417]),
        ("G\x01T / HTTP/1.1", "", &[400]),
        (" GET / HTTP/1.1", "", &[400]),
        ("GET  / HTTP/1.1", "", &[400]),
        ("GET / HTTP/1.1 ", "", &[400, 505]),
        ("GET /\tx HTTP/1.1", "", &[400]),
    ] {
        let answer = ask(line, more, "").await;
        ensure!(statuses.contains(&answer.status), "{line:?} {more:?}: {}", answer.status_line());
    }
    ensure!(scene.seen().len() == heard, "something was sent");
    // `Expect: 100-continue` is between us and the client; it is not sent on.
    let answer = ask("POST / HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 4\r\n", "body").await;
    ensure!(answer.status == 200 && scene.last().header("expect").is_none(), "{}", answer.text());
    Ok(())
}
