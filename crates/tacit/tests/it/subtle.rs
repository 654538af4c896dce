//! Ways round the scrubber and the rules that need more than one request, or more than one idea.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    disguise::Detector,
    harness::{Client, Server},
    hostile::Hostile,
    refusals::Scene,
};

const PASSWORD: &str = "Hy7/Ju+2&Ki9<Lo4>Mp6\"Nq1'Or8=Ps3%Qt5";
pub(crate) const STRONG: &str = "Vt4Kq9Zr2Xw7Ls5Np8Jd3Hf6Gb1Mc0Ty9Ue4Ia7Q";

/// A secret of type text with one destination.
pub(crate) async fn secret(owner: &Client, name: &str, value: &str, destination: Value) {
    let secret = json!({"name": name, "destinations": [destination], "values": {"test": {"value": value}}});
    owner.post("/secrets", secret).await.expect(201);
}

/// C13, D1: a value is percent-encoded into a URL or form by the broker, and the service sends that back as hexadecimal,
/// base64 or reversed: the form that the broker rendered is looked for like the value itself.
#[tokio::test]
async fn rendered_forms_in_disguise() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    let places = json!({"places": ["query:k", "path", "form:k", "json:/k"]});
    secret(&server.owner, "PW", PASSWORD, hostile.destination(places)).await;
    let percent: String = PASSWORD
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let json_text = serde_json::to_string(PASSWORD).unwrap();
    let detector = Detector::new([PASSWORD, &percent, &json_text]);
    let mut leaks = Vec::new();
    for mode in ["hex", "base64-0", "reversed", "percent-twice"] {
        for step in [
            json!({"url": hostile.url(&format!("/{mode}?k={{{{secrets.PW}}}}"))}),
            json!({"url": hostile.url(&format!("/{mode}/{{{{secrets.PW}}}}"))}),
            json!({"url": hostile.url(&format!("/{mode}")), "method": "POST", "body": {"form": {"k": "{{secrets.PW}}"}}}),
            json!({"url": hostile.url(&format!("/{mode}")), "method": "POST", "body": {"json": {"k": "{{secrets.PW}}"}}}),
        ] {
            let mut request = step.clone();
            request["environment"] = json!("test");
            let reply = server.owner.post("/requests", request).await;
            reply.expect(200);
            if let Some(found) = detector.find(reply.text.as_bytes(), 3) {
                leaks.push(format!("{step}: {found}"));
            }
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// A2, I6: nothing recognises a short value in the address that a redirect names, so no redirect is followed that answers
/// a request with one, and a refusal does not tell the host that the service made up.
#[tokio::test]
async fn short_values_in_redirects() {
    let scene = Scene::new().await;
    let places = json!({"places": ["query:to", "auth"]});
    secret(&scene.server.owner, "PIN", "471100", scene.good.destination(places)).await;
    scene.good.tell(&["471100"]);
    let redirect = |location: &str| {
        let encoded: String = location.bytes().map(|b| format!("%{b:02X}")).collect();
        scene.good.url(&format!("/redirect/302?to={encoded}"))
    };
    let same_origin =
        json!({"url": redirect("/raw/KNOWN"), "query": {"to": "{{secrets.PIN}}"}, "redirects": 1});
    let followed = scene.sent(&same_origin).await;
    let made_up =
        json!({"url": redirect("https://KNOWN.evil.test/"), "auth": {"secret": "PIN"}, "redirects": 1});
    let refused = scene.sent(&made_up).await;
    let event = scene.server.owner.newest_event("outcome=denied").await.to_string();
    for text in [followed.text, refused.text, event] {
        assert!(!text.contains("471100"), "{text}");
    }
}

/// The rule `block` withholds an answer that holds the value, whichever request it answers.
#[tokio::test]
async fn block_without_the_secret_in_the_request() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    secret(&server.owner, "A", STRONG, hostile.destination(json!({"response": "block"}))).await;
    hostile.tell(&[STRONG]);
    let reply =
        server.owner.post("/requests", json!({"environment": "test", "url": hostile.url("/raw")})).await;
    assert_eq!(reply.expect(200)["body"], Value::Null, "{}", reply.text);
}

/// B4: somebody's own credential in the text of the URL is as foreign as one in `query`.
#[tokio::test]
async fn foreign_credential_in_the_url() {
    let scene = Scene::new().await;
    for query in ["access_token=mine", "x=1&api_key=mine", "api%5Fkey=mine"] {
        let step = json!({"url": scene.good.url(&format!("/v1/x?{query}"))});
        scene.refuses(step, 403, "foreign_credential", "secret:STRIPE_KEY").await;
    }
}

/// C11: what was used at a host without a destination, by a published automation or an owner, is looked for in what an
/// editor reads there later.
#[tokio::test]
async fn undestined_values_read_later() {
    let scene = Scene::new().await;
    let request =
        json!({"environment": "test", "url": scene.evil.url("/x"), "auth": {"secret": "FREE_MASKED"}});
    scene.server.owner.post("/requests", request).await.expect(200);
    let value = "Dw9Ex4Fy7Gz2Ha5Ib8Jc3Kd6Le1Mf0Ng";
    scene.evil.tell(&[value]);
    let later = scene.sent(&json!({"url": scene.evil.url("/raw")})).await;
    Detector::new([value]).assert_clean(&later.text, "what was read later");
}

/// What is wrong with a destination is said without what was written there.
#[tokio::test]
async fn bad_destinations_are_not_repeated() {
    let server = Server::start().await;
    for destination in [
        json!({"host": "a.test", "methods": [STRONG]}),
        json!({"host": "a.test", "response": STRONG}),
        json!({"host": "a.test", "scheme": STRONG}),
        json!({"host": "a.test", "exclusive": STRONG}),
        json!({"host": "a.test", STRONG: STRONG}),
        json!({"host": STRONG, "port": -1}),
    ] {
        let reply = server.owner.post("/secrets", json!({"name": "B", "destinations": [destination]})).await;
        reply.refused(422, "validation_failed");
        assert!(!reply.text.contains(&STRONG[..16]), "{}", reply.text);
    }
}

/// C13: base64 of base64 is found for each leaf of a JSON secret, wherever it stands.
#[tokio::test]
async fn leaves_in_double_base64() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    let leaves = [
        STRONG,
        "Dw9Ex4Fy7Gz2Ha5Ib8Jc3Kd6Le1Mf0Ng9Oh4",
        "Pi7Qj2Rk5Sl8Tm3Un6Vo1Wp4Xq9Yr0Zs7At2",
        "Cq1Dr6Es3Ft8Gu5Hv0Iw7Jx2Ky9Lz4Ma1Nb6O",
    ];
    let content = json!({"a": leaves[0], "bc": [{"d": leaves[1]}, leaves[2]], "efg": leaves[3]});
    let doc = json!({"name": "DOC", "type": "json", "destinations": [hostile.destination(json!({}))], "values": {"test": {"content": content}}});
    server.owner.post("/secrets", doc).await.expect(201);
    for leaf in leaves {
        hostile.tell(&[&STANDARD.encode(STANDARD.encode(leaf))]);
    }
    let reply =
        server.owner.post("/requests", json!({"environment": "test", "url": hostile.url("/raw")})).await;
    reply.expect(200);
    Detector::new(leaves).assert_clean(&reply.text, "the answer");
}

