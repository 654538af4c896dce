//! N10: under a base URL every service has the same origin, Tacit's. A relative address in an answer leads a client that
//! follows it to another service, with its headers, or to the API.

use crate::{
    client::{Answer, Conn, request},
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "N10", serde_json::json!({"paths": ["/v1/**"]})).await;
    let lease = scene.lease().await;
    let bearer = lease.bearer("KEY");
    let here = format!("http://{}/to/{}/{}/v1/a/b", lease.proxy, lease.token, scene.authority());
    let base = url::Url::parse(&here).unwrap();
    let own = lease.proxy.to_string();
    let get = async |path: &str| -> Answer {
        let mut conn = Conn::open(lease.proxy).await;
        conn.write(request("GET", path, &own, &[("Authorization", &bearer), ("Referer", &here)], b"")).await;
        conn.answer().await
    };
    let secrets = format!("../../../../../v1/workspaces/{}/secrets", scene.workspace);
    for (what, location, status) in [
        ("another host", format!("../../../{}/v1/x", scene.evil_authority()), 403),
        ("another host and a user", format!("../../../x@{}/v1/x", scene.evil_authority()), 400),
        ("another path", "../../admin".to_owned(), 403),
        ("the API", secrets, 401),
        ("the metrics", "../../../../../metrics".to_owned(), 401),
        ("this service", "c?d=e".to_owned(), 200),
    ] {
        let heard = scene.seen().len();
        let to = location.clone();
        scene.on("/v1/a/b", move |_| {
            vec![answer("302 Found", &format!("location: {to}\r\nset-cookie: a=b\r\n"), b"")]
        });
        let told = get(base.path()).await;
        ensure!(told.status == 302 && told.header("set-cookie").is_none(), "{what}: {}", told.head);
        let followed = base.join(&told.header("location").unwrap_or_default()).unwrap();
        let path = followed[url::Position::BeforePath..].to_owned();
        let answer = get(&path).await;
        scene.noleak(what, &answer.raw)?;
        ensure!(answer.status == status, "{what} ({path}): {} {}", answer.status_line(), answer.text());
        let seen = scene.seen().split_off(heard + 1);
        ensure!(seen.len() == usize::from(status == 200), "{what}: {} more requests arrived", seen.len());
        ensure!(
            seen.iter().all(|seen| !seen.text().contains(&lease.token)),
            "{what}: the lease's token was sent on"
        );
        ensure!(scene.evil_count() == 0, "{what}: the evil host was called");
    }
    scene.nosend()
}
