//! B1: the placeholder in headers that are no place of its secret. In one that carries a credential that is
//! refused; in all others it is text.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "B1").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let ph = lease.ph("KEY");
    for header in [
        "Referer",
        "User-Agent",
        "Accept",
        "Accept-Language",
        "Origin",
        "From",
        "Via",
        "Traceparent",
        "Tracestate",
        "Baggage",
        "X-Request-Id",
        "X-B3-TraceId",
        "X-Forwarded-For",
        "X-Forwarded-User",
        "Forwarded",
        "X-Real-Ip",
        "X-Custom",
        "Idempotency-Key",
        "If-Match",
        "Content-Type",
        "Content-Language",
        "X-Amz-Meta-A",
        "Date",
    ] {
        for value in [ph.to_owned(), format!("a {ph} b"), format!("Bearer {ph}")] {
            let heard = scene.seen().len();
            let answer = scene.ask(&lease, "GET", "/", &[(header, &value)], b"").await;
            ensure!(answer.status == 200, "{header}: {}", answer.text());
            let seen = scene.seen();
            ensure!(seen.len() == heard + 1, "{header}: not sent");
            ensure!(!seen[heard].text().contains(&scene.s[8..24]), "S was put into {header}: {value}");
            scene.noleak(header, &answer.raw)?;
        }
    }
    for header in ["Cookie", "X-Secret", "X-My-Token", "X-Amz-Security-Token", "X-Access-Key", "X-Session"] {
        let heard = scene.seen().len();
        let answer = scene.ask(&lease, "GET", "/", &[(header, ph)], b"").await;
        scene.deny(&answer, 403, "placement_not_allowed").await?;
        ensure!(scene.seen().len() == heard, "{header} was sent");
    }
    // What is meant for the proxy is not for the upstream; there too a placeholder is a copy.
    let bearer = lease.bearer("KEY");
    for (name, value, status) in [
        ("Proxy-Authorization", bearer.as_str(), 403),
        ("Proxy-Secret", ph, 403),
        ("Proxy-Authorization", "Bearer of something else", 200),
        ("Proxy-Connection", "keep-alive", 200),
    ] {
        let answer = scene.ask(&lease, "GET", "/", &[("Authorization", &bearer), (name, value)], b"").await;
        ensure!(answer.status == status, "{name}: {}", answer.text());
        let sent = scene.last().text().to_lowercase();
        ensure!(!sent.contains("proxy-"), "{name} was sent on: {sent}");
    }
    // The well-known credential headers are the same place as `Authorization`.
    for header in ["X-Api-Key", "Api-Key", "X-Auth-Token", "Private-Token"] {
        let answer = scene.ask(&lease, "GET", "/", &[(header, ph)], b"").await;
        ensure!(answer.status == 200, "{header}: {}", answer.text());
        ensure!(scene.last().header(header).as_deref() == Some(&scene.s), "S did not arrive in {header}");
    }
    Ok(())
}
