//! C2: the value comes back in header values, plain and disguised. All of them are scanned, in all lanes.

use crate::{
    disguise::DISGUISES,
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

const NAMES: &[&str] = &[
    "Location",
    "WWW-Authenticate",
    "Link",
    "ETag",
    "Server",
    "Via",
    "Content-Type",
    "Warning",
    "Vary",
    "Retry-After",
    "Content-Disposition",
    "Access-Control-Allow-Origin",
    "X-Request-Id",
    "P3P",
    "Age",
    "X-Echo",
    "X-Powered-By",
    "Content-Language",
    "Last-Modified",
    "Server-Timing",
    "Set-Cookie",
    "Refresh",
    "Authentication-Info",
    "Proxy-Authenticate",
    "Content-Location",
];

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C2").await;
    let lease = scene.lease().await;
    scene.on("/headers", |seen| {
        let headers: String =
            NAMES.iter().map(|name| format!("{name}: before {} after\r\n", seen.s)).collect();
        vec![answer("200 OK", &headers, b"x")]
    });
    scene.on("/disguised", |seen| {
        let mut headers = String::new();
        for (name, disguise) in DISGUISES {
            let written = disguise(&seen.s);
            if written.iter().all(|byte| (b' '..=b'~').contains(byte)) {
                headers.push_str(&format!("x-{name}: {}\r\n", String::from_utf8_lossy(&written)));
            }
        }
        vec![answer("200 OK", &headers, b"x")]
    });
    for path in ["/headers", "/disguised"] {
        for seen in scene.observe_noleak(&lease, path).await? {
            ensure!(seen.status == 200, "{path} by {}: {}", seen.how, seen.body);
            let text = String::from_utf8_lossy(&seen.bytes).into_owned();
            let markers = text.matches("[sealed:KEY]").count();
            ensure!(markers >= 15, "{markers} markers in {path} by {}: {text}", seen.how);
        }
    }
    Ok(())
}
