//! G3: the allowed service answers with a session cookie, as good as the secret and valid anywhere. Cookies do not
//! come through, so there is nothing to take elsewhere.

use crate::{
    ensure,
    scene::{Scene, Verdict, noleak, random_text},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "G3").await;
    let lease = scene.lease().await;
    let session = random_text(40);
    let headers =
        format!("set-cookie: session={session}; HttpOnly\r\nSet-Cookie2: s={session}\r\nx-kept: 1\r\n");
    scene.on("/login", move |_| vec![answer("200 OK", &headers, b"welcome")]);
    for seen in scene.observe_noleak(&lease, "/login").await? {
        ensure!(seen.body == "welcome", "{}: {}", seen.how, seen.body);
        noleak(&session, seen.how, &seen.bytes)?;
        let told = String::from_utf8_lossy(&seen.bytes).to_lowercase();
        ensure!(told.contains("x-kept") && !told.contains("set-cookie"), "{}: {told}", seen.how);
    }
    // Whoever has one all the same cannot send it to the bound host: it is a foreign credential there.
    let cookie = format!("session={session}");
    let answer = scene.ask(&lease, "GET", "/x", &[("Cookie", &cookie)], b"").await;
    scene.deny(&answer, 403, "foreign_credential").await
}
