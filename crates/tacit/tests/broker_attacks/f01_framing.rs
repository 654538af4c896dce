//! F1: requests that two parsers cut in two ways: two lengths, a length beside chunks, line ends that are none. All
//! are refused; the framing that goes out is generated.

use crate::{
    client::Conn,
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "F1").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let (host, bearer) = (scene.authority(), lease.bearer("KEY"));
    let smuggled = format!("GET /smuggled HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\n\r\n");
    let heads = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        "Content-Length : 5\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "X: y\r\n folded\r\n",
        " X: y\r\n",
        "X: y\r\n\tTransfer-Encoding: chunked\r\n",
        "X\0: y\r\n",
        "X: \0\r\n",
        ": y\r\n",
        "X y\r\n",
        "X: a\rb\r\n",
    ];
    let heard = scene.seen().len();
    for head in heads {
        for is_inside in [true, false] {
            let (mut conn, target) = if is_inside {
                (lease.tunnel(&host).await, "/f1".to_owned())
            } else {
                (Conn::open(lease.proxy).await, format!("http://{host}/f1"))
            };
            let credentials = if is_inside {
                String::new()
            } else {
                format!("Proxy-Authorization: {}\r\n", lease.credentials())
            };
            let start =
                format!("POST {target} HTTP/1.1\r\nHost: {host}\r\n{credentials}Authorization: {bearer}\r\n");
            conn.write(format!("{start}{head}\r\n0\r\n\r\n{smuggled}")).await;
            let answer = conn.answer().await;
            ensure!(
                matches!(answer.status, 400 | 501),
                "{head:?} (in a tunnel: {is_inside}): {}",
                answer.status_line()
            );
            let (rest, is_closed) = conn.rest().await;
            ensure!(is_closed && rest.is_empty(), "{head:?}: it goes on after that");
        }
    }
    ensure!(scene.seen().len() == heard, "something was sent: {:?}", scene.last().line());
    // Chunked bodies with tricks in their framing.
    for body in [
        "5;x\n\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhelloXX0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
    ] {
        let mut conn = lease.tunnel(&host).await;
        let start = format!(
            "POST /f1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        conn.write(format!("{start}{body}{smuggled}")).await;
        let answer = conn.answer().await;
        ensure!(!(200..300).contains(&answer.status), "{body:?}: {}", answer.text());
    }
    ensure!(!scene.seen().iter().any(|seen| seen.line().contains("smuggled")), "a request was smuggled");
    // Plain chunks are fine, and go out in a framing of our own: extensions and trailers stay here.
    let mut conn = lease.tunnel(&host).await;
    let start = format!(
        "POST /f1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    conn.write(format!("{start}5;a=b\r\nhello\r\n0\r\nX-Trailer: {}\r\n\r\n", lease.ph("KEY"))).await;
    let answer = conn.answer().await;
    let sent = scene.last().text();
    ensure!(matches!(answer.status, 200 | 400 | 422), "{}", answer.text());
    ensure!(
        answer.status != 200
            || (sent.contains("hello")
                && !sent.to_lowercase().contains("x-trailer")
                && !sent.contains("a=b")),
        "{sent}"
    );
    Ok(())
}
