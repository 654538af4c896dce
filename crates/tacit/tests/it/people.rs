//! People: invitations, signing in, second factors, sessions, cookies, limits; and what a membership may become.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    harness::{Client, Server},
    totp,
};

const PASSWORD: &str = "correct horse battery staple";

/// Somebody with an account, a role and a session.
pub(crate) async fn person(server: &Server, workspace: &Client, name: &str, role: &str) -> Client {
    let made = workspace.post("/invitations", json!({"name": name, "role": role})).await.expect(201);
    let accept = json!({"token": made["token"], "password": PASSWORD});
    Client::new(&server.url, "").post("/v1/invitations/accept", accept).await.expect(201);
    sign_in(server, name, workspace).await
}

async fn sign_in(server: &Server, name: &str, workspace: &Client) -> Client {
    let made = try_sign_in(server, name, PASSWORD, None).await.expect(201);
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("tct_u_"));
    Client {
        name: format!("user:{name}"),
        ..Client::new(&server.url, token).in_workspace(&workspace.workspace)
    }
}

async fn try_sign_in(
    server: &Server,
    name: &str,
    password: &str,
    code: Option<&str>,
) -> crate::harness::Reply {
    let mut body = json!({"name": name, "password": password});
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    Client::new(&server.url, "").post("/v1/sessions", body).await
}

/// An invitation counts once, for a while, and for no more than its inviter could give; it makes an account and never
/// changes one.
#[tokio::test]
async fn invitations() {
    let server = Server::start().await;
    let (owner, nobody) = (&server.owner, Client::new(&server.url, ""));
    for name in ["anna", "anna example.com", "@x", "x@", "a@b@c", "a:b@c"] {
        owner.post("/invitations", json!({"name": name})).await.refused(422, "validation_failed");
    }
    let made = owner.post("/invitations", json!({"name": "Anna@example.com", "role": "editor"})).await;
    let (id, token) = (made.expect(201)["id"].clone(), made.json()["token"].as_str().unwrap().to_owned());
    assert!(token.starts_with("tct_iv_"));
    let listed = owner.get("/invitations").await;
    assert!(listed.text.contains("Anna@example.com") && !listed.text.contains(&token));
    // It is no token of any other kind.
    Client::new(&server.url, &token).get("/secrets").await.refused(401, "unauthenticated");
    let accept = |token: &str, password: &str| json!({"token": token, "password": password});
    for short in ["short", "aaaaaaaaaaaaaaaa", "anna@example.com"] {
        nobody.post("/v1/invitations/accept", accept(&token, short)).await.refused(422, "validation_failed");
    }
    let joined = nobody.post("/v1/invitations/accept", accept(&token, PASSWORD)).await.expect(201);
    assert_eq!((&joined["workspace"], &joined["name"]), (&json!("default"), &json!("Anna@example.com")));
    nobody.post("/v1/invitations/accept", accept(&token, PASSWORD)).await.refused(401, "unauthenticated");
    nobody.post("/v1/invitations/accept", accept("tct_iv_x", PASSWORD)).await.refused(401, "unauthenticated");
    owner.delete(&format!("/invitations/{}", id.as_str().unwrap())).await.refused(404, "not_found");
    let anna = sign_in(&server, "ANNA@example.com", owner).await;
    let me = anna.get("/v1/whoami").await.expect(200);
    assert_eq!((&me["kind"], &me["workspaces"][0]["role"]), (&json!("user"), &json!("editor")));
    assert_eq!(owner.newest_event("verb=member.add").await["actor"], "user:Anna@example.com");
    owner.post("/invitations", json!({"name": "anna@EXAMPLE.com"})).await.refused(409, "name_taken");
    anna.post("/invitations", json!({"name": "x@example.com"})).await.refused(403, "forbidden");
    // Another workspace: the account is there, so its password counts and is not replaced.
    owner.post("/v1/workspaces", json!({"name": "other"})).await.expect(201);
    let other = owner.in_workspace("other");
    let token =
        other.post("/invitations", json!({"name": "anna@example.com", "role": "owner"})).await.expect(201);
    let token = token["token"].as_str().unwrap().to_owned();
    nobody
        .post("/v1/invitations/accept", accept(&token, "another long password"))
        .await
        .refused(401, "unauthenticated");
    nobody.post("/v1/invitations/accept", accept(&token, PASSWORD)).await.expect(201);
    assert_eq!(anna.get("/v1/whoami").await.expect(200)["workspaces"].as_array().unwrap().len(), 2);
    // What an inviter may not give (any more) is not accepted, nor what was taken back or has ended.
    let admin = person(&server, owner, "admin@example.com", "admin").await;
    admin
        .post("/invitations", json!({"name": "boss@example.com", "role": "owner"}))
        .await
        .refused(403, "forbidden");
    let orphan =
        admin.post("/invitations", json!({"name": "late@example.com", "role": "admin"})).await.expect(201);
    owner.patch("/members/admin@example.com", json!({"role": "member"})).await.expect(200);
    let orphan = orphan["token"].as_str().unwrap();
    nobody.post("/v1/invitations/accept", accept(orphan, PASSWORD)).await.refused(401, "unauthenticated");
    let back = owner.post("/invitations", json!({"name": "back@example.com"})).await.expect(201);
    owner.delete(&format!("/invitations/{}", back["id"].as_str().unwrap())).await.expect(204);
    let back = back["token"].as_str().unwrap();
    nobody.post("/v1/invitations/accept", accept(back, PASSWORD)).await.refused(401, "unauthenticated");
    assert!(!owner.get("/members").await.text.contains("late@example.com"));
    for (path, bytes) in server.files() {
        let found = bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        assert!(!found, "a password in {}", path.display());
    }
    assert!(!server.log().contains(PASSWORD) && !server.log().contains(&token));
}

