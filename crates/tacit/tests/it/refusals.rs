//! Uses that are refused: with the right code, on the record, and with nothing sent.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Server},
    hostile::Hostile,
};

/// The value that is after.
pub(crate) const KEY: &str = "sk_live_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";

/// A workspace with a secret for `good`. `evil` can be reached too, since somebody has a secret for it.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) good: Hostile,
    pub(crate) evil: Hostile,
    pub(crate) editor: Client,
}

impl Scene {
    /// `STRIPE_KEY` may go to `good` by GET or POST, below `/v1`, as `auth`, in `test`.
    pub(crate) async fn new() -> Self {
        let (server, good, evil) = (Server::start().await, Hostile::start().await, Hostile::start().await);
        let editor = server.client("editor").await;
        let narrow =
            json!({"methods": ["GET", "POST"], "paths": ["/v1/**", "/redirect/*"], "environments": ["test"]});
        let values =
            json!({"test": {"token": KEY}, "live": {"token": "sk_live_Bx6Cy1Dz9Ea4Fb7Gc2Hd5Ie8Jf3Kg0Lh"}});
        for secret in [
            json!({"name": "STRIPE_KEY", "type": "bearer_token", "destinations": [good.destination(narrow)], "values": values}),
            json!({"name": "EVIL_KEY", "destinations": [evil.destination(json!({}))], "values": {"test": {"value": "Rk2Sl7Tm4Un9Vo1Wp6Xq3Yr8Zs5At0Bu"}}}),
            json!({"name": "FREE", "values": {"test": {"value": "Cq1Dr6Es3Ft8Gu5Hv0Iw7Jx2Ky9Lz4Ma"}}}),
            json!({"name": "FREE_MASKED", "visibility": "masked", "values": {"test": {"value": "Dw9Ex4Fy7Gz2Ha5Ib8Jc3Kd6Le1Mf0Ng"}}}),
        ] {
            server.owner.post("/secrets", secret).await.expect(201);
        }
        Self { server, good, evil, editor }
    }

    /// Sends the step as the editor, and as a step of a published automation: both are refused with this code, both
    /// refusals are on the record, and neither upstream hears of it.
    pub(crate) async fn refuses(&self, step: Value, status: u16, code: &str, object: &str) {
        let heard = (self.good.count(), self.evil.count());
        let problem = self.sent(&step).await.refused(status, code);
        let denied = self.server.owner.newest_event("outcome=denied").await;
        let expected = json!({"verb": "secret.use", "object": object, "code": code, "actor": self.editor.name, "environment": environment(&step)});
        assert_eq!(recorded(&denied), expected, "{step}");
        assert!(!problem.to_string().contains(&KEY[8..]), "{problem}");

        // Only `test` has automations.
        if environment(&step) == "test" {
            self.editor.put("/automations/attack", json!({"steps": [{"id": "a", "http": step}]})).await;
            let run =
                self.editor.post("/automations/attack/runs?wait=20", json!({"environment": "test"})).await;
            assert_eq!(run.expect(201)["error"]["code"], code, "{step}: {}", run.text);
            let denied = self.server.owner.newest_event("outcome=denied").await;
            assert_eq!(
                (&denied["actor"], &denied["on_behalf_of"]),
                (&json!("automation:attack"), &json!(self.editor.name)),
                "{denied}"
            );
            assert_eq!((&denied["object"], &denied["code"]), (&json!(object), &json!(code)), "{step}");
        }
        assert_eq!((self.good.count(), self.evil.count()), heard, "something was sent: {step}");
    }

    /// Sends the step as the editor.
    pub(crate) async fn sent(&self, step: &Value) -> crate::harness::Reply {
        let mut request = step.clone();
        request["environment"] = environment(step).into();
        self.editor.post("/requests", request).await
    }
}

fn environment(step: &Value) -> &str {
    step["environment"].as_str().unwrap_or("test")
}

