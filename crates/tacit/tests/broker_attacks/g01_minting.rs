//! G1: the allowed service is asked for another credential, which nobody here knows. Methods and paths keep to what
//! is needed; saving warns about hosts that are known to mint. An endpoint that a destination does cover can mint.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene =
        Scene::with(world, "G1", json!({"methods": ["GET"], "paths": ["/repos/**", "/v1/charges/**"]})).await;
    let lease = scene.lease().await;
    let bearer = lease.bearer("KEY");
    ensure!(scene.get(&lease, "/repos/x").await.status == 200, "the legitimate request was refused");
    for (method, path) in [
        ("POST", "/user/keys"),
        ("POST", "/app/installations/1/access_tokens"),
        ("POST", "/authorizations"),
        ("POST", "/repos/x/keys"),
        ("POST", "/?Action=CreateAccessKey"),
        ("POST", "/v1/projects/p/serviceAccounts/s/keys"),
        ("POST", "/v1/api_keys"),
        ("POST", "/v1/ephemeral_keys"),
        ("GET", "/v1/api_keys"),
        ("POST", "/api/v1/namespaces/n/serviceaccounts/s/token"),
        ("PUT", "/repos/x"),
        ("POST", "/oauth/token"),
    ] {
        let answer = scene.ask(&lease, method, path, &[("Authorization", &bearer)], b"").await;
        scene.deny(&answer, 403, "destination_not_allowed").await?;
    }
    ensure!(scene.seen().len() == 1, "something else was sent");
    for host in ["api.github.com", "gitlab.com", "iam.amazonaws.com", "sts.amazonaws.com"] {
        let secret = json!({"name": host.replace('.', "-"), "destinations": [{"host": host}]});
        let saved = scene.owner.post("/secrets", secret).await.expect(201);
        ensure!(saved["warnings"].to_string().contains("mint"), "no warning about {host}: {saved}");
    }
    Ok(())
}
