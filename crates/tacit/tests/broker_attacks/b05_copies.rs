//! B5: a second copy of the placeholder, or of the header that it stands in. One occurrence in one header.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "B5").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let (ph, bearer) = (lease.ph("KEY"), lease.bearer("KEY"));
    let basic = format!("Basic {}", STANDARD.encode(format!("u:{ph}")));
    for headers in [
        &[("Authorization", bearer.as_str()), ("Authorization", &bearer)][..],
        &[("Authorization", &bearer), ("authorization", "Bearer other")],
        &[("Authorization", "Bearer other"), ("Authorization", &bearer)],
        &[("Authorization", &bearer), ("Authorization", "")],
        &[("Authorization", &bearer), ("X-Api-Key", ph)],
        &[("Authorization", &basic), ("Authorization", &basic)],
        &[("Authorization", &basic), ("Authorization", &bearer)],
        &[("X-Api-Key", ph), ("X-Api-Key", ph)],
        &[("X-Api-Key", ph), ("Api-Key", ph)],
    ] {
        let answer = scene.ask(&lease, "GET", "/", headers, b"").await;
        let code = answer.code();
        ensure!(
            ["placement_not_allowed", "foreign_credential"].contains(&code.as_str()),
            "{headers:?}: {code}"
        );
        scene.deny(&answer, 403, &code).await?;
    }
    ensure!(scene.seen().len() == 1, "something was sent");
    Ok(())
}
