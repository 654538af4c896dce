//! M7: a path that climbs out of where the destination leads, by dots, by other separators, by data, or by moving a file.
//! A path has one form, in which it is judged and sent; where a file is moved to is judged like where it was.

use serde_json::{Value, json};

use crate::{
    ensure,
    scene::{Scene, Verdict},
    sftp_server::SftpServer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "M7").await;
    let server = SftpServer::start().await;
    let destination = json!([{"host": scene.good, "scheme": "sftp", "port": server.port, "host_key": server.host_key,
        "methods": ["GET", "RENAME"], "paths": ["/in/**"]}]);
    scene.secret("BANK", "sftp_password", destination, json!({"username": "u", "password": scene.s})).await;
    let step = |action: Value| {
        let mut sftp = json!({"host": scene.good, "port": server.port, "auth": {"secret": "BANK"}});
        sftp.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
        json!([{"id": "a", "sftp": sftp}])
    };
    for path in [
        "/in/../etc/passwd",
        "/in/./../x",
        "/in//../x",
        "/in/..",
        "/in\\..\\x",
        "/in/\u{0}/x",
        "in/x",
        "~/.ssh/id_ed25519",
        "",
    ] {
        let run = scene
            .run("climbs", step(json!({"get": {"path": "{{input.path}}"}})), json!({"path": path}))
            .await;
        ensure!(run["steps"][0]["error"]["code"] == "validation_failed", "{path:?}: {run}");
    }
    for action in [
        json!({"get": {"path": "/etc/passwd"}}),
        json!({"get": {"path": "/in%2F..%2Fx/y"}}),
        json!({"get": {"path": "/inside/x"}}),
        json!({"put": {"path": "/in/x", "content": "x"}}),
        json!({"list": {"path": "/in"}}),
        json!({"delete": {"path": "/in/x"}}),
        json!({"rename": {"from": "/in/x", "to": "/x"}}),
        json!({"rename": {"from": "/x", "to": "/in/x"}}),
    ] {
        let run = scene.run("elsewhere", step(action.clone()), json!({})).await;
        ensure!(run["steps"][0]["error"]["code"] == "destination_not_allowed", "{action}: {run}");
        scene.on_record("destination_not_allowed").await?;
    }
    ensure!(server.logins().is_empty() && server.paths().is_empty(), "the server heard {:?}", server.paths());
    let run =
        scene.run("within", step(json!({"rename": {"from": "/in/a", "to": "/in/b c"}})), json!({})).await;
    ensure!(run["status"] == "succeeded", "{run}");
    ensure!(server.paths() == ["/in/a"], "{:?}", server.paths());
    Ok(())
}
