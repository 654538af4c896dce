//! N12: the one place where a client secret goes is a service too. It redirects with the secret in its hand, gives it back
//! as a token so that it is sent on, or says it in an error.

use serde_json::{Value, json};

use crate::{
    disguise::DISGUISES,
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::{Act, answer},
    world::World,
};

fn ok(body: &Value) -> Vec<Act> {
    vec![answer("200 OK", "content-type: application/json\r\n", body.to_string().as_bytes())]
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "N12", json!({"paths": ["/v1/**"]})).await;
    let (s, evil) = (scene.s.clone(), scene.evil_url("/stolen"));
    let good = scene.url("/again");
    let value =
        json!({"client_id": "app", "client_secret": s, "token_url": scene.url("/token"), "scopes": "a b"});
    let destinations = json!([scene.destination(json!({"paths": ["/v1/**"]}))]);
    scene.secret("APP", "oauth2_client_credentials", destinations, value.clone()).await;
    // An endpoint that just gave no token is not asked again, but for a new version it is.
    let anew = async || {
        scene.owner.put("/secrets/APP/values/test", json!({"fields": value})).await.expect(201);
    };
    let lease = scene.lease_for(&scene.p, &["APP"]).await;
    let mut moods: Vec<(String, &str, Vec<Act>)> = Vec::new();
    for status in ["301 Moved", "302 Found", "303 Other", "307 Temporary", "308 Permanent"] {
        for to in [&evil, &good] {
            let location = format!("location: {to}?s={s}\r\n");
            moods.push((
                format!("{status} to {to}"),
                "redirect_refused",
                vec![answer(status, &location, b"")],
            ));
        }
    }
    for (name, disguise) in DISGUISES {
        let told = String::from_utf8_lossy(&disguise(&s)).into_owned();
        let body = json!({"access_token": told, "token_type": "Bearer", "expires_in": 3600});
        moods.push((format!("a token that is the secret, {name}"), "upstream_failed", ok(&body)));
    }
    for body in [json!({"access_token": format!("x.{s}.y")}), json!({"error": s}), json!(s), json!([s])] {
        moods.push(("an answer with the secret".to_owned(), "upstream_failed", ok(&body)));
    }
    for status in ["400 Bad", "401 No", "403 No", "418 Teapot", "500 Oh", "503 Busy"] {
        let said = format!("{{\"error_description\": \"{s}\"}}");
        let header = format!("www-authenticate: Basic realm=\"{s}\"\r\n");
        moods.push((status.to_owned(), "upstream_failed", vec![answer(status, &header, said.as_bytes())]));
    }
    for (what, code, acts) in moods {
        scene.on("/token", move |_| acts.clone());
        let heard = scene.seen().iter().filter(|seen| !seen.line().starts_with("POST /token")).count();
        anew().await;
        let reply = scene.sealed(&json!({"url": scene.url("/v1/x"), "auth": {"secret": "APP"}})).await;
        scene.noleak(&what, reply.text.as_bytes())?;
        ensure!(
            reply.status == 502 && (reply.json()["code"] == code),
            "{what}: expected {code}, got {} {}",
            reply.status,
            reply.text
        );
        anew().await;
        let bearer = lease.bearer("APP");
        let seen = scene.via(Way::Tunnel, &lease, "GET", "/v1/x", &[("Authorization", &bearer)], b"").await;
        scene.noleak(&what, &seen.raw)?;
        ensure!(seen.status == 502, "{what}: {}", seen.text());
        let now = scene.seen().iter().filter(|seen| !seen.line().starts_with("POST /token")).count();
        ensure!(now == heard, "{what}: something was sent with what that endpoint gave");
    }
    let steps = json!([{"id": "a", "http": {"url": scene.url("/v1/x"), "auth": {"secret": "APP"}}}]);
    let run = scene.run("n12", steps, json!({})).await;
    scene.noleak("a run", run.to_string().as_bytes())?;
    let record = scene.events("").await;
    scene.noleak("the record", serde_json::to_string(&record).unwrap().as_bytes())?;
    scene.nosend()
}
