//! N8: a relay's connection needs no token any more. It must be had with the token of its own lease alone, stay that
//! lease's whatever its requests say, and end with it; and what was sent behind a refused one is no request.

use crate::{
    client::{Answer, Conn, request},
    ensure,
    lease::Lease,
    scene::{Scene, Verdict},
    world::World,
};

/// Asks for the relay of a lease with some token, and sends more in the same breath.
async fn ask(scene: &Scene, of: &Lease, token: &str, upgrade: &str, behind: &[u8]) -> (Conn, Answer) {
    let mut conn = Conn::open(of.proxy).await;
    let path = format!("/v1/workspaces/{}/leases/{}/relay", scene.workspace, of.id);
    let token = format!("Bearer {token}");
    let headers = [("Authorization", token.as_str()), ("Connection", "Upgrade"), ("Upgrade", upgrade)];
    conn.write([request("GET", &path, &of.proxy.to_string(), &headers, b""), behind.to_vec()].concat()).await;
    let answer = conn.answer().await;
    (conn, answer)
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "N8").await;
    let lease = scene.lease().await;
    let theirs = scene.lease_for(&scene.p2, &["KEY"]).await;
    let (host, evil, own) = (scene.authority(), scene.evil_authority(), lease.proxy.to_string());
    let (bearer, credentials) = (lease.bearer("KEY"), lease.credentials());
    let get = |bearer: &str, more: &[(&str, &str)]| {
        let headers = [&[("Authorization", bearer)][..], more].concat();
        request("GET", &format!("http://{host}/x"), &host, &headers, b"")
    };

    // Whose token opens it.
    let behind = get(&bearer, &[]);
    for (what, token) in [
        ("another lease's", theirs.token.as_str()),
        ("the principal's own", &scene.p.token),
        ("the owner's", &scene.owner.token),
        ("a placeholder", lease.ph("KEY")),
        ("none", ""),
    ] {
        let (mut conn, answer) = ask(&scene, &lease, token, "tacit-proxy", &behind).await;
        ensure!(answer.status == 401, "{what}: {} {}", answer.status_line(), answer.text());
        let (rest, _) = {
            conn.finish().await;
            conn.rest().await
        };
        let rest = String::from_utf8_lossy(&rest).into_owned();
        ensure!(!rest.starts_with("HTTP/1.1 2"), "{what}: what came behind was answered: {rest}");
    }
    for upgrade in ["websocket", "h2c", "tacit-proxy, websocket"] {
        let (_, answer) = ask(&scene, &lease, &lease.token, upgrade, &behind).await;
        ensure!(answer.status == 422 || answer.status == 400, "{upgrade}: {}", answer.status_line());
    }
    ensure!(scene.seen().is_empty(), "something was sent");

    // What it is afterwards: this lease's, whatever else its requests name.
    let (mut conn, answer) = ask(&scene, &lease, &lease.token, "tacit-proxy", &behind).await;
    ensure!(answer.status == 101, "{}", answer.text());
    ensure!(conn.answer().await.status == 200, "what came right behind was lost");
    let foreign = theirs.credentials();
    for (what, bytes, status, code) in [
        ("its own", get(&bearer, &[("Proxy-Authorization", &credentials)]), 200, ""),
        ("another's credentials beside it", get(&bearer, &[("Proxy-Authorization", &foreign)]), 200, ""),
        (
            "another's placeholder",
            get(&theirs.bearer("KEY"), &[("Proxy-Authorization", &foreign)]),
            422,
            "unknown_reference",
        ),
        (
            "a base URL of its own",
            request("GET", &format!("/to/-/{host}/x"), &own, &[("Authorization", &bearer)], b""),
            200,
            "",
        ),
        (
            "a base URL sent to it as a proxy",
            request(
                "GET",
                &format!("http://127.0.0.1:1/to/-/{host}/x"),
                "127.0.0.1:1",
                &[("Authorization", &bearer)],
                b"",
            ),
            200,
            "",
        ),
        (
            "a base URL in a base URL",
            request(
                "GET",
                &format!("http://127.0.0.1:1/to/-/127.0.0.1:1/to/-/{host}/x"),
                "127.0.0.1:1",
                &[("Authorization", &bearer)],
                b"",
            ),
            403,
            "destination_not_allowed",
        ),
        (
            "a base URL to another host",
            request(
                "GET",
                &format!("http://127.0.0.1:1/to/-/{evil}/x"),
                "127.0.0.1:1",
                &[("Authorization", &bearer)],
                b"",
            ),
            403,
            "destination_not_allowed",
        ),
        (
            "a base URL of another host",
            request(
                "GET",
                &format!("http://{evil}/to/-/{host}/x"),
                &evil,
                &[("Authorization", &bearer)],
                b"",
            ),
            403,
            "destination_not_allowed",
        ),
        (
            "dots in a base URL",
            request(
                "GET",
                &format!("http://127.0.0.1:1/to/-/{host}/v1/../x"),
                "127.0.0.1:1",
                &[("Authorization", &bearer)],
                b"",
            ),
            400,
            "validation_failed",
        ),
        (
            "another's placeholder under another's token",
            request(
                "GET",
                &format!("/to/{}/{host}/x", theirs.token),
                &lease.proxy.to_string(),
                &[("Authorization", &theirs.bearer("KEY"))],
                b"",
            ),
            422,
            "unknown_reference",
        ),
        (
            "the API",
            request(
                "GET",
                "/v1/workspaces",
                &lease.proxy.to_string(),
                &[("Authorization", &format!("Bearer {}", scene.owner.token))],
                b"",
            ),
            404,
            "not_found",
        ),
        (
            "a relay on a relay",
            request(
                "GET",
                &format!("/v1/workspaces/n8/leases/{}/relay", lease.id),
                &lease.proxy.to_string(),
                &[
                    ("Authorization", &format!("Bearer {}", lease.token)),
                    ("Connection", "Upgrade"),
                    ("Upgrade", "tacit-proxy"),
                ],
                b"",
            ),
            0,
            "",
        ),
    ] {
        let heard = scene.seen().len();
        let (mut conn, _) = ask(&scene, &lease, &lease.token, "tacit-proxy", &bytes).await;
        let answer = conn.answer().await;
        scene.noleak(what, &answer.raw)?;
        let is_right = if status == 0 {
            answer.status >= 400
        } else {
            (answer.status, answer.code().as_str()) == (status, code)
        };
        ensure!(is_right, "{what}: {} {}", answer.status_line(), answer.text());
        let seen = scene.seen().split_off(heard);
        ensure!(seen.len() == usize::from(status == 200), "{what}: {} requests arrived", seen.len());
        ensure!(
            seen.iter().all(|seen| !seen.text().contains("tct_ls_")),
            "{what}: a lease's token was sent on"
        );
    }

    // It ends with the lease, in the middle of a tunnel too.
    let (mut idle, _) = ask(&scene, &lease, &lease.token, "tacit-proxy", b"").await;
    let (mut busy, _) =
        ask(&scene, &lease, &lease.token, "tacit-proxy", &request("CONNECT", &host, &host, &[], b"")).await;
    ensure!(busy.head().await.status == 200, "no tunnel on a relay");
    let mut busy = busy.tls(&scene.good, &lease.ca_pem, &[b"http/1.1"]).await?;
    scene.p.delete(&format!("/leases/{}", lease.id)).await.expect(204);
    let heard = scene.seen().len();
    idle.write(&behind).await;
    busy.write(request("GET", "/x", &host, &[("Authorization", &bearer)], b"")).await;
    for conn in [&mut idle, &mut busy] {
        let answer = conn.answer().await;
        ensure!(
            answer.status == 0 || answer.status == 401 || answer.status == 407,
            "after its end: {}",
            answer.status_line()
        );
        let (_, is_closed) = conn.rest().await;
        ensure!(is_closed, "a relay outlives its lease");
    }
    ensure!(scene.seen().len() == heard, "something was sent after the end");
    ensure!(
        ask(&scene, &lease, &lease.token, "tacit-proxy", b"").await.1.status == 401,
        "a relay of an ended lease"
    );
    // A base URL without a token is a relay's alone.
    for (path, host) in [
        (format!("/to/-/{host}/x"), &own),
        (format!("http://127.0.0.1:1/to/-/{host}/x"), &"127.0.0.1:1".to_owned()),
    ] {
        let mut conn = Conn::open(theirs.proxy).await;
        conn.write(request("GET", &path, host, &[("Authorization", &theirs.bearer("KEY"))], b"")).await;
        let answer = conn.answer().await;
        ensure!(matches!(answer.status, 401 | 407), "{path}: {}", answer.status_line());
    }
    scene.nosend()
}
