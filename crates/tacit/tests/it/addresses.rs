//! Addresses: what no request reaches, whatever is written and whoever allows it.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Options, Server},
    hostile::Hostile,
    refusals::Scene,
};

/// A8, A9, A10, B16: spellings with two readings are refused as they are written, before anything is looked up.
#[tokio::test]
async fn a8_to_a10_spellings() {
    let scene = Scene::new().await;
    let port = scene.good.port;
    for authority in [
        "127.0.0.1:PORT@evil.test",
        "user:pass@127.0.0.1:PORT",
        "@127.0.0.1:PORT",
        "2130706433:PORT",
        "017700000001:PORT",
        "0x7f.1:PORT",
        "0x7f000001:PORT",
        "127.1:PORT",
        "0:PORT",
        "127.0.0.1.:PORT",
        "127.0.0.1:PORT:80",
        "127.0.0.1:0",
        "127.0.0.1:99999",
        "127.0.0.1:",
        "[::1%25lo]:PORT",
        "[127.0.0.1]:PORT",
        "127.0.0.1%2f:PORT",
        "127.0.0.1\\@evil.test",
        "127。0。0。1.5:PORT",
        "a..b",
        "-a.test",
        "a_b c.test",
    ] {
        let url = format!("http://{}/v1/x", authority.replace("PORT", &port.to_string()));
        for step in [json!({"url": url}), json!({"url": url, "auth": {"secret": "STRIPE_KEY"}})] {
            scene.sent(&step).await.refused(422, "validation_failed");
        }
    }
    for path in [
        "/v1/../v2",
        "/v1/./x",
        "/v1/..",
        "/v1/%2e%2e/v2",
        "/v1/%2E%2e/v2",
        "/v1/.%2e/v2",
        "//v1/x",
        "/v1//x",
        "/v1/a%2fb",
        "/v1/a%2Fb",
        "/v1/a%5cb",
        "/v1/a\\b",
        "/v1/a;b",
        "/v1/a%3bb",
        "/v1/%00",
        "/v1/%252e%252e/v2",
        "/v1/%zz",
        "/v1/%",
        "/v1/ä",
        "/v1/a b",
        "/v1/\tx",
    ] {
        scene
            .sent(&json!({"url": scene.good.url(path), "auth": {"secret": "STRIPE_KEY"}}))
            .await
            .refused(422, "validation_failed");
    }
    for url in [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "127.0.0.1/x",
        "//127.0.0.1/x",
        "http:127.0.0.1",
        "",
        "gopher://x/",
    ] {
        scene.sent(&json!({"url": url})).await.refused(422, "validation_failed");
    }
    assert_eq!((scene.good.count(), scene.evil.count()), (0, 0));
}

/// Same as itself in another spelling: upper case, a final dot, the fragment, the default port.
#[tokio::test]
async fn a9_same_host_in_other_spellings() {
    let scene = Scene::new().await;
    for url in [format!("HTTP://127.0.0.1:{}/v1/x", scene.good.port), scene.good.url("/v1/x#@evil.test/")] {
        scene.sent(&json!({"url": url, "auth": {"secret": "STRIPE_KEY"}})).await.expect(200);
    }
    let host = format!("host: 127.0.0.1:{}", scene.good.port);
    assert!(
        scene
            .good
            .requests()
            .iter()
            .all(|request| String::from_utf8_lossy(request).to_lowercase().contains(&host))
    );
}

