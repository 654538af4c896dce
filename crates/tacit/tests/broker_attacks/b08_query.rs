//! B8: a secret in the query, which ends in logs, in `Referer` and in `Location`. Per parameter and only where a
//! destination names it; no URL with a value is ever written down by us, and what comes back of it is scrubbed.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "B8", json!({"places": ["query:api_key"]})).await;
    let lease = scene.lease().await;
    scene.on("/q", |seen| {
        let line = seen.line();
        let target = line.split(' ').nth(1).unwrap_or_default();
        let headers = format!("location: https://x.test{target}\r\nlink: <{target}>\r\n");
        vec![answer("200 OK", &headers, format!("you asked for {target}").as_bytes())]
    });
    let path = format!("/q?a=1&api_key={}&b=2", lease.ph("KEY"));
    for way in Way::ALL {
        let answer = scene.via(way, &lease, "GET", &path, &[], b"").await;
        ensure!(answer.status == 200, "{}", answer.text());
        ensure!(
            scene.last().line().contains(&format!("/q?a=1&api_key={}&b=2 ", scene.s)),
            "{}",
            scene.last().line()
        );
        scene.noleak("an echoed URL", &answer.raw)?;
        ensure!(answer.text().contains("api_key=[sealed:KEY]"), "{}", answer.text());
    }
    let step = json!({"url": scene.url("/q"), "query": {"api_key": "{{secrets.KEY}}"}});
    let reply = scene.sealed(&step).await;
    ensure!(reply.status == 200 && scene.last().line().contains(&scene.s), "{}", reply.text);
    scene.noleak("an echoed URL", reply.text.as_bytes())?;
    // Another parameter is text, or refused if its name says that it is a credential; so are parts and copies.
    for (query, status) in [
        (format!("other={}", lease.ph("KEY")), 200),
        (format!("api_key=x{}", lease.ph("KEY")), 403),
        (format!("access_token={}", lease.ph("KEY")), 403),
        (format!("api_key={0}&api_key={0}", lease.ph("KEY")), 403),
        (format!("api_key={}&api_key=x", lease.ph("KEY")), 403),
    ] {
        let heard = scene.seen().len();
        let answer = scene.ask(&lease, "GET", &format!("/q?{query}"), &[], b"").await;
        ensure!(answer.status == status, "{query}: {}", answer.text());
        let leaked = scene.seen()[heard..].iter().any(|seen| seen.text().contains(&scene.s[8..24]));
        ensure!(!leaked, "{query} carried S");
    }
    let events = scene.events("").await;
    let record = serde_json::to_string(&events).unwrap();
    ensure!(!record.contains("api_key=") && !record.contains("a=1"), "a query is on the record");
    scene.noleak("the record", record.as_bytes())
}