/// A revocation counts from the next request on: sign-out, sign-out everywhere, another password, removal, another role.
#[tokio::test]
async fn sessions_end_at_once() {
    let server = Server::start().await;
    let owner = &server.owner;
    let first = person(&server, owner, "anna@example.com", "admin").await;
    let second = sign_in(&server, "anna@example.com", owner).await;
    let third = sign_in(&server, "anna@example.com", owner).await;
    for client in [&first, &second, &third] {
        client.get("/secrets").await.expect(200);
    }
    let listed = third.get("/v1/sessions").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
    assert!(listed["items"][0]["current"] == true && !listed.to_string().contains("tct_"));
    first.delete("/v1/sessions/current").await.expect(204);
    first.get("/secrets").await.refused(401, "unauthenticated");
    second.get("/secrets").await.expect(200);
    // Another's session is as absent as none.
    let eve = person(&server, owner, "eve@example.com", "member").await;
    let id = second.get("/v1/sessions").await.expect(200)["items"][1]["id"].as_str().unwrap().to_owned();
    eve.delete(&format!("/v1/sessions/{id}")).await.refused(404, "not_found");
    // Another password ends the others, and not the one that set it.
    let other = "another correct horse";
    let change = json!({"current": "wrong", "new": other});
    third.put("/v1/account/password", change).await.refused(401, "unauthenticated");
    third.put("/v1/account/password", json!({"current": PASSWORD, "new": other})).await.expect(204);
    second.get("/secrets").await.refused(401, "unauthenticated");
    third.get("/secrets").await.expect(200);
    try_sign_in(&server, "anna@example.com", PASSWORD, None).await.refused(401, "unauthenticated");
    let again = try_sign_in(&server, "anna@example.com", other, None).await.expect(201);
    let again = Client::new(&server.url, again["token"].as_str().unwrap());
    third.delete("/v1/sessions").await.expect(204);
    for client in [&third, &again] {
        client.get("/v1/whoami").await.refused(401, "unauthenticated");
    }
    // A role and a membership, too.
    owner.patch("/members/eve@example.com", json!({"role": "auditor"})).await.expect(200);
    eve.get("/events").await.expect(200);
    owner.patch("/members/eve@example.com", json!({"role": "member"})).await.expect(200);
    eve.get("/events").await.refused(403, "forbidden");
    let agent = eve.post("/agent-sessions", json!({"name": "helper"})).await.expect(201);
    let agent = Client::new(&server.url, agent["token"].as_str().unwrap());
    assert!(agent.get("/v1/workspaces").await.text.contains("default"));
    owner.delete("/members/eve@example.com").await.expect(204);
    eve.get("/secrets").await.refused(404, "not_found");
    agent.get("/secrets").await.refused(404, "not_found");
    assert!(!agent.get("/v1/workspaces").await.text.contains("default"));
    assert!(eve.get("/v1/whoami").await.expect(200)["workspaces"].as_array().unwrap().is_empty());
    for verb in ["session.create", "session.delete", "password.change", "member.update", "member.remove"] {
        assert!(!owner.newest_event(&format!("verb={verb}")).await.is_null(), "{verb}");
    }
}

