//! B2: the placeholder as content of something that can be read back later with an account of one's own. Bodies are
//! not searched unless a destination names a field of them.

use std::sync::{Arc, Mutex};

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "B2").await;
    let lease = scene.lease().await;
    let stored: Arc<Mutex<Vec<u8>>> = Arc::default();
    let storing = Arc::clone(&stored);
    scene.on("/gists", move |seen| {
        *storing.lock().unwrap() = seen.body().to_vec();
        text("created")
    });
    let (ph, bearer) = (lease.ph("KEY"), lease.bearer("KEY"));
    for (content_type, body) in [
        ("application/json", format!("{{\"content\": \"{ph}\"}}")),
        ("application/json", format!("{{\"authorization\": \"Bearer {ph}\", \"api_key\": \"{ph}\"}}")),
        ("application/x-www-form-urlencoded", format!("content={ph}&more=1")),
        ("text/plain", ph.to_owned()),
        ("application/octet-stream", format!("\0{ph}\0")),
        ("text/html", format!("<p>{ph}</p>")),
    ] {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", content_type)];
        let answer = scene.ask(&lease, "POST", "/gists", &headers, body.as_bytes()).await;
        ensure!(answer.status == 200, "{content_type}: {}", answer.text());
        ensure!(scene.last().text().contains(&scene.s), "the request itself was made without S");
        ensure!(*stored.lock().unwrap() == body.as_bytes(), "{content_type} was changed");
        crate::scene::noleak(&scene.s, "what is stored", &stored.lock().unwrap())?;
    }
    Ok(())
}
