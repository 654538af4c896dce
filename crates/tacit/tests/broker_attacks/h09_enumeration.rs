//! H9: what exists, learnt from how its refusal reads. Unknown, foreign and over are one text; so are a secret that
//! is not there and one of another workspace.

use serde_json::{Value, json};

use crate::{
    ensure,
    harness::Reply,
    scene::{Scene, Verdict},
    world::World,
};

/// What is asked for under a name.
type Asking<'a> = dyn Fn(&str) -> (&'static str, Value) + Sync + 'a;

fn comparable(reply: &Reply, names: &[&str]) -> (u16, String) {
    let mut body = reply.json();
    body.as_object_mut().unwrap().remove("request_id");
    let mut text = body.to_string();
    for name in names {
        text = text.replace(name, "NAME");
    }
    (reply.status, text)
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H9").await;
    scene.stranger().await;
    let other = world.owner.in_workspace("h9-other");
    other
        .post("/secrets", json!({"name": "FOREIGN", "values": {"test": {"value": "x".repeat(40)}}}))
        .await
        .expect(201);
    let names = ["FOREIGN", "MISSING"];
    let ask = async |body: &Asking<'_>| {
        let mut replies = Vec::new();
        for name in names {
            let (path, body) = body(name);
            replies.push(comparable(&scene.p.post(path, body).await, &names));
        }
        replies
    };
    let leases: &Asking<'_> =
        &|name| ("/leases", json!({"environment": "test", "secrets": [{"name": name}]}));
    let sealed: &Asking<'_> = &|name| {
        ("/requests", json!({"environment": "test", "url": scene.url("/x"), "auth": {"secret": name}}))
    };
    for what in [leases, sealed] {
        let replies = ask(what).await;
        ensure!(replies[0] == replies[1] && replies[0].0 >= 400, "{replies:#?}");
    }
    // Leases of others: none of them can be told from one that is not there.
    let lease = scene.lease_for(&scene.p2, &["KEY"]).await;
    let mut missing = lease.id.clone().into_bytes();
    let last = missing.len() - 1;
    missing[last] = if missing[last] == b'1' { b'2' } else { b'1' };
    let missing = String::from_utf8(missing).unwrap();
    for (method, suffix) in [("DELETE", ""), ("POST", "/renew")] {
        let mut replies = Vec::new();
        for id in [&lease.id, &missing] {
            let reply = scene.p.send(method, &format!("/leases/{id}{suffix}"), None).await;
            replies.push(comparable(&reply, &[&lease.id, &missing]));
        }
        ensure!(replies[0] == replies[1] && replies[0].0 == 404, "{method}: {replies:#?}");
    }
    scene.works(&lease).await;
    let listed = scene.p.get("/leases").await.expect(200).to_string();
    ensure!(!listed.contains(&lease.id), "another's lease is listed: {listed}");
    Ok(())
}