fn recorded(event: &Value) -> Value {
    let names = ["verb", "object", "code", "actor", "environment"];
    names
        .iter()
        .map(|name| ((*name).to_owned(), event[*name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A1, A17, B3, B15, H5: any other host, port, scheme, path, method or environment.
#[tokio::test]
async fn a1_other_destinations() {
    let scene = Scene::new().await;
    let port = scene.good.port;
    let auth = json!({"secret": "STRIPE_KEY"});
    for (method, url) in [
        ("GET", "https://evil.test/v1/x".to_owned()),
        ("GET", scene.evil.url("/v1/x")),
        ("GET", format!("http://127.0.0.2:{port}/v1/x")),
        ("GET", format!("http://localhost:{port}/v1/x")),
        ("GET", format!("http://[::1]:{port}/v1/x")),
        ("GET", format!("http://[::ffff:127.0.0.1]:{port}/v1/x")),
        ("GET", format!("https://127.0.0.1:{port}/v1/x")),
        ("GET", "http://127.0.0.1/v1/x".to_owned()),
        ("GET", scene.good.url("/v2/x")),
        ("GET", scene.good.url("/V1/x")),
        ("GET", scene.good.url("/v1x")),
        ("GET", scene.good.url("/")),
        ("GET", scene.good.url("/x/v1/x")),
        ("GET", scene.good.url("/%76%31/x")),
        ("DELETE", scene.good.url("/v1/x")),
        ("PUT", scene.good.url("/v1/x")),
        ("HEAD", scene.good.url("/v1/x")),
    ] {
        let step = json!({"method": method, "url": url, "auth": auth});
        scene.refuses(step, 403, "destination_not_allowed", "secret:STRIPE_KEY").await;
    }
    let live = json!({"environment": "live", "url": scene.good.url("/v1/x"), "auth": auth});
    scene.refuses(live, 403, "destination_not_allowed", "secret:STRIPE_KEY").await;
    scene.sent(&json!({"url": scene.good.url("/v1/x"), "auth": auth})).await.expect(200);
    assert!(scene.good.last().contains(KEY), "what is allowed does work");
}

/// The suggestion holds the destination to add, for those who may add it, and for nobody else.
#[tokio::test]
async fn suggestions_are_for_those_who_may_aim() {
    let scene = Scene::new().await;
    let request =
        json!({"environment": "test", "url": scene.evil.url("/v1/x"), "auth": {"secret": "STRIPE_KEY"}});
    let told =
        scene.server.owner.post("/requests", request.clone()).await.refused(403, "destination_not_allowed");
    assert_eq!(told["destination"]["port"], scene.evil.port, "{told}");
    let told = scene.editor.post("/requests", request).await.refused(403, "destination_not_allowed");
    assert!(
        told.get("destination").is_none() && !told["suggestion"].as_str().unwrap().contains("127.0.0.1"),
        "{told}"
    );
}

/// A1: without a destination there is no use, but for those who may look anyway, and never of a restricted secret.
#[tokio::test]
async fn a1_no_destination() {
    let scene = Scene::new().await;
    for name in ["FREE", "FREE_MASKED"] {
        let step = json!({"url": scene.evil.url("/x"), "auth": {"secret": name}});
        scene.refuses(step, 403, "destination_required", &format!("secret:{name}")).await;
    }
    let request =
        |name: &str| json!({"environment": "test", "url": scene.evil.url("/x"), "auth": {"secret": name}});
    let owner = &scene.server.owner;
    owner.post("/requests", request("FREE")).await.refused(403, "destination_required");
    owner.post("/requests", request("FREE_MASKED")).await.expect(200);
    assert!(scene.evil.last().contains("Bearer Dw9Ex4"));
}

/// A pinned automation goes where its publisher, who may look, has written it to go, and nowhere else; editing it takes
/// the pin away.
#[tokio::test]
async fn pinned_automations() {
    let scene = Scene::new().await;
    let owner = &scene.server.owner;
    let to = |hostile: &Hostile| json!({"steps": [{"id": "a", "http": {"url": hostile.url("/x"), "auth": {"secret": "FREE_MASKED"}}}]});
    let run = async || {
        scene
            .editor
            .post("/automations/pinned/runs?wait=20", json!({"environment": "test"}))
            .await
            .expect(201)
    };
    owner.put("/automations/pinned", to(&scene.evil)).await.expect(201);
    assert_eq!(run().await["status"], "succeeded");
    assert_eq!(scene.evil.count(), 1);
    scene.editor.put("/automations/pinned", to(&scene.good)).await.expect(200);
    assert_eq!(run().await["error"]["code"], "destination_required");
    scene.editor.put("/automations/pinned", to(&scene.evil)).await.expect(200);
    assert_eq!(run().await["error"]["code"], "destination_required");
    // Two origins cannot be one pin, even for the owner.
    let mut both = to(&scene.evil);
    both["steps"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": "b", "http": {"url": scene.good.url("/x"), "auth": {"secret": "FREE_MASKED"}}}));
    owner.put("/automations/pinned", both).await.expect(200);
    assert_eq!(run().await["error"]["code"], "destination_required");
    assert_eq!((scene.good.count(), scene.evil.count()), (0, 1));
}

/// B1, B2: a place that the destination does not name.
#[tokio::test]
async fn b1_other_places() {
    let scene = Scene::new().await;
    let url = scene.good.url("/v1/x");
    for mut step in [
        json!({"headers": {"X-Other": "{{secrets.STRIPE_KEY}}"}}),
        json!({"headers": {"Cookie": "s={{secrets.STRIPE_KEY}}"}}),
        json!({"headers": {"User-Agent": "{{secrets.STRIPE_KEY}}"}}),
        json!({"headers": {"Referer": "{{secrets.STRIPE_KEY}}"}}),
        json!({"query": {"key": "{{secrets.STRIPE_KEY}}"}}),
        json!({"method": "POST", "body": {"json": {"content": "{{secrets.STRIPE_KEY}}"}}}),
        json!({"method": "POST", "body": {"form": {"content": "{{secrets.STRIPE_KEY}}"}}}),
        json!({"url": scene.good.url("/v1/{{secrets.STRIPE_KEY}}")}),
        json!({"url": scene.good.url("/v1/x?key={{secrets.STRIPE_KEY}}")}),
        // Allowed in one place, not in a second one at the same time.
        json!({"auth": {"secret": "STRIPE_KEY"}, "query": {"key": "{{secrets.STRIPE_KEY}}"}}),
    ] {
        if step.get("url").is_none() {
            step["url"] = json!(url);
        }
        scene.refuses(step, 403, "placement_not_allowed", "secret:STRIPE_KEY").await;
    }
    // Well-known credential headers are `auth`.
    for header in ["Authorization", "X-Api-Key", "Private-Token"] {
        let value = if header == "Authorization" {
            "Bearer {{secrets.STRIPE_KEY}}"
        } else {
            "{{secrets.STRIPE_KEY}}"
        };
        scene.sent(&json!({"url": url, "headers": {header: value}})).await.expect(200);
        assert!(scene.good.last().contains(KEY), "{header}");
    }
}

/// B4: on a host that a secret is bound to, nobody's own credential.
#[tokio::test]
async fn b4_foreign_credentials() {
    let scene = Scene::new().await;
    let url = scene.good.url("/v1/x");
    for mut step in [
        json!({"headers": {"Authorization": "Bearer attackers-own"}}),
        json!({"headers": {"authorization": "Basic YTpi"}}),
        json!({"headers": {"Cookie": "session=attackers"}}),
        json!({"headers": {"X-Api-Key": "attackers-own"}}),
        json!({"headers": {"X-Auth-Token": "{{vars.MINE}}"}}),
        json!({"query": {"access_token": "attackers-own"}}),
        json!({"auth": {"secret": "STRIPE_KEY"}, "headers": {"X-Api-Key": "attackers-own"}}),
        json!({"auth": {"secret": "STRIPE_KEY"}, "query": {"api_key": "attackers-own"}}),
    ] {
        step["url"] = json!(url);
        scene
            .server
            .owner
            .post("/variables", json!({"name": "MINE", "values": {"test": "attackers-own"}}))
            .await;
        scene.refuses(step, 403, "foreign_credential", "secret:STRIPE_KEY").await;
    }
    // Another stored secret is foreign too where it may not go.
    let step = json!({"url": url, "auth": {"secret": "EVIL_KEY"}});
    scene.refuses(step, 403, "destination_not_allowed", "secret:EVIL_KEY").await;
    // Where the owner says so, others' credentials are welcome.
    let open = json!({"destinations": [scene.evil.destination(json!({"exclusive": false}))], "values": {"test": {"value": "Rk2Sl7Tm4Un9Vo1Wp6Xq3Yr8Zs5At0Bv"}}});
    scene.server.owner.patch("/secrets/EVIL_KEY", open).await.expect(200);
    scene
        .sent(&json!({"url": scene.evil.url("/x"), "headers": {"Authorization": "Bearer mine"}}))
        .await
        .expect(200);
}

/// B5 to B11, I1 to I4: what cannot be written down, in a request (403 or 422) and in an automation (422).
#[tokio::test]
async fn b7_what_cannot_be_written() {
    let scene = Scene::new().await;
    let url = scene.good.url("/v1/x");
    for (step, code) in [
        (json!({"url": "https://{{secrets.STRIPE_KEY}}.evil.test/"}), "placement_not_allowed"),
        (json!({"url": "https://evil.test:{{secrets.STRIPE_KEY}}/"}), "placement_not_allowed"),
        (json!({"url": "{{secrets.STRIPE_KEY}}"}), "placement_not_allowed"),
        (json!({"url": url, "headers": {"X-{{secrets.STRIPE_KEY}}": "1"}}), "placement_not_allowed"),
        (json!({"url": url, "query": {"{{secrets.STRIPE_KEY}}": "1"}}), "placement_not_allowed"),
        (
            json!({"url": url, "method": "POST", "body": {"text": "k={{secrets.STRIPE_KEY}}"}}),
            "placement_not_allowed",
        ),
        (
            json!({"url": url, "headers": {"Authorization": "Bearer {{secrets.STRIPE_KEY}}{{secrets.EVIL_KEY}}"}}),
            "validation_failed",
        ),
        (
            json!({"url": url, "headers": {"Authorization": "Bearer {{secrets.STRIPE_KEY}}x"}}),
            "validation_failed",
        ),
        (json!({"url": url, "headers": {"X-A": "{{secrets.STRIPE_KEY}}{{env}}"}}), "validation_failed"),
        (json!({"url": url, "headers": {"X-A": "{{secrets.STRIPE_KEY | base64}}"}}), "validation_failed"),
        (json!({"url": url, "headers": {"X-A": "{{secrets.STRIPE_KEY | upper}}"}}), "validation_failed"),
        (json!({"url": url, "headers": {"X-A": "{{secrets[input.name]}}"}}), "validation_failed"),
        (json!({"url": url, "headers": {"X-A": "{{secrets.{{vars.N}}}}"}}), "validation_failed"),
        (json!({"url": url, "headers": {"X-A": "{{secrets.STRIPE_KEY == 'sk'}}"}}), "validation_failed"),
        (json!({"url": url, "headers": {"X-A": "{{secrets.STRIPE_KEY"}}), "validation_failed"),
        (
            json!({"url": url, "auth": {"secret": "STRIPE_KEY"}, "headers": {"Authorization": "x"}}),
            "validation_failed",
        ),
        (
            json!({"url": url, "auth": {"secret": "STRIPE_KEY"}, "headers": {"Host": "evil.test"}}),
            "validation_failed",
        ),
        (
            json!({"url": url, "auth": {"secret": "STRIPE_KEY"}, "headers": {"Transfer-Encoding": "chunked"}}),
            "validation_failed",
        ),
        (
            json!({"url": url, "auth": {"secret": "STRIPE_KEY"}, "headers": {"Connection": "authorization"}}),
            "validation_failed",
        ),
        (
            json!({"url": url, "auth": {"secret": "STRIPE_KEY"}, "headers": {"Range": "bytes=0-14"}}),
            "validation_failed",
        ),
        (json!({"url": url, "auth": {"secret": "STRIPE_KEY"}, "method": "TRACE"}), "validation_failed"),
        (json!({"url": url, "auth": {"secret": "STRIPE_KEY"}, "method": "CONNECT"}), "validation_failed"),
        (
            json!({"url": url, "auth": {"secret": "STRIPE_KEY"}, "headers": {"X-A": "a\r\nX-B: c"}}),
            "validation_failed",
        ),
        (json!({"url": url, "auth": {"secret": "NOT_THERE"}}), "unknown_reference"),
        (json!({"url": url, "headers": {"X-A": "{{secrets.NOT_THERE}}"}}), "unknown_reference"),
        (json!({"url": url, "headers": {"X-A": "{{vars.NOT_THERE}}"}}), "unknown_reference"),
    ] {
        let reply = scene.sent(&step).await;
        reply.refused(if code == "placement_not_allowed" { 403 } else { 422 }, code);
        let saved = scene.editor.put("/automations/bad", json!({"steps": [{"id": "a", "http": step}]})).await;
        // A line break in data is noticed when the request is built, not before.
        if !step.to_string().contains("X-B") {
            let problem = saved.refused(422, code);
            assert_eq!(problem.to_string().contains("NOT_THERE"), code == "unknown_reference", "{problem}");
        }
        for text in [&reply.text, &saved.text] {
            assert!(!text.contains(&KEY[8..]), "{text}");
        }
    }
    assert_eq!((scene.good.count(), scene.evil.count()), (0, 0));
}

/// I4, H10, B13: text that looks like a reference, but comes as data, is sent as it is; so is a value that looks like one.
#[tokio::test]
async fn i4_data_is_never_a_template() {
    let scene = Scene::new().await;
    let step = json!({"id": "a", "http": {"method": "POST", "url": scene.good.url("/v1/{{input.path}}"), "auth": {"secret": "STRIPE_KEY"}, "headers": {"X-Data": "{{input.text}}"}, "body": {"json": {"note": "{{input.text}}"}}}});
    let later = json!({"id": "b", "http": {"method": "POST", "url": scene.good.url("/v1/x"), "body": {"form": {"note": "{{steps.a.body}}"}}}});
    scene.editor.put("/automations/data", json!({"steps": [step, later]})).await.expect(201);
    let input = json!({"text": "{{secrets.EVIL_KEY}} {{vars.X}}", "path": "{{secrets.EVIL_KEY}}"});
    let run = scene
        .editor
        .post("/automations/data/runs?wait=20", json!({"environment": "test", "input": input}))
        .await
        .expect(201);
    assert_eq!(run["status"], "succeeded", "{run}");
    let first = String::from_utf8_lossy(&scene.good.requests()[0]).into_owned();
    assert!(
        first.contains("x-data: {{secrets.EVIL_KEY}} {{vars.X}}")
            && first.contains("{\"note\":\"{{secrets.EVIL_KEY}} {{vars.X}}\"}"),
        "{first}"
    );
    assert!(first.starts_with("POST /v1/%7B%7Bsecrets.EVIL_KEY%7D%7D HTTP/1.1"), "{first}");
    assert!(!scene.good.received("Rk2Sl7Tm4Un9"));
    // What the second step sends on was scrubbed when the first one read it.
    assert!(!scene.good.last().contains(&KEY[8..24]), "{}", scene.good.last());
    // A value that is a reference is a value.
    let value = json!({"fields": {"token": "{{secrets.EVIL_KEY}}-and-more-of-a-value"}});
    scene.server.owner.put("/secrets/STRIPE_KEY/values/test", value).await.expect(201);
    scene.sent(&json!({"url": scene.good.url("/v1/x"), "auth": {"secret": "STRIPE_KEY"}})).await.expect(200);
    assert!(scene.good.last().contains("Bearer {{secrets.EVIL_KEY}}-and-more"));
}

/// A variable may form a host and is judged when it is known: whoever changes it does not aim the secret.
#[tokio::test]
async fn variables_do_not_aim() {
    let scene = Scene::new().await;
    let step = json!({"url": "{{vars.BASE}}/x", "auth": {"secret": "STRIPE_KEY"}});
    let good = scene.good.url("/v1");
    scene.editor.post("/variables", json!({"name": "BASE", "values": {"test": good}})).await.expect(201);
    scene.sent(&step).await.expect(200);
    assert!(scene.good.last().starts_with("GET /v1/x "));
    let evil = format!("http://127.0.0.1:{}", scene.evil.port);
    for base in [evil.clone(), format!("{evil}/v1"), scene.good.url("/v2"), "https://evil.test".to_owned()] {
        scene.editor.put("/variables/BASE/values/test", json!({"value": base})).await.expect(204);
        scene.refuses(step.clone(), 403, "destination_not_allowed", "secret:STRIPE_KEY").await;
    }
    for base in [
        format!("{good}?x"),
        format!("{good}#"),
        "http://a@b".to_owned(),
        "no url".to_owned(),
        good.replace("/v1", "/../v1"),
    ] {
        scene.editor.put("/variables/BASE/values/test", json!({"value": base})).await.expect(204);
        let reply = scene.sent(&step).await;
        assert!(reply.status == 422 || base.ends_with('#'), "{base}: {}", reply.text);
    }
}

/// F2, G9: two principals never share a connection, and neither do one principal's requests before and after a change.
#[tokio::test]
async fn f2_connections_are_not_shared() {
    let scene = Scene::new().await;
    let other = scene.server.client("editor").await;
    let request =
        json!({"environment": "test", "url": scene.good.url("/v1/x"), "auth": {"secret": "STRIPE_KEY"}});
    for client in [&scene.editor, &other, &scene.editor, &other] {
        client.post("/requests", request.clone()).await.expect(200);
    }
    assert!(scene.good.connections() >= 2, "two principals shared a connection");
    let before = scene.good.connections();
    scene.server.owner.patch("/secrets/STRIPE_KEY", json!({"description": "changed"})).await.expect(200);
    scene.editor.post("/requests", request).await.expect(200);
    assert_eq!(scene.good.connections(), before + 1, "a connection of the old revision was used");
}