/// One answer for an unknown account, a wrong password and a wrong code, which takes as long; tries are limited by account,
/// whether there is one or not.
#[tokio::test]
async fn guessing() {
    let server = Server::start().await;
    person(&server, &server.owner, "anna@example.com", "member").await;
    let mut bodies = Vec::new();
    let mut times = [Duration::ZERO; 2];
    for (at, name) in ["anna@example.com", "nobody@example.com"].iter().cycle().take(12).enumerate() {
        let started = Instant::now();
        let reply = try_sign_in(&server, name, "a wrong password", None).await;
        times[at % 2] += started.elapsed();
        let mut body = reply.refused(401, "unauthenticated");
        body.as_object_mut().unwrap().remove("request_id");
        bodies.push(body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let ratio = times[0].as_secs_f64() / times[1].as_secs_f64();
    // Without the same work for nobody it would be some hundred times less; a busy machine makes no such difference.
    assert!((0.1..10.0).contains(&ratio), "{times:?}");
    for name in ["anna@example.com", "nobody@example.com", " not a name "] {
        let mut refused = 0;
        // Twice as many as of an account: she is signed in here, and has tries of her own.
        for _ in 0..18 {
            let reply = try_sign_in(&server, name, "a wrong password", None).await;
            if reply.status == 429 {
                assert!(reply.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
                refused += 1;
            }
        }
        assert!(refused > 0, "{name}");
    }
    // And nobody has much read before they are known.
    let big = "x".repeat(100_000);
    try_sign_in(&server, "anna@example.com", &big, None).await.refused(413, "payload_too_large");
    let accept = json!({"token": "tct_iv_x", "password": big});
    let nobody = Client::new(&server.url, "");
    nobody.post("/v1/invitations/accept", accept).await.refused(413, "payload_too_large");
    // Whoever used them all up is kept out with the right password too, and in another spelling.
    try_sign_in(&server, "ANNA@example.com", PASSWORD, None).await.refused(429, "rate_limited");
    let denied = server.owner.event_soon("verb=session.create&outcome=denied").await;
    assert_eq!(denied["object"], "member:anna@example.com");
}

/// A second factor: begun, confirmed, needed, each code once; recovery codes once each; removed only with one.
#[tokio::test]
async fn second_factor() {
    let server = Server::start().await;
    let anna = person(&server, &server.owner, "anna@example.com", "member").await;
    let sign = async |code: Option<&str>| try_sign_in(&server, "anna@example.com", PASSWORD, code).await;
    anna.post("/v1/account/second-factor", json!({"password": "wrong"}))
        .await
        .refused(401, "unauthenticated");
    let begun = anna.post("/v1/account/second-factor", json!({"password": PASSWORD})).await.expect(201);
    let secret = begun["secret"].as_str().unwrap().to_owned();
    assert!(begun["uri"].as_str().unwrap().contains(&secret));
    sign(None).await.expect(201); // It does not count yet.
    anna.post("/v1/account/second-factor/confirm", json!({"code": "000000"})).await;
    // The code of the step before: then that of this step is still to be had.
    let earlier = totp::code(&secret, totp::now() - 30);
    let other = sign(None).await.expect(201);
    let other = Client::new(&server.url, other["token"].as_str().unwrap());
    other.get("/v1/whoami").await.expect(200);
    let codes = anna.post("/v1/account/second-factor/confirm", json!({"code": earlier})).await.expect(200);
    // Where she is signed in without it, she is not any more.
    other.get("/v1/whoami").await.refused(401, "unauthenticated");
    let codes: Vec<String> = serde_json::from_value(codes["recovery_codes"].clone()).unwrap();
    assert_eq!(codes.len(), 10);
    sign(None).await.refused(401, "unauthenticated");
    sign(Some(&earlier)).await.refused(401, "unauthenticated");
    let code = totp::code_now(&secret);
    sign(Some(&code)).await.expect(201);
    // Neither it nor one before it counts again, however it is written.
    for again in [&code, &earlier, &format!(" {code}"), &format!("{}-{}", &code[..3], &code[3..])] {
        sign(Some(again)).await.refused(401, "unauthenticated");
    }
    sign(Some(&codes[0].to_uppercase())).await.expect(201);
    sign(Some(&codes[0])).await.refused(401, "unauthenticated");
    let account = anna.get("/v1/account").await.expect(200);
    assert_eq!((&account["has_second_factor"], &account["recovery_codes"]), (&json!(true), &json!(9)));
    anna.post("/v1/account/second-factor", json!({"password": PASSWORD})).await.refused(409, "name_taken");
    let disable = |code: &str| json!({"password": PASSWORD, "code": code});
    anna.post("/v1/account/second-factor/disable", disable(&codes[0])).await.refused(401, "unauthenticated");
    let renewed = anna.post("/v1/account/recovery-codes", disable(&codes[1])).await.expect(200);
    let renewed: Vec<String> = serde_json::from_value(renewed["recovery_codes"].clone()).unwrap();
    sign(Some(&codes[2])).await.refused(401, "unauthenticated");
    anna.post("/v1/account/second-factor/disable", disable(&renewed[0])).await.expect(204);
    sign(None).await.expect(201);
    for (path, bytes) in server.files() {
        for hidden in [&secret, &renewed[1]] {
            let found = bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

/// A browser's cookie: no script sees it, no other site sends it, no token takes its place, and it writes only from our own
/// pages.
#[tokio::test]
async fn cookies() {
    let server = Server::start().await;
    person(&server, &server.owner, "anna@example.com", "editor").await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({"name": "anna@example.com", "password": PASSWORD, "kind": "cookie"});
    let sign_in = async |origin: Option<&str>| {
        let mut request = http.post(format!("{}/v1/sessions", server.url)).json(&body);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.send().await.unwrap()
    };
    for origin in
        [None, Some("https://evil.test"), Some("null"), Some(&*server.url.replace("127.0.0.1", "localhost"))]
    {
        assert_eq!(sign_in(origin).await.status(), 403, "{origin:?}");
    }
    let reply = sign_in(Some(&server.url)).await;
    assert_eq!(reply.status(), 201);
    let set = reply.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(set.contains(part), "{set}");
    }
    let answer: Value = reply.json().await.unwrap();
    assert!(answer.get("token").is_none());
    let cookie = set.split(';').next().unwrap().to_owned();
    let send = async |method: &str, path: &str, origin: Option<&str>, cookie: &str| {
        let url = format!("{}/v1/workspaces/default{path}", server.url);
        let mut request = http.request(method.parse().unwrap(), url).header("cookie", cookie);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        if method == "POST" {
            request = request.json(&json!({"name": "V"}));
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send("GET", "/secrets", None, &cookie).await, 200);
    for origin in [None, Some("https://evil.test"), Some("null"), Some("http://127.0.0.1:1")] {
        assert_eq!(send("POST", "/variables", origin, &cookie).await, 403, "{origin:?}");
    }
    assert_eq!(send("POST", "/variables", Some(&server.url), &cookie).await, 201);
    // Twice is an attempt to slip one in, and a token is no cookie, nor a cookie a token.
    assert_eq!(send("GET", "/secrets", None, &format!("{cookie}; {cookie}")).await, 401);
    let token = &server.owner.token;
    assert_eq!(send("GET", "/secrets", None, &format!("tacit_session={token}")).await, 401);
    let text = cookie.split_once('=').unwrap().1;
    Client::new(&server.url, text).get("/secrets").await.refused(401, "unauthenticated");
}

/// The last owner stays, whatever is tried; an admin does all but owners' membership; nobody raises themselves.
#[tokio::test]
async fn members() {
    let server = Server::start().await;
    let owner = &server.owner;
    for change in [json!({"role": "admin"}), json!({"until": "2099-01-01T00:00:00Z"})] {
        owner.patch("/members/owner", change).await.refused(409, "last_owner");
    }
    owner.delete("/members/owner").await.refused(409, "last_owner");
    let admin = person(&server, owner, "admin@example.com", "admin").await;
    let second = person(&server, owner, "second@example.com", "owner").await;
    for (method, name, body) in [
        ("PATCH", "owner", json!({"role": "member"})),
        ("PATCH", "second@example.com", json!({"role": "admin"})),
        ("PATCH", "second@example.com", json!({"until": "2099-01-01T00:00:00Z"})),
        ("PATCH", "admin@example.com", json!({"role": "owner"})),
        ("DELETE", "second@example.com", Value::Null),
    ] {
        let body = (!body.is_null()).then_some(body);
        admin.send(method, &format!("/members/{name}"), body).await.refused(403, "forbidden");
    }
    let editor = person(&server, owner, "editor@example.com", "editor").await;
    // Nor on somebody who is above them by a grant, until it is withdrawn.
    let grant = json!({"role": "owner", "to": "user:editor@example.com", "scope": {"environment": "test"}});
    let grant = owner.post("/grants", grant).await.expect(201);
    admin.patch("/members/editor@example.com", json!({"role": "member"})).await.refused(403, "forbidden");
    admin.delete("/members/editor@example.com").await.refused(403, "forbidden");
    owner.delete(&format!("/grants/{}", grant["id"].as_str().unwrap())).await.expect(204);
    admin.patch("/members/editor@example.com", json!({"role": "owner"})).await.refused(403, "forbidden");
    admin.patch("/members/editor@example.com", json!({"role": "operator"})).await.expect(200);
    editor.patch("/members/editor@example.com", json!({"role": "editor"})).await.refused(403, "forbidden");
    editor.delete("/members/admin@example.com").await.refused(403, "forbidden");
    admin.patch("/members/nobody@example.com", json!({"role": "member"})).await.refused(404, "not_found");
    // An owner whose membership ends is none that counts.
    owner.patch("/members/second@example.com", json!({"until": "2099-01-01T00:00:00Z"})).await.expect(200);
    owner.delete("/members/owner").await.refused(409, "last_owner");
    // And lengthening one's own is giving oneself more.
    second.patch("/members/second@example.com", json!({"until": null})).await.refused(403, "forbidden");
    owner.patch("/members/second@example.com", json!({"until": null})).await.expect(200);
    owner.patch("/members/owner", json!({"role": "member"})).await.expect(200);
    owner.patch("/members/owner", json!({"role": "owner"})).await.refused(403, "forbidden");
    second.delete("/members/second@example.com").await.refused(409, "last_owner");
    second.patch("/members/owner", json!({"role": "owner"})).await.expect(200);
    second.delete("/members/second@example.com").await.expect(204);
    // Everybody may leave.
    editor.delete("/members/editor@example.com").await.expect(204);
    editor.get("/secrets").await.refused(404, "not_found");
    // A custom role of a member is a role like any other; who has it keeps it from being deleted.
    owner.post("/roles", json!({"name": "looker", "rights": ["secret.list"]})).await.expect(201);
    owner.patch("/members/admin@example.com", json!({"role": "LOOKER"})).await.expect(200);
    admin.get("/secrets").await.expect(200);
    owner.delete("/roles/looker").await.refused(409, "role_in_use");
    // A membership ends at its time.
    let soon = jiff_in(2);
    owner.patch("/members/admin@example.com", json!({"until": soon})).await.expect(200);
    admin.get("/secrets").await.expect(200);
    owner.post("/grants", json!({"role": "auditor", "to": "user:admin@example.com"})).await.expect(201);
    let standing = owner.get("/members/admin@example.com/access").await.expect(200);
    assert_eq!(standing["rights"], json!(["secret.list", "audit.read"]));
    tokio::time::sleep(Duration::from_millis(2300)).await;
    admin.get("/secrets").await.refused(404, "not_found");
    // Its grants with it, and that is what is explained.
    let standing = owner.get("/members/admin@example.com/access").await.expect(200);
    assert_eq!((&standing["rights"], &standing["because"]), (&json!([]), &json!([])));
    assert!(admin.get("/v1/whoami").await.expect(200)["workspaces"].as_array().unwrap().is_empty());
    assert!(admin.get("/v1/workspaces").await.expect(200)["items"].as_array().unwrap().is_empty());
}

/// A time in so many seconds, as the API takes it.
pub(crate) fn jiff_in(secs: u64) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{}", totp::now() + secs), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
