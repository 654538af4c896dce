//! F2, F4, G9: who shares a connection, and for how long.

use std::time::Duration;

use http::{Method, header};
use tacit_broker::wire::{
    Blocked, Naming, OutboundRequest, PoolKey, ResponseRule, Scrubbed, Wire, WireError,
};

use crate::wire::{Act, KEY, LIMITS, LONG, SHORT, Upstream, request, response, scan, send, wire, write};

async fn with_key(wire: &Wire, upstream: &Upstream, key: PoolKey) -> Scrubbed {
    let connection = wire.connect(key, &upstream.target(), Naming::Named, LONG).await.unwrap();
    let received = connection.send(request(), LONG).await.unwrap();
    received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap()
}

async fn echoing_connection() -> Upstream {
    Upstream::start(|seen| vec![write(response("", seen.connection.to_string().as_bytes()))]).await
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let upstream = echoing_connection().await;
    let wire = wire();
    for _ in 0..5 {
        assert_eq!(with_key(&wire, &upstream, KEY).await.body, b"0");
    }
    assert_eq!((upstream.connections(), wire.idle_connections()), (1, 1));
}

#[tokio::test]
async fn f2_two_keys_two_sockets() {
    let upstream = echoing_connection().await;
    let wire = wire();
    let (a, b) = (PoolKey([1; 32]), PoolKey([2; 32]));
    for _ in 0..3 {
        assert_eq!(with_key(&wire, &upstream, a).await.body, b"0");
        assert_eq!(with_key(&wire, &upstream, b).await.body, b"1");
    }
    assert_eq!((upstream.connections(), wire.idle_connections()), (2, 2));
}

/// Another port or scheme is another target, whatever the key.
#[tokio::test]
async fn f2_targets_do_not_share() {
    let (one, two) = (echoing_connection().await, echoing_connection().await);
    let wire = wire();
    with_key(&wire, &one, KEY).await;
    with_key(&wire, &two, KEY).await;
    assert_eq!((one.connections(), two.connections()), (1, 1));
}

#[tokio::test]
async fn only_a_clean_connection_is_parked() {
    let close = b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 2\r\n\r\nok".to_vec();
    let old = b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
    // More than the response: the beginning of an answer to a request that was not made.
    let surplus = [response("", b"ok"), response("", b"poison")].concat();
    for bytes in [close, old, surplus] {
        let upstream = Upstream::start(move |_| vec![write(&bytes)]).await;
        let wire = wire();
        for n in 1..3 {
            assert_eq!(with_key(&wire, &upstream, KEY).await.body, b"ok");
            assert_eq!(upstream.connections(), n);
        }
        assert_eq!(wire.idle_connections(), 0);
    }
    // A body that was not read to its end.
    let upstream = echoing_connection().await;
    let wire = wire();
    drop(send(&wire, &upstream, request()).await.unwrap());
    assert_eq!(wire.idle_connections(), 0);
}

/// F2: an answer that was sent ahead of its question is not taken for one.
#[tokio::test]
async fn f2_an_answer_ahead_of_its_question() {
    let upstream = Upstream::start(|seen| {
        let answer = write(response("", seen.connection.to_string().as_bytes()));
        vec![answer, Act::Wait(Duration::from_millis(100)), write(response("", b"poison"))]
    })
    .await;
    let wire = wire();
    assert_eq!(with_key(&wire, &upstream, KEY).await.body, b"0");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(with_key(&wire, &upstream, KEY).await.body, b"1");
}

/// A server that hangs up after each response, a moment later: a reused connection may be dead.
async fn hangs_up_on_second_request() -> Upstream {
    Upstream::start(|seen| match seen.nth {
        0 => vec![write(response("", b"first"))],
        1 => vec![Act::Close],
        _ => vec![write(response("", b"again"))],
    })
    .await
}