/// C11: a value that is too short to be taken out comes back in a later answer, to a request that does not carry it.
#[tokio::test]
async fn short_values_read_later() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    secret(&server.owner, "PIN", "471100", hostile.destination(json!({"places": ["json:/pin"]}))).await;
    let editor = server.client("editor").await;
    let body = json!({"json": {"pin": "{{secrets.PIN}}"}});
    let first = json!({"environment": "test", "method": "POST", "url": hostile.url("/raw"), "body": body});
    editor.post("/requests", first).await.expect(200);
    hostile.tell(&["471100"]);
    let later = editor.post("/requests", json!({"environment": "test", "url": hostile.url("/raw")})).await;
    assert!(!later.text.contains("471100"), "{}", later.text);
    assert_eq!(later.json()["withheld"], "status_only");
}

/// What only authenticates at one port is no reason to keep back what another port of that host answers; what is stored at
/// one port is.
#[tokio::test]
async fn short_values_at_another_port() {
    let (server, hostile, other) = (Server::start().await, Hostile::start().await, Hostile::start().await);
    secret(&server.owner, "OTHER", "Zq8WnX2vT7bLk4RmP9sD", other.destination(json!({}))).await;
    for (name, places, is_shown) in [("AUTH_PIN", "auth", true), ("BODY_PIN", "json:/pin", false)] {
        secret(&server.owner, name, "471100", hostile.destination(json!({"places": [places]}))).await;
        let editor = server.client("editor").await;
        let first = if is_shown {
            json!({"url": hostile.url("/raw"), "environment": "test", "auth": {"secret": name}})
        } else {
            let body = json!({"json": {"pin": format!("{{{{secrets.{name}}}}}")}});
            json!({"url": hostile.url("/raw"), "environment": "test", "method": "POST", "body": body})
        };
        editor.post("/requests", first).await.expect(200);
        other.tell(&["an answer for everybody"]);
        let later = editor.post("/requests", json!({"environment": "test", "url": other.url("/raw")})).await;
        assert_eq!(later.text.contains("an answer for everybody"), is_shown, "{name}: {}", later.text);
    }
}

/// D11, C17: an archive without a content coding cannot be looked into; the answer or the record says so.
#[tokio::test]
async fn opaque_answers_are_marked() {
    let scene = Scene::new().await;
    let reply = scene.sent(&json!({"url": scene.evil.url("/archive"), "auth": {"secret": "EVIL_KEY"}})).await;
    let event = scene.server.owner.event_soon("verb=secret.use&outcome=succeeded").await;
    assert!(format!("{}{event}", reply.text).contains("opaque"), "{}{event}", reply.text);
}
