//! D7: UTF-16 and UTF-32, which a client may ask for. `Accept-Charset` is not sent on, and zero bytes are looked
//! past.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "D7").await;
    let lease = scene.lease().await;
    for (name, body) in [
        ("utf16-le", wide(&scene.s, false, false)),
        ("utf16-be", wide(&scene.s, true, false)),
        ("utf16-bom", wide(&scene.s, false, true)),
    ] {
        scene.on("/wide", move |_| {
            vec![answer("200 OK", "content-type: text/plain; charset=utf-16\r\n", &body)]
        });
        for seen in scene.observe_noleak(&lease, "/wide").await? {
            ensure!(seen.status == 200, "{name} by {}: {}", seen.how, seen.body);
        }
    }
    for name in ["utf16-le", "utf16-be", "utf32"] {
        scene.observe_noleak(&lease, &format!("/as/{name}")).await?;
    }
    let bearer = lease.bearer("KEY");
    let headers = [("Authorization", bearer.as_str()), ("Accept-Charset", "utf-16")];
    let seen = scene.ask(&lease, "GET", "/works", &headers, b"").await;
    ensure!(
        seen.status == 200 && scene.last().header("accept-charset").is_none(),
        "Accept-Charset was sent on"
    );
    Ok(())
}

fn wide(text: &str, is_big_endian: bool, has_mark: bool) -> Vec<u8> {
    let units = has_mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if is_big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}