#[tokio::test]
async fn i8_an_idempotent_request_is_sent_again() {
    let upstream = hangs_up_on_second_request().await;
    let wire = wire();
    assert_eq!(with_key(&wire, &upstream, KEY).await.body, b"first");
    assert_eq!(with_key(&wire, &upstream, KEY).await.body, b"again");
    assert_eq!((upstream.connections(), upstream.requests()), (2, 3));
}

#[tokio::test]
async fn i8_a_post_is_sent_once() {
    let upstream = hangs_up_on_second_request().await;
    let wire = wire();
    with_key(&wire, &upstream, KEY).await;
    let post = send(&wire, &upstream, OutboundRequest::new(Method::POST, "/")).await;
    assert_eq!(post.unwrap_err(), WireError::UpstreamFailed);
    assert_eq!((upstream.connections(), upstream.requests()), (1, 2));
}

/// After the first byte of a response, or on a fresh connection, nothing is sent twice.
#[tokio::test]
async fn i8_only_before_the_first_byte_and_only_once() {
    let upstream = Upstream::start(|seen| match seen.nth {
        0 => vec![write(response("", b"first"))],
        _ => vec![write("HTTP/1.1 2"), Act::Close],
    })
    .await;
    let wire = wire();
    with_key(&wire, &upstream, KEY).await;
    assert_eq!(send(&wire, &upstream, request()).await.unwrap_err(), WireError::UpstreamFailed);
    assert_eq!(upstream.requests(), 2);

    let upstream = Upstream::start(|_| vec![Act::Close]).await;
    assert_eq!(send(&wire, &upstream, request()).await.unwrap_err(), WireError::UpstreamFailed);
    assert_eq!(upstream.requests(), 1);
}

/// A connection that a destination allowed is not there for a request without one.
#[tokio::test]
async fn a15_a_parked_connection_is_vetted_again() {
    let upstream = echoing_connection().await;
    let wire = wire();
    with_key(&wire, &upstream, KEY).await;
    let connected = wire.connect(KEY, &upstream.target(), Naming::NotNamed, LONG).await;
    assert_eq!(connected.unwrap_err(), WireError::AddressBlocked(Blocked::Loopback));
}

#[tokio::test]
async fn g9_parked_connections_can_be_closed() {
    let upstream = echoing_connection().await;
    let wire = wire();
    with_key(&wire, &upstream, KEY).await;
    wire.close_idle();
    assert_eq!(wire.idle_connections(), 0);
    assert_eq!(with_key(&wire, &upstream, KEY).await.body, b"1");
}

/// A request that was given up takes its connection with it: its answer must not meet the next question.
#[tokio::test]
async fn f2_an_abandoned_request() {
    let upstream = Upstream::start(|seen| {
        vec![
            Act::Wait(Duration::from_millis(400)),
            write(response("", seen.connection.to_string().as_bytes())),
        ]
    })
    .await;
    let wire = wire();
    let connection = wire.connect(KEY, &upstream.target(), Naming::Named, LONG).await.unwrap();
    assert!(connection.send(request(), SHORT).await.is_err());
    assert_eq!(wire.idle_connections(), 0);
    assert_eq!(with_key(&wire, &upstream, KEY).await.body, b"1");
}

/// Requests at the same time each have their own connection; the pool keeps a bounded number of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once() {
    let upstream = Upstream::start(|seen| {
        let path = seen.head.split(' ').nth(1).unwrap().to_owned();
        vec![write(response("", path.as_bytes()))]
    })
    .await;
    let wire = wire();
    let target = upstream.target();
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let (wire, target) = (wire.clone(), target.clone());
            tokio::spawn(async move {
                for round in 0..10 {
                    let connection = wire.connect(KEY, &target, Naming::Named, LONG).await.unwrap();
                    let mut request = OutboundRequest::new(Method::GET, format!("/{n}/{round}"));
                    request.headers.insert(header::ACCEPT, header::HeaderValue::from_static("*/*"));
                    let received = connection.send(request, LONG).await.unwrap();
                    let scrubbed = received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap();
                    assert_eq!(scrubbed.body, format!("/{n}/{round}").into_bytes());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(wire.idle_connections() <= 64);
}
