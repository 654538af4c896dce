//! G7: the provider has an endpoint that returns the credential (a vault's read, a list of API keys). What we know
//! is taken out of the answer, whatever form it has; where the endpoint is need not be within the destination.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "G7", json!({"paths": ["/v1/**"]})).await;
    let lease = scene.lease().await;
    for (path, shape) in [
        ("/v1/secret/data/app", "vault"),
        ("/v1/api_keys", "list"),
        ("/v1/namespaces/n/secrets/s", "kubernetes"),
    ] {
        scene.on(path, move |seen| {
            let body = match shape {
                "vault" => json!({"data": {"data": {"key": seen.s}, "metadata": {"version": 3}}}),
                "list" => json!({"data": [{"id": "key_1", "secret": seen.s, "last4": &seen.s[36..]}]}),
                _ => json!({"kind": "Secret", "data": {"token": STANDARD.encode(&seen.s)}}),
            };
            vec![answer("200 OK", "content-type: application/json\r\n", body.to_string().as_bytes())]
        });
        for seen in scene.observe_noleak(&lease, path).await? {
            ensure!(
                seen.status == 200 && seen.body.contains("[sealed:KEY]"),
                "{path} by {}: {}",
                seen.how,
                seen.body
            );
        }
    }
    for path in ["/secrets", "/api/v1/secrets", "/v2/api_keys"] {
        scene.deny(&scene.get(&lease, path).await, 403, "destination_not_allowed").await?;
    }
    Ok(())
}
