//! A5: `:authority` of one HTTP/2 stream names another host than the tunnel. Every stream is checked against the
//! tunnel; the one that differs is refused, the others go on.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A5").await;
    let lease = scene.lease().await;
    let mut sender = lease.http2(&scene.authority()).await;
    let mut statuses = Vec::new();
    for (authority, host) in [
        (scene.authority(), None),
        (scene.evil_authority(), None),
        (scene.evil.clone(), None),
        (scene.authority(), Some(scene.evil_authority())),
        (format!("p@{}", scene.authority()), None),
        (scene.authority(), None),
    ] {
        let mut request = Request::builder()
            .uri(format!("https://{authority}/stream"))
            .header("authorization", lease.bearer("KEY"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let response = sender.send_request(request.body(Full::new(Bytes::new())).unwrap()).await;
        let response = response.map_err(|error| format!("the connection broke at {authority}: {error}"))?;
        statuses.push(response.status().as_u16());
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        scene.noleak("a stream", &body)?;
    }
    let refused = |status: u16| [400, 421].contains(&status);
    ensure!((statuses[0], statuses[5]) == (200, 200), "streams to the tunnel's own host: {statuses:?}");
    ensure!(statuses[1..3].iter().all(|status| *status == 421), "streams to another host: {statuses:?}");
    ensure!(refused(statuses[3]) && refused(statuses[4]), "streams with two hosts: {statuses:?}");
    ensure!(scene.seen().len() == 2, "{} requests arrived", scene.seen().len());
    ensure!(
        scene.seen().iter().all(|seen| seen.headers("host") == [scene.authority()]),
        "another Host went out"
    );
    ensure!(scene.evil_count() == 0, "the evil host was called");
    scene.nosend()
}
