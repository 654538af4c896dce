//! B13: placeholders in a prompt or a file, where nobody means anything by them. They pass unchanged, however many.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "B13").await;
    let lease = scene.lease().await;
    let mut prompt = String::new();
    for number in 0..50 {
        prompt.push_str(&".".repeat(21_000));
        prompt.push_str(&format!(
            " {number}: my key is {} and Authorization: {} ",
            lease.ph("KEY"),
            lease.bearer("KEY")
        ));
    }
    let body = format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]}}");
    assert!(body.len() > 1 << 20);
    let bearer = lease.bearer("KEY");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    scene.on("/v1/messages", |_| crate::upstream::text("ok"));
    let answer = scene.ask(&lease, "POST", "/v1/messages", &headers, body.as_bytes()).await;
    ensure!(answer.status == 200, "{}", answer.text());
    let seen = scene.last();
    ensure!(seen.header("authorization") == Some(format!("Bearer {}", scene.s)), "S did not arrive");
    ensure!(seen.body() == body.as_bytes(), "the prompt was changed");
    ensure!(seen.header("content-length") == Some(body.len().to_string()), "another length");
    Ok(())
}
