//! A2: the allowed host redirects to the attacker's, with each code, directly and behind a hop of its own. The
//! proxy never follows; a step judges each hop anew and refuses the one that leads elsewhere.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A2").await;
    let lease = scene.lease().await;
    for code in [301, 302, 303, 307, 308] {
        let to_evil = scene.evil_url("/r");
        let (direct, behind) = (format!("/direct-{code}"), format!("/behind-{code}"));
        let redirect =
            move |to: &str| vec![answer(&format!("{code} Moved"), &format!("location: {to}\r\n"), b"")];
        scene.on(&direct, move |_| redirect(&to_evil));
        let next = direct.clone();
        scene.on(&behind, move |_| redirect(&next));
        for path in [&direct, &behind] {
            for way in Way::ALL {
                let bearer = lease.bearer("KEY");
                let answer = scene.via(way, &lease, "GET", path, &[("Authorization", &bearer)], b"").await;
                ensure!(answer.status == code, "{path} by {}: {}", way.name(), answer.status_line());
                scene.noleak("the redirect", &answer.raw)?;
            }
            let step = json!({"url": scene.url(path), "auth": {"secret": "KEY"}, "redirects": 5});
            let reply = scene.sealed(&step).await;
            ensure!(
                (reply.status, &reply.json()["code"]) == (502, &json!("redirect_refused")),
                "{}",
                reply.text
            );
            scene.noleak("the refusal", reply.text.as_bytes())?;
            // The record says why: the hop's own destination is none.
            scene.on_record("destination_not_allowed").await?;
            let steps = json!([{"id": "a", "http": step}]);
            let run = scene.run("redirected", steps, json!({})).await;
            ensure!(run["error"]["code"] == "redirect_refused", "{code}: {run}");
        }
        ensure!(scene.evil_count() == 0, "{code} was followed");
    }
    // Other ways to say it: a header that browsers obey, and a document that says so.
    let to_evil = scene.evil_url("/r");
    scene.on("/refresh", move |_| {
        let page = format!("<meta http-equiv=refresh content='0;url={to_evil}'>");
        vec![answer(
            "200 OK",
            &format!("refresh: 0;url={to_evil}\r\ncontent-type: text/html\r\n"),
            page.as_bytes(),
        )]
    });
    let seen = scene.get(&lease, "/refresh").await;
    ensure!(seen.header("refresh").is_none(), "Refresh came through: {}", seen.head);
    let step = json!({"url": scene.url("/refresh"), "auth": {"secret": "KEY"}, "redirects": 5});
    scene.sealed(&step).await.expect(200);
    ensure!(scene.evil_count() == 0, "a refresh was followed");
    scene.nosend()
}
