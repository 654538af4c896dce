//! B18: a body that is not what its `Content-Type` says, so that another field is read than was judged. What does
//! not parse as what it says it is, is refused; and nothing is put into it.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "B18", json!({"places": ["json:/token", "form:token"]})).await;
    let lease = scene.lease().await;
    let ph = lease.ph("KEY");
    let (json_type, form_type) = ("application/json", "application/x-www-form-urlencoded");
    let (json_body, form_body) = (format!("{{\"token\":\"{ph}\"}}"), format!("a=b&token={ph}"));
    for (content_type, body) in [(json_type, &json_body), (form_type, &form_body)] {
        let answer = scene.ask(&lease, "POST", "/", &[("Content-Type", content_type)], body.as_bytes()).await;
        ensure!(answer.status == 200, "{content_type}: {}", answer.text());
        ensure!(scene.last().text().contains(&scene.s), "S did not arrive as {content_type}");
        scene.noleak("the echo", &answer.raw)?;
    }
    for (content_type, body) in [
        (json_type, form_body.clone()),
        (json_type, format!("token={ph}")),
        (json_type, String::new()),
        ("application/vnd.api+json", form_body.clone()),
        (form_type, format!("token={ph}%zz")),
        (form_type, format!("token={ph}&x=%ff")),
    ] {
        let heard = scene.seen().len();
        let answer = scene.ask(&lease, "POST", "/", &[("Content-Type", content_type)], body.as_bytes()).await;
        ensure!(answer.status == 400, "{content_type} {body}: {}", answer.status_line());
        ensure!(scene.seen().len() == heard, "it was sent");
    }
    // JSON read as a form has one odd name and no field; two types are none.
    for headers in [
        &[("Content-Type", form_type)][..],
        &[("Content-Type", "text/plain")],
        &[("Content-Type", "text/plain"), ("Content-Type", json_type)],
        &[("Content-Type", json_type), ("Content-Type", "text/plain")],
        &[("Content-Type", "application/json, text/plain")],
        &[],
    ] {
        let answer = scene.ask(&lease, "POST", "/", headers, json_body.as_bytes()).await;
        ensure!(matches!(answer.status, 200 | 400 | 403), "{headers:?}: {}", answer.text());
        if answer.status == 200 {
            crate::scene::noleak(&scene.s, &format!("{headers:?}"), &scene.last().raw)?;
        }
    }
    Ok(())
}
