//! Redirects: each hop is judged as a request of its own, and what was meant for one place does not travel to another.

use serde_json::{Value, json};

use crate::refusals::{KEY, Scene};

const CODES: [u16; 5] = [301, 302, 303, 307, 308];

fn encoded(url: &str) -> String {
    url.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// A request that `good` redirects.
fn redirected(scene: &Scene, status: u16, to: &str) -> Value {
    json!({"url": scene.good.url(&format!("/redirect/{status}?to={}", encoded(to))), "auth": {"secret": "STRIPE_KEY"}, "redirects": 3})
}

/// A2: to the attacker, with each code, by every spelling; the hop is refused and on the record, and nothing arrives.
#[tokio::test]
async fn a2_to_another_origin() {
    let scene = Scene::new().await;
    let (good, evil) = (scene.good.port, scene.evil.port);
    let spellings = [
        format!("http://127.0.0.1:{evil}/v1/x"),
        format!("//127.0.0.1:{evil}/v1/x"),
        format!("\\\\127.0.0.1:{evil}/v1/x"),
        format!("http:\\\\127.0.0.1:{evil}/v1/x"),
        format!("HTTP://127.0.0.1:{evil}/v1/x"),
        format!("http://127.0.0.1:{good}@127.0.0.1:{evil}/v1/x"),
        format!("http://2130706433:{evil}/v1/x"),
        format!("http://0x7f.1:{evil}/v1/x"),
        format!("http://localhost:{evil}/v1/x"),
        format!("http://[::1]:{evil}/v1/x"),
        "https://evil.test/v1/x".to_owned(),
        format!("http://169.254.169.254:{good}/v1/x"),
        scene.server.url.clone(),
        "file:///etc/passwd".to_owned(),
        "javascript:alert(1)".to_owned(),
    ];
    for (at, to) in spellings.iter().enumerate() {
        for status in if at == 0 { &CODES[..] } else { &CODES[1..2] } {
            let (before, heard) =
                (scene.server.owner.newest_event("outcome=denied").await["seq"].clone(), scene.good.count());
            let problem = scene.sent(&redirected(&scene, *status, to)).await.refused(502, "redirect_refused");
            assert!(!problem.to_string().contains(&KEY[8..]), "{problem}");
            assert_eq!((scene.good.count() - heard, scene.evil.count()), (1, 0), "{status} {to}");
            if at == 0 {
                let denied = scene.server.owner.newest_event("outcome=denied").await;
                assert!(
                    denied["seq"].as_i64() > before.as_i64(),
                    "{status}: the refused hop is not on the record"
                );
                assert_eq!(
                    (&denied["verb"], &denied["object"]),
                    (&json!("secret.use"), &json!("secret:STRIPE_KEY"))
                );
            }
        }
    }
}

/// A2: within the origin, to a path, or by a method, that the destination does not name.
#[tokio::test]
async fn a2_to_another_path() {
    let scene = Scene::new().await;
    for status in CODES {
        for to in ["/v2/x", "/", "/v1/../v2/x", "/v1/%2e%2e/v2/x", "/v1//x", "/v1/x;y", "/v1/%2fx", "../v2"] {
            let heard = scene.good.count();
            scene.sent(&redirected(&scene, status, to)).await.refused(502, "redirect_refused");
            assert_eq!(scene.good.count() - heard, 1, "{status} {to}");
        }
    }
}

/// What may be followed is followed, with the credential put in anew; without `redirects` the 3xx is the answer.
#[tokio::test]
async fn redirects_that_are_allowed() {
    let scene = Scene::new().await;
    for status in CODES {
        let answer = scene.sent(&redirected(&scene, status, "/v1/there")).await.expect(200);
        assert_eq!(answer["status"], 200, "{status}");
        assert!(
            scene.good.last().starts_with("GET /v1/there HTTP/1.1") && scene.good.last().contains(KEY),
            "{}",
            scene.good.last()
        );
        let mut once = redirected(&scene, status, "/v1/there");
        once["redirects"] = json!(0);
        let heard = scene.good.count();
        let answer = scene.sent(&once).await.expect(200);
        assert_eq!((&answer["status"], scene.good.count() - heard), (&json!(status), 1));
        // 307 and 308 keep method and body, the others turn into GET.
        let mut post = redirected(&scene, status, "/v1/there");
        post["method"] = json!("POST");
        post["body"] = json!({"form": {"a": "b"}});
        scene.sent(&post).await.expect(200);
        let last = scene.good.last();
        assert_eq!(last.starts_with("POST") && last.ends_with("a=b"), status >= 307, "{status}: {last}");
    }
    // A loop ends with the 3xx as the answer.
    let here = scene.good.url("/redirect/302?to=%2Fredirect%2F302");
    let answer =
        scene.sent(&json!({"url": here, "auth": {"secret": "STRIPE_KEY"}, "redirects": 5})).await.expect(200);
    assert_eq!(answer["status"], 302);
}

/// A2: a body, a cookie or somebody's own header does not go to another origin, even one that the secret may go to.
#[tokio::test]
async fn a2_nothing_else_travels() {
    let scene = Scene::new().await;
    let both =
        json!([scene.good.destination(json!({})), scene.evil.destination(json!({"exclusive": false}))]);
    let fresh = json!({"destinations": both, "values": {"test": {"token": KEY}, "live": {"token": KEY}}});
    scene.server.owner.patch("/secrets/STRIPE_KEY", fresh).await.expect(200);
    let to = scene.evil.url("/x");
    let mut step = redirected(&scene, 302, &to);
    step["headers"] = json!({"X-Note": "for good only"});
    scene.sent(&step).await.expect(200);
    assert!(
        scene.evil.last().contains(KEY) && !scene.evil.last().contains("for good only"),
        "{}",
        scene.evil.last()
    );
    let mut post = redirected(&scene, 307, &to);
    post["method"] = json!("POST");
    post["body"] = json!({"text": "for good only"});
    let heard = scene.evil.count();
    scene.sent(&post).await.refused(502, "redirect_refused");
    assert_eq!(scene.evil.count(), heard);
}
