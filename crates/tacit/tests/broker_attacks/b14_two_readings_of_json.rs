//! B14: JSON that two parsers read in two ways: members that stand twice, other spellings of a pointer, a
//! byte-order mark, comments. It is parsed strictly, and what is sent is that text, with the value in it.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "B14", json!({"places": ["json:/client_secret", "json:/a~1b/0"]})).await;
    let lease = scene.lease().await;
    let ph = lease.ph("KEY");
    let post = async |body: &[u8]| {
        scene.ask(&lease, "POST", "/token", &[("Content-Type", "application/json")], body).await
    };
    let answer = post(format!("{{ \"client_secret\" : \"{ph}\", \"x\": 1.50 }}").as_bytes()).await;
    ensure!(answer.status == 200, "{}", answer.text());
    let seen = scene.last();
    let sent: serde_json::Value = serde_json::from_slice(seen.body()).unwrap();
    ensure!(sent["client_secret"] == scene.s.as_str(), "S did not arrive: {}", seen.text());
    ensure!(
        seen.header("content-length") == Some(seen.body().len().to_string()),
        "the length is not the body's"
    );
    let answer = post(format!("{{\"a/b\":[\"{ph}\"]}}").as_bytes()).await;
    ensure!(answer.status == 200 && scene.last().text().contains(&scene.s), "{}", answer.text());

    let heard = scene.seen().len();
    for body in [
        format!("{{\"client_secret\":\"x\",\"client_secret\":\"{ph}\"}}").into_bytes(),
        format!("{{\"client_secret\":\"{ph}\",\"client_secret\":\"x\"}}").into_bytes(),
        format!("{{\"client_secret\":\"x\",\"client\\u005fsecret\":\"{ph}\"}}").into_bytes(),
        format!("{{\"b\":{{\"c\":1,\"c\":2}},\"client_secret\":\"{ph}\"}}").into_bytes(),
        format!("\u{feff}{{\"client_secret\":\"{ph}\"}}").into_bytes(),
        format!("{{/* */\"client_secret\":\"{ph}\"}}").into_bytes(),
        format!("{{\"client_secret\":\"{ph}\",}}").into_bytes(),
        format!("{{'client_secret':'{ph}'}}").into_bytes(),
        format!("{{client_secret:\"{ph}\"}}").into_bytes(),
        format!("{{\"client_secret\":\"{ph}\"}} {{}}").into_bytes(),
        format!("{{\"client_secret\":\"{ph}\",\"n\":NaN}}").into_bytes(),
        format!("{{\"client_secret\":\"{ph}\",\"s\":\"\\ud800\"}}").into_bytes(),
        format!("{{\"client_secret\":\"{ph}\"").into_bytes(),
        [b"{\"x\":\"\xff\",\"client_secret\":\"", ph.as_bytes(), b"\"}"].concat(),
        format!("{{\"client_secret\":\"{ph}\"}}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
    ] {
        let answer = post(&body).await;
        ensure!(answer.status == 400, "{:?}: {}", String::from_utf8_lossy(&body), answer.status_line());
        scene.noleak("a refusal", &answer.raw)?;
    }
    ensure!(scene.seen().len() == heard, "something was sent");
    // Only the named place, however it is spelt elsewhere.
    for body in [
        format!("{{\"Client_Secret\":\"{ph}\"}}"),
        format!("{{\"x\":{{\"client_secret\":\"{ph}\"}}}}"),
        format!("[{{\"client_secret\":\"{ph}\"}}]"),
        format!("{{\"client_secret\":[\"{ph}\"]}}"),
        format!("{{\"a\":{{\"b\":[\"{ph}\"]}}}}"),
        format!("{{\"client_secret\":\"{ph} \"}}"),
        format!("{{\"{ph}\":\"client_secret\"}}"),
    ] {
        let answer = post(body.as_bytes()).await;
        ensure!(matches!(answer.status, 200 | 403), "{body}: {}", answer.text());
        if answer.status == 200 {
            crate::scene::noleak(&scene.s, &body, &scene.last().raw)?;
        }
    }
    Ok(())
}
