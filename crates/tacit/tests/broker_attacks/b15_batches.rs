//! B15: endpoints that take many operations in one body defeat rules about paths. No prefix of another endpoint
//! covers them; a rule that does cover one covers what is in it, which is the owner's to know and what saving such
//! a rule is for.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let more = json!({"paths": ["/v1/charges/**", "/v1/*/refunds"], "methods": ["GET", "POST"]});
    let scene = Scene::with(world, "B15", more).await;
    let lease = scene.lease().await;
    let bearer = lease.bearer("KEY");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let body = b"[{\"method\":\"DELETE\",\"path\":\"/v1/everything\"}]";
    let answer = scene.ask(&lease, "POST", "/v1/charges/x", &headers, body).await;
    ensure!(answer.status == 200, "{}", answer.text());
    for path in [
        "/batch",
        "/v1/batch",
        "/v1",
        "/",
        "/graphql",
        "/v1/$batch",
        "/v1/charges-batch",
        "/rpc",
        "/v1/a/b/refunds",
    ] {
        let answer = scene.ask(&lease, "POST", path, &headers, body).await;
        scene.deny(&answer, 403, "destination_not_allowed").await?;
    }
    for method in ["DELETE", "PUT", "PATCH", "OPTIONS", "PROPFIND"] {
        let answer = scene.ask(&lease, method, "/v1/charges/x", &headers[..1], b"").await;
        scene.deny(&answer, 403, "destination_not_allowed").await?;
    }
    ensure!(scene.seen().len() == 1, "something else was sent");
    Ok(())
}
