//! M5: a server that stands where the right one should, and wants the password. The destination says which key the server
//! has; another one gets no user name and no password, and there is no first time at which any key is taken.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    sftp_server::SftpServer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "M5").await;
    let (right, other) = (SftpServer::start().await, SftpServer::start().await);
    let at =
        |port: u16, key: &str| json!([{"host": scene.good, "scheme": "sftp", "port": port, "host_key": key}]);
    let fields = json!({"username": "u", "password": scene.s});
    scene.secret("BANK", "sftp_password", at(other.port, &right.host_key), fields.clone()).await;
    let step = |port: u16| json!([{"id": "a", "sftp": {"host": scene.good, "port": port, "auth": {"secret": "BANK"}, "get": {"path": "/plain"}}}]);
    let run = scene.run("wrong", step(other.port), json!({})).await;
    ensure!(run["steps"][0]["error"]["code"] == "host_key_mismatch", "{run}");
    ensure!(other.logins().is_empty(), "somebody signed in to the wrong server");
    scene.on_record("host_key_mismatch").await?;

    // Nor is a server trusted because nobody said anything of its key.
    let open = json!([{"host": scene.good, "scheme": "sftp", "port": other.port}]);
    let saved = scene.owner.post("/secrets", json!({"name": "OPEN", "type": "sftp_password", "destinations": open, "values": {"test": fields}})).await;
    ensure!(saved.status == 422, "a destination without a key was saved: {}", saved.text);
    let loose =
        json!({"name": "LOOSE", "type": "sftp_password", "visibility": "masked", "values": {"test": fields}});
    scene.owner.post("/secrets", loose).await.expect(201);
    let steps = json!([{"id": "a", "sftp": {"host": scene.good, "port": other.port, "auth": {"secret": "LOOSE"}, "get": {"path": "/plain"}}}]);
    let saved = scene.owner.put("/automations/loose", json!({"steps": steps})).await;
    ensure!(saved.status == 201, "{}", saved.text);
    let start = json!({"environment": "test", "input": {}});
    let run = scene.owner.post("/automations/loose/runs?wait=20", start).await.expect(201);
    ensure!(run["steps"][0]["error"]["code"] == "destination_required", "{run}");
    ensure!(other.logins().is_empty(), "somebody signed in to an unknown server");

    // Another key is another server: a restricted secret goes there with new values only.
    let moved =
        scene.owner.patch("/secrets/BANK", json!({"destinations": at(other.port, &other.host_key)})).await;
    ensure!(moved.status != 200, "the key was exchanged: {}", moved.text);

    scene
        .secret(
            "RIGHT",
            "sftp_password",
            at(right.port, &right.host_key),
            json!({"username": "u", "password": scene.s}),
        )
        .await;
    let steps = json!([{"id": "a", "sftp": {"host": scene.good, "port": right.port, "auth": {"secret": "RIGHT"}, "get": {"path": "/plain"}}}]);
    let run = scene.run("right", steps, json!({})).await;
    ensure!(run["status"] == "succeeded", "{run}");
    ensure!(right.logins() == [("u".to_owned(), scene.s.clone())], "S did not arrive");
    scene.noleak("a run", run.to_string().as_bytes())
}
