//! H11: a secret of one's own that is defined as a reference to another, and revealed. There are no references
//! between secrets: a value is text.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H11").await;
    // P may not make secrets or reveal any.
    let reply = scene.p.post("/secrets", json!({"name": "OWN", "visibility": "masked"})).await;
    ensure!(reply.status == 403, "{}", reply.text);
    let reply = scene.p.post("/secrets/KEY/values/test/reveal", json!({})).await;
    ensure!(reply.status == 403, "{}", reply.text);
    // Somebody who may make and reveal secrets does not get at a restricted one through one of their own.
    let roles = scene.client("h11-admin", "admin").await;
    for (at, value) in
        ["{{secrets.KEY}}", "${KEY}", "$(KEY)", "{{ secrets[\"KEY\"] }}", "secret:KEY", "ref://KEY"]
            .iter()
            .enumerate()
    {
        let name = format!("COPY{at}");
        let secret = json!({"name": name, "visibility": "masked", "values": {"test": {"value": value}}});
        roles.post("/secrets", secret).await.expect(201);
        let told = roles.post(&format!("/secrets/{name}/values/test/reveal"), json!({})).await;
        ensure!(told.status == 403 || told.json()["fields"]["value"] == *value, "{}", told.text);
        let told =
            scene.owner.post(&format!("/secrets/{name}/values/test/reveal"), json!({})).await.expect(200);
        ensure!(told["fields"]["value"] == *value, "{value} became {told}");
        scene.noleak("a reveal", told.to_string().as_bytes())?;
    }
    scene.owner.post("/secrets/KEY/values/test/reveal", json!({})).await.refused(403, "restricted_secret");
    // A variable is text, too, and a reference in it is none.
    scene
        .owner
        .post("/variables", json!({"name": "V", "values": {"test": "{{secrets.KEY}}"}}))
        .await
        .expect(201);
    let step = json!({"url": scene.url("/x"), "headers": {"X-Note": "{{vars.V}}"}});
    scene.sealed(&step).await.expect(200);
    ensure!(scene.last().header("x-note").as_deref() == Some("{{secrets.KEY}}"), "{}", scene.last().text());
    Ok(())
}
