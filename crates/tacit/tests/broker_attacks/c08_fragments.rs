//! C8: error messages that quote a part of the value. Fragments of sixteen unpredictable characters are redacted;
//! fifteen are not, which is documented and the line that has to be somewhere.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::{answer, text},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C8").await;
    let lease = scene.lease().await;
    let secret = scene.s.clone();
    let unpredictable = &secret[8..];
    for length in [16, 17, 20, 24, 31] {
        for from in [0, 1, 32 - length] {
            let fragment = unpredictable[from..from + length].to_owned();
            // In brackets: a character that happens to continue the fragment would be taken for more of it.
            scene.on("/quoted", move |_| {
                let body = format!("invalid key <{fragment}>");
                vec![answer(
                    "200 OK",
                    &format!("x-key: {fragment}\r\nx-{fragment}: key\r\n"),
                    body.as_bytes(),
                )]
            });
            for seen in scene.observe(&lease, "/quoted").await {
                scene.noleak(&format!("{length} characters from {from} by {}", seen.how), &seen.bytes)?;
                ensure!(seen.body.contains("invalid key <[sealed:KEY]>"), "{}: {}", seen.how, seen.body);
            }
        }
    }
    // With the public prefix, and masked in the middle.
    for (shown, is_redacted) in [
        (secret[..8 + 16].to_owned(), true),
        (secret[..8 + 12].to_owned(), false),
        (format!("{}***{}", &secret[..8 + 16], &secret[36..]), true),
        (unpredictable[..15].to_owned(), false),
        (unpredictable[17..].to_owned(), false),
    ] {
        let quoted = shown.clone();
        scene.on("/masked", move |_| text(&quoted));
        for seen in scene.observe(&lease, "/masked").await {
            scene.noleak(&format!("{} by {}", shown.len(), seen.how), &seen.bytes)?;
            ensure!(seen.body.contains("[sealed:KEY]") == is_redacted, "{}: {}", seen.how, seen.body);
        }
    }
    Ok(())
}
