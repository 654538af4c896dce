//! G5: the broker signs, so it could be made to sign what the attacker wants, or to show what it signed with. It signs its
//! own requests to where the destination leads, and neither the signature nor the day's key comes back.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use serde_json::{Value, json};

use crate::{
    ensure,
    scene::{Scene, Verdict, noleak},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "G5").await;
    let destination = scene.destination(json!({"places": ["signature"], "paths": ["/bucket/**"]}));
    let fields = json!({"access_key_id": "AKIATEST", "secret_access_key": scene.s});
    scene.secret("BUCKET", "access_key", json!([destination]), fields).await;
    let endpoint = format!("https://{}", scene.authority());
    let steps = |bucket: &str, action: Value| {
        let mut storage = json!({"endpoint": endpoint, "bucket": bucket, "auth": {"secret": "BUCKET"}});
        storage.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
        json!([{"id": "a", "storage": storage}])
    };

    // A service that knows the key and sends back all there is: the request, the signature, the key of the day.
    let s = scene.s.clone();
    scene.on("/bucket/echo", move |seen| {
        let authorization = seen.header("authorization").unwrap_or_default();
        let date = seen.header("x-amz-date").unwrap_or_default();
        let day = day_key(&s, &date[..8]);
        let hex: String = day.iter().map(|byte| format!("{byte:02x}")).collect();
        let body = format!("{}\n{authorization}\n{hex}\n{s}", seen.text());
        vec![answer("200 OK", &format!("x-echo: {authorization}\r\netag: {hex}\r\n"), body.as_bytes())]
    });
    let run = scene.run("echo", steps("bucket", json!({"get": {"key": "echo"}})), json!({})).await;
    ensure!(run["status"] == "succeeded", "{run}");
    let seen = scene.last();
    ensure!(!seen.text().contains(&scene.s), "the key itself was sent");
    let authorization = seen.header("authorization").unwrap_or_default();
    let signature = authorization.rsplit("Signature=").next().unwrap_or_default().to_owned();
    ensure!(signature.len() == 64, "it was not signed: {authorization}");
    let day: String = day_key(&scene.s, &seen.header("x-amz-date").unwrap()[..8])
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for (what, text) in
        [("the key", scene.s.clone()), ("the signature", signature), ("the key of the day", day)]
    {
        noleak(&text, what, run.to_string().as_bytes())?;
    }

    // A list that tears the key apart, where only reading puts it together.
    let s = scene.s.clone();
    scene.on("/bucket", move |_| {
        let torn: String = s
            .as_bytes()
            .chunks(7)
            .map(|piece| format!("<![CDATA[{}]]>", String::from_utf8_lossy(piece)))
            .collect();
        let body = format!(
            "<ListBucketResult><Contents><Key>{torn}</Key><Size>1</Size></Contents></ListBucketResult>"
        );
        vec![answer("200 OK", "content-type: application/xml\r\n", body.as_bytes())]
    });
    let run = scene.run("torn", steps("bucket", json!({"list": {}})), json!({})).await;
    scene.noleak("a list", run.to_string().as_bytes())?;

    // Nothing is signed for elsewhere, and nothing but requests.
    for (bucket, key) in [("other", "a"), ("bucket2", "a")] {
        let run = scene.run("other", steps(bucket, json!({"get": {"key": key}})), json!({})).await;
        ensure!(run["steps"][0]["error"]["code"] == "destination_not_allowed", "{run}");
    }
    for key in ["../other/a", "a/../../other/a", "a//b"] {
        let run = scene
            .run(
                "climbs",
                steps("bucket", json!({"put": {"key": "{{input.key}}", "content": "x"}})),
                json!({"key": key}),
            )
            .await;
        ensure!(run["steps"][0]["error"]["code"] == "validation_failed", "{key}: {run}");
    }
    for step in [
        json!({"url": scene.url("/bucket/a"), "auth": {"secret": "BUCKET"}}),
        json!({"url": scene.url("/bucket/a"), "headers": {"X-To-Sign": "{{secrets.BUCKET}}"}}),
        json!({"url": scene.url("/bucket/a"), "headers": {"Authorization": "AWS4-HMAC-SHA256 {{secrets.BUCKET}}"}}),
    ] {
        scene.deny_reply(&scene.sealed(&step).await, 403, "placement_not_allowed").await?;
    }
    Ok(())
}

fn day_key(secret: &str, date: &str) -> Vec<u8> {
    let mac = |key: &[u8], text: &str| sign(&Key::new(HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec();
    let first = format!("AWS4{secret}").into_bytes();
    [date, "us-east-1", "s3", "aws4_request"].iter().fold(first, |key, part| mac(&key, part))
}
