//! C4: the value in the reason phrase of the status line. The client gets a status line of our own making.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::write,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C4").await;
    let lease = scene.lease().await;
    for (code, told) in [(200, "OK"), (404, "Not Found"), (201, "Created")] {
        scene.on("/reason", move |seen| {
            vec![write(format!("HTTP/1.1 {code} {}\r\ncontent-length: 1\r\n\r\nx", seen.s))]
        });
        for seen in scene.observe_noleak(&lease, "/reason").await? {
            ensure!(seen.status == code, "{}: {}", seen.how, seen.status);
            let line = String::from_utf8_lossy(&seen.bytes).lines().next().unwrap_or_default().to_owned();
            let is_ours = line == format!("HTTP/1.1 {code} {told}") || seen.how == "a sealed request";
            ensure!(is_ours, "{}: {line}", seen.how);
        }
    }
    // Nor a reason of the upstream's that says nothing of S: it is text of the upstream's in a place nobody scans.
    scene.on("/odd", |_| vec![write("HTTP/1.1 200 Fine, thanks\r\ncontent-length: 1\r\n\r\nx")]);
    let answer = scene.get(&lease, "/odd").await;
    ensure!(answer.status_line() == "HTTP/1.1 200 OK", "{}", answer.status_line());
    Ok(())
}