/// A secret that names every one of these addresses, and one request to each.
async fn refused_although_named(owner: &Client, addresses: &[(&str, &str, u16)]) {
    let destinations: Vec<Value> = addresses
        .iter()
        .map(|(scheme, host, port)| json!({"scheme": scheme, "host": host, "port": port}))
        .collect();
    let secret = json!({"name": "WANDERER", "destinations": destinations, "values": {"test": {"value": "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu"}}});
    owner.post("/secrets", secret).await.expect(201);
    for (scheme, host, port) in addresses {
        let host = if host.contains(':') { format!("[{host}]") } else { (*host).to_owned() };
        let request = json!({"environment": "test", "url": format!("{scheme}://{host}:{port}/healthz"), "auth": {"secret": "WANDERER"}, "timeout_secs": 3});
        let reply = owner.post("/requests", request).await;
        reply.refused(403, "address_blocked");
    }
    let denied = "/events?verb=secret.use&outcome=denied&object=secret:WANDERER";
    owner.event_soon(&denied[8..]).await;
    let count = async || {
        owner.get(denied).await.expect(200)["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|e| e["code"] == "address_blocked")
            .count()
    };
    while count().await < addresses.len() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A10, A11, A13, A17: metadata services, private, embedded and reserved addresses, and plain http towards the public.
#[tokio::test]
async fn a11_a13_addresses_that_are_not_called() {
    let server = Server::start().await;
    refused_although_named(
        &server.owner,
        &[
            ("http", "169.254.169.254", 80),
            ("https", "169.254.169.254", 443),
            ("http", "169.254.170.2", 80),
            ("https", "168.63.129.16", 443),
            ("https", "100.100.100.200", 443),
            ("http", "192.0.0.192", 80),
            ("http", "fd00:ec2::254", 80),
            ("https", "10.0.0.1", 443),
            ("https", "172.16.0.1", 443),
            ("https", "192.168.0.1", 443),
            ("https", "0.0.0.0", 443),
            ("https", "224.0.0.1", 443),
            ("https", "255.255.255.255", 443),
            ("https", "::", 443),
            ("https", "fe80::1", 443),
            ("https", "fc00::1", 443),
            ("https", "::ffff:127.0.0.1", 443),
            ("https", "::ffff:8.8.8.8", 443),
            ("https", "::127.0.0.1", 443),
            ("https", "64:ff9b::7f00:1", 443),
            ("https", "2002:7f00:1::", 443),
            ("http", "8.8.8.8", 80),
            ("http", "8.8.8.8", 8080),
        ],
    )
    .await;
}

/// A13, A14: the operator may allow every range there is, and Tacit's own listener and the metadata services stay out.
#[tokio::test]
async fn a14_own_listener_under_every_name() {
    for allow in [&[][..], &["--allow-private", "0.0.0.0/0,::/0"]] {
        let options =
            Options { arguments: allow.iter().map(|a| (*a).to_owned()).collect(), ..Options::default() };
        let server = Server::start_with(options).await;
        let port: u16 = server.url.rsplit(':').next().unwrap().parse().unwrap();
        let own = [
            ("http", "127.0.0.1", port),
            ("http", "::ffff:127.0.0.1", port),
            ("http", "0.0.0.0", port),
            ("http", "::", port),
            ("http", "169.254.169.254", 80),
            ("https", "168.63.129.16", 443),
            ("http", "fd00:ec2::254", 80),
        ];
        refused_although_named(&server.owner, &own).await;
        // By name, and by the addresses it does not listen on: whatever comes, it is not an answer of Tacit's.
        let names = ["localhost", "127.0.0.2", "127.255.255.254", "::1"];
        let destinations: Vec<Value> =
            names.iter().map(|host| json!({"scheme": "http", "host": host, "port": port})).collect();
        let secret = json!({"name": "ALIAS", "destinations": destinations, "values": {"test": {"value": "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu"}}});
        server.owner.post("/secrets", secret).await.expect(201);
        for host in names {
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            let request = json!({"environment": "test", "url": format!("http://{host}:{port}/healthz"), "auth": {"secret": "ALIAS"}});
            let reply = server.owner.post("/requests", request).await;
            assert!([403, 502].contains(&reply.status), "{host}: {}", reply.text);
        }
    }
}

/// A15: loopback is reached only by a literal that a destination names with its port; by name only if the operator says.
#[tokio::test]
async fn a15_loopback_must_be_named() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    let get =
        |host: &str| json!({"environment": "test", "url": format!("http://{host}:{}/raw", hostile.port)});
    server.owner.post("/requests", get("127.0.0.1")).await.refused(403, "address_blocked");
    let named = json!({"scheme": "http", "host": "localhost", "port": hostile.port});
    let secret = json!({"name": "BY_NAME", "destinations": [named], "values": {"test": {"value": "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu"}}});
    server.owner.post("/secrets", secret).await.expect(201);
    let mut request = get("localhost");
    request["auth"] = json!({"secret": "BY_NAME"});
    let reply = server.owner.post("/requests", request).await;
    assert!([403, 502].contains(&reply.status), "{}", reply.text);
    assert_eq!(hostile.count(), 0);
    let secret = json!({"name": "BY_ADDRESS", "destinations": [hostile.destination(json!({}))], "values": {"test": {"value": "Rk2Sl7Tm4Un9Vo1Wp6Xq3Yr8Zs5At0Bu"}}});
    server.owner.post("/secrets", secret).await.expect(201);
    server.owner.post("/requests", get("127.0.0.1")).await.expect(200);
}

/// A16: wildcards that anybody could slip under, and destinations that are none, cannot be saved.
#[tokio::test]
async fn a16_destinations_that_cannot_be_saved() {
    let server = Server::start().await;
    for (number, destination) in [
        json!({"host": "*"}),
        json!({"host": "*.com"}),
        json!({"host": "*.co.uk"}),
        json!({"host": "*.github.io"}),
        json!({"host": "*.s3.amazonaws.com"}),
        json!({"host": "api.*.com"}),
        json!({"host": "a*.example.com"}),
        json!({"host": "https://api.stripe.com"}),
        json!({"host": "api.stripe.com:443"}),
        json!({"host": "api.stripe.com/v1"}),
        json!({"host": "user@api.stripe.com"}),
        json!({"host": "2130706433"}),
        json!({"host": "127.1"}),
        json!({"host": ""}),
        json!({}),
        json!({"host": "a.test", "port": 0}),
        json!({"host": "a.test", "port": 70000}),
        json!({"host": "a.test", "scheme": "gopher"}),
        json!({"host": "a.test", "methods": ["TRACE"]}),
        json!({"host": "a.test", "methods": ["get"]}),
        json!({"host": "a.test", "places": []}),
        json!({"host": "a.test", "places": ["header:Host"]}),
        json!({"host": "a.test", "places": ["header:Cookie"]}),
        json!({"host": "a.test", "places": ["anywhere"]}),
        json!({"host": "a.test", "paths": ["v1"]}),
        json!({"host": "a.test", "paths": ["/v1/../v2"]}),
        json!({"host": "a.test", "paths": ["/v1/**/x"]}),
        json!({"host": "a.test", "paths": ["/v1/a*"]}),
        json!({"host": "a.test", "paths": ["/v1?x=1"]}),
        json!({"host": "a.test", "environments": ["No Such"]}),
        json!({"host": "a.test", "response": "everything"}),
        json!({"host": "a.test", "exclusive": "yes"}),
        json!({"host": "a.test", "hosts": ["b.test"]}),
    ]
    .into_iter()
    .enumerate()
    {
        let secret = json!({"name": format!("N{number}"), "destinations": [destination]});
        let reply = server.owner.post("/secrets", secret).await;
        assert_eq!(reply.status, 422, "{destination}: {}", reply.text);
        assert_eq!(reply.json()["code"], "validation_failed", "{destination}");
    }
}
