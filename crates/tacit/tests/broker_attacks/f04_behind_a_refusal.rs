//! F4: a second request right behind one that is refused. After a refusal the connection ends; nothing behind it is
//! read.

use crate::{
    client::{Conn, request},
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "F4", serde_json::json!({"paths": ["/v1/**"]})).await;
    let lease = scene.lease().await;
    let (host, bearer) = (scene.authority(), lease.bearer("KEY"));
    let credentials = lease.credentials();
    let good = request("GET", "/v1/behind", &host, &[("Authorization", &bearer)], b"");
    for refused in [
        request("GET", "/v2", &host, &[("Authorization", &bearer)], b""),
        request("POST", "/v2", &host, &[("Authorization", &bearer)], &good),
        request("GET", "/v1/x", &host, &[("Authorization", "Bearer foreign")], b""),
        request("GET", "/v1/x", &scene.evil_authority(), &[("Authorization", &bearer)], b""),
        request("TRACE", "/v1/x", &host, &[("Authorization", &bearer)], b""),
        request("GET", "/v1/..", &host, &[("Authorization", &bearer)], b""),
    ] {
        let mut conn = lease.tunnel(&host).await;
        conn.write([refused.clone(), good.clone(), good.clone()].concat()).await;
        let answer = conn.answer().await;
        ensure!(answer.status >= 400, "not refused: {}", answer.status_line());
        ensure!(
            answer.header("connection").as_deref() == Some("close"),
            "it does not say that it closes: {}",
            answer.head
        );
        let (rest, is_closed) = conn.rest().await;
        ensure!(
            is_closed && rest.is_empty(),
            "what came behind was answered: {}",
            String::from_utf8_lossy(&rest)
        );
    }
    // On the way to the proxy, too.
    let behind = request(
        "GET",
        &format!("http://{host}/v1/behind"),
        &host,
        &[("Authorization", &bearer), ("Proxy-Authorization", &credentials)],
        b"",
    );
    let mut conn = Conn::open(lease.proxy).await;
    conn.write([request("GET", &format!("http://{host}/v1/x"), &host, &[], b""), behind].concat()).await;
    let answer = conn.answer().await;
    ensure!(answer.status == 407, "{}", answer.status_line());
    let (rest, is_closed) = conn.rest().await;
    ensure!(is_closed && rest.is_empty(), "what came behind was answered");
    ensure!(!scene.seen().iter().any(|seen| seen.line().contains("behind")), "what came behind was sent");
    // Two good ones in a row are both answered, in their order.
    let mut conn = lease.tunnel(&host).await;
    conn.write([good.clone(), good].concat()).await;
    ensure!(
        conn.answer().await.status == 200 && conn.answer().await.status == 200,
        "pipelining does not work at all"
    );
    Ok(())
}
