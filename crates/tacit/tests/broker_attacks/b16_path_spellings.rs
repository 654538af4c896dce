//! B16: spellings of a path that policy and service read in two ways. What is not in normal form is refused; what
//! is judged is what is sent, byte for byte.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "B16", json!({"paths": ["/v1/**"]})).await;
    let lease = scene.lease().await;
    let bearer = lease.bearer("KEY");
    let headers = [("Authorization", bearer.as_str())];
    for path in [
        "/v1/../admin",
        "/v1/..",
        "/v1/./x",
        "/v1/.",
        "/./v1/x",
        "/v1/%2e%2e/admin",
        "/v1/%2E%2E/admin",
        "/v1/.%2e/admin",
        "/v1/%2e./x",
        "/v1/%2e/x",
        "/v1//admin",
        "//v1/x",
        "/v1/x//",
        "/v1/..;/admin",
        "/v1/;x/admin",
        "/v1/x;y=z",
        "/v1/x%3by",
        "/v1\\..\\admin",
        "/v1/%5c..%5cadmin",
        "/v1/%2f..%2fadmin",
        "/v1/x%2Fy",
        "/v1/%252e%252e/x",
        "/v1/%00",
        "/v1/x%0d%0aX:%20y",
        "/v1/%7f",
        "/v1/%zz",
        "/v1/%",
        "/v1/%u002e",
        "/v1/\u{e4}",
        "/v1/%c0%ae%c0%ae/x",
        "/v1/x\ty",
        "/v1/\u{7f}",
    ] {
        for way in Way::ALL {
            let answer = scene.via(way, &lease, "GET", path, &headers, b"").await;
            ensure!(answer.status == 400, "{path:?} by {way:?}: {} {}", answer.status_line(), answer.text());
        }
        let step = json!({"url": scene.url(path), "auth": {"secret": "KEY"}});
        let reply = scene.sealed(&step).await;
        ensure!(reply.status == 422, "{path:?} as a sealed request: {}", reply.text);
    }
    ensure!(scene.seen().is_empty(), "something was sent");
    for path in ["/v1/x", "/v1/a%20b", "/v1/x/?q=../..//;%2f", "/v1/~a/(b)/c,d@e:f"] {
        let answer = scene.ask(&lease, "GET", path, &headers, b"").await;
        ensure!(answer.status == 200, "{path}: {}", answer.text());
        ensure!(scene.last().line() == format!("GET {path} HTTP/1.1"), "sent {}", scene.last().line());
    }
    Ok(())
}
