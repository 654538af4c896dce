//! B17: headers that make a service act as if method, path or host were others. They are not sent on.

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

const OVERRIDES: &[&str] = &[
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Forwarded-Host",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "Forwarded",
    "X-Forwarded-Anything",
];

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "B17").await;
    let lease = scene.lease().await;
    let bearer = lease.bearer("KEY");
    let mut headers = vec![("Authorization", bearer.as_str()), ("X-Kept", "1")];
    headers.extend(OVERRIDES.iter().map(|name| (*name, "/admin")));
    for way in Way::ALL {
        let answer = scene.via(way, &lease, "POST", "/v1", &headers, b"x").await;
        ensure!(answer.status == 200, "{}", answer.text());
        let seen = scene.last();
        ensure!(seen.header("x-kept").is_some() && seen.text().contains(&scene.s), "{}", seen.text());
        for name in OVERRIDES {
            ensure!(seen.header(name).is_none(), "{name} was sent on by {way:?}");
        }
    }
    Ok(())
}
