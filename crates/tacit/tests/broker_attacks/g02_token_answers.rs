//! G2: the answer of a token endpoint holds a fresh access token and a refresh token, as good as the secret. They
//! ought to become sealed secrets of their own.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict, noleak, random_text},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene =
        Scene::with(world, "G2", json!({"places": ["form:client_secret"], "paths": ["/oauth/token"]})).await;
    let lease = scene.lease().await;
    let (access, refresh) = (random_text(40), random_text(40));
    let tokens =
        json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer"}).to_string();
    scene.on("/oauth/token", move |_| {
        vec![answer("200 OK", "content-type: application/json\r\n", tokens.as_bytes())]
    });
    let form = format!("grant_type=client_credentials&client_secret={}", lease.ph("KEY"));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let seen = scene.ask(&lease, "POST", "/oauth/token", &headers, form.as_bytes()).await;
    assert_eq!(seen.status, 200, "{}", seen.text());
    assert!(scene.last().text().contains(&scene.s), "S did not arrive");
    noleak(&access, "the answer (access token)", &seen.raw)?;
    noleak(&refresh, "the answer (refresh token)", &seen.raw)?;
    ensure!(seen.text().contains("access_token"), "nothing stands for the token: {}", seen.text());
    Ok(())
}
