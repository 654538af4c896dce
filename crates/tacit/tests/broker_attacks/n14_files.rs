//! N14: an SFTP server that sends the password back: in a file, in a file's name, spread over several names, in what it says
//! when it refuses, in its extensions; and that asks for channels of its own.

use serde_json::{Value, json};

use crate::{
    ensure,
    scene::{Scene, Verdict, random_value},
    sftp_server::SftpServer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let mut scene = Scene::new(world, "N14").await;
    // A value of its own: one that two secrets share is marked without a name.
    scene.s = random_value();
    world.plant(&scene.workspace, &scene.s);
    let scene = scene;
    let server = SftpServer::start().await;
    let destination =
        json!([{"host": scene.good, "scheme": "sftp", "port": server.port, "host_key": server.host_key}]);
    scene.secret("BANK", "sftp_password", destination, json!({"username": "u", "password": scene.s})).await;
    let run = async |action: Value| {
        let mut sftp = json!({"host": scene.good, "port": server.port, "auth": {"secret": "BANK"}});
        sftp.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
        scene.run("files", json!([{"id": "a", "sftp": sftp}]), json!({})).await
    };
    for path in ["/plain", "/reversed", "/base64", "/hex"] {
        let run = run(json!({"get": {"path": path}})).await;
        scene.noleak(path, run.to_string().as_bytes())?;
        let content = run["steps"][0]["output"]["content"].as_str().unwrap_or_default();
        // What pads base64 says nothing.
        ensure!(content.replace("==", "") == "<[sealed:BANK]>", "{path}: {run}");
    }
    let whole = run(json!({"list": {"path": "/whole"}})).await;
    scene.noleak("a name", whole.to_string().as_bytes())?;
    let entries = whole["steps"][0]["output"]["entries"].as_array().cloned().unwrap_or_default();
    let shown: Vec<&str> = entries.iter().filter_map(|entry| entry["name"].as_str()).collect();
    ensure!(shown == ["[sealed:BANK]", "a"], "in the order of what is shown: {whole}");
    let spread = run(json!({"list": {"path": "/spread"}})).await;
    ensure!(
        spread["status"] == "succeeded" || spread["steps"][0]["error"]["code"] == "response_unscannable",
        "{spread}"
    );
    scene.noleak("names", spread.to_string().as_bytes())?;
    for action in [
        json!({"get": {"path": "/refused"}}),
        json!({"put": {"path": "/refused", "content": "x"}}),
        json!({"list": {"path": "/refused"}}),
        json!({"delete": {"path": "/refused"}}),
        json!({"rename": {"from": "/refused", "to": "/x"}}),
    ] {
        let run = run(action.clone()).await;
        ensure!(run["steps"][0]["error"]["code"] == "upstream_failed", "{action}: {run}");
        scene.noleak("a refusal", run.to_string().as_bytes())?;
    }
    ensure!(server.taken() == 0, "the server opened a channel towards us");
    ensure!(server.logins().iter().all(|(_, password)| *password == scene.s), "S did not arrive");
    scene.noleak("the runs", scene.owner.every_run().await.as_bytes())?;
    scene.noleak("the record", scene.owner.get("/events").await.text.as_bytes())?;
    Ok(())
}
