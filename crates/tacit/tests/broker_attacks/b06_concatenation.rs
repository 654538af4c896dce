//! B6: something beside the placeholder in its place, which a service might cut off, log or look up. The place is the
//! whole value; a Basic pair is decoded strictly and built anew.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "B6").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let ph = lease.ph("KEY");
    let pair = |text: &str| STANDARD.encode(text);
    let mut canonical = pair(&format!("u:{ph}"));
    let mut values = vec![
        format!("Bearer {ph}x"),
        format!("Bearer x{ph}"),
        format!("Bearer {ph}, evil"),
        format!("Bearer {ph},{ph}"),
        format!("Bearer {ph} {ph}"),
        format!("Bearer {ph};q=1"),
        format!("Bearer  {ph}"),
        format!("Bearer\t{ph}"),
        format!("Bearer \"{ph}\""),
        format!("Bearer a {ph}"),
        format!("{ph} Bearer"),
        ph.to_owned(),
        format!("Bearer=%20{ph}"),
        format!("Digest username=\"u\", response=\"{ph}\""),
        format!("AWS4-HMAC-SHA256 Credential={ph}/x"),
        format!("Basic {ph}x"),
        format!("Basic {}", pair(&format!("u:{ph}x"))),
        format!("Basic {}", pair(&format!("{ph}:{ph}"))),
        format!("Basic {}", pair(&format!("a:b:{ph}"))),
        format!("Basic {}", pair(&format!("u:{ph}\n"))),
        format!("Basic {}", pair(&format!("{ph}:mine"))),
        format!("Basic {}", pair(&format!("{ph}:x:"))),
        format!("Basic {}", pair(&format!("x{ph}:"))),
        format!("Basic {}", pair(ph)),
        format!("Basic {}", pair(&format!("u\r\nX: y:{ph}"))),
        format!("Basic  {canonical}"),
        format!("Basic {canonical} "),
        format!("Basic {canonical}, {canonical}"),
    ];
    // Not the one spelling that encoding yields.
    let sloppy = format!("uu:{ph}");
    values.push(format!("Basic {}", STANDARD_NO_PAD.encode(&sloppy)).trim_end_matches('=').to_owned());
    values.push(format!("Basic {}", URL_SAFE.encode(format!("u>?:{ph}"))));
    if canonical.ends_with("==") {
        let at = canonical.len() - 3;
        let next = char::from(canonical.as_bytes()[at] + 1).to_string();
        canonical.replace_range(at..=at, &next);
        values.push(format!("Basic {canonical}"));
    }
    for value in &values {
        // A trailing blank is trimmed by every parser, and what is left is the placeholder alone.
        let is_trimmed = value.ends_with(' ');
        let heard = scene.seen().len();
        let answer = scene.ask(&lease, "GET", "/", &[("Authorization", value)], b"").await;
        if is_trimmed && answer.status == 200 {
            continue;
        }
        ensure!(
            matches!(answer.status, 400 | 403 | 422),
            "{value:?}: {} {}",
            answer.status_line(),
            answer.text()
        );
        scene.noleak("a refusal", &answer.raw)?;
        ensure!(scene.seen().len() == heard, "{value:?} was sent");
    }
    let answer = scene.ask(&lease, "GET", "/", &[("Authorization", &format!("Bearer {ph}x"))], b"").await;
    scene.deny(&answer, 403, "placement_not_allowed").await?;
    let answer = scene.ask(&lease, "GET", "/", &[("X-Api-Key", &format!("x{ph}"))], b"").await;
    scene.deny(&answer, 403, "placement_not_allowed").await?;

    // The right way round.
    for (user, sent) in
        [(format!("u:{ph}"), format!("u:{}", scene.s)), (format!("{ph}:"), format!("{}:", scene.s))]
    {
        let answer =
            scene.ask(&lease, "GET", "/", &[("Authorization", &format!("Basic {}", pair(&user)))], b"").await;
        ensure!(answer.status == 200, "{}", answer.text());
        ensure!(
            scene.last().header("authorization") == Some(format!("Basic {}", pair(&sent))),
            "not rebuilt"
        );
        scene.noleak("the echo of a pair", &answer.raw)?;
    }
    Ok(())
}
