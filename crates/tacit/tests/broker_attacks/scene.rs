//! What one case has for itself: a workspace, hosts below `good.test` and `evil.test`, the value S, the attacker P
//! with `use` but not `reveal`, and a second one. Beside it the vocabulary of the attack list: `noleak`, `nosend`,
//! `deny`.

use std::{
    io::Read,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    client::Answer,
    disguise::Detector,
    harness::{Client, Reply},
    lease::{Lease, Way},
    upstream::{Act, Seen},
    world::World,
};

/// What a case says: the attack was stopped, or how it got through.
pub(crate) type Verdict = Result<(), String>;

/// The attack gets through if this does not hold. (What panics is the test itself, and no verdict.)
#[macro_export]
macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

/// One case's part of the world.
pub(crate) struct Scene {
    pub(crate) world: &'static World,
    pub(crate) workspace: String,
    pub(crate) owner: Client,
    /// The attacker: may use, may not reveal.
    pub(crate) p: Client,
    /// Another one like that.
    pub(crate) p2: Client,
    /// The value that is after.
    pub(crate) s: String,
    /// Hosts without port.
    pub(crate) good: String,
    pub(crate) evil: String,
    /// The newest refusal on the record that was looked at.
    denied: AtomicI64,
}

/// What somebody saw of one exchange.
pub(crate) struct Observed {
    pub(crate) how: &'static str,
    /// The upstream's status, or that of a refusal.
    pub(crate) status: u16,
    /// Everything.
    pub(crate) bytes: Vec<u8>,
    /// The body as text.
    pub(crate) body: String,
    /// Whether it came to its end.
    pub(crate) is_whole: bool,
}

impl Scene {
    /// `KEY` is a bearer token that may go to the good host as `auth`, in `test`.
    pub(crate) async fn new(world: &'static World, case: &str) -> Self {
        Self::with(world, case, json!({})).await
    }

    /// The same, with more said about the destination.
    pub(crate) async fn with(world: &'static World, case: &str, more: Value) -> Self {
        let workspace = case.to_lowercase();
        world.owner.post("/v1/workspaces", json!({"name": workspace})).await.expect(201);
        let owner = world.owner.in_workspace(&workspace);
        let (good, evil) = (format!("{workspace}.good.test"), format!("{workspace}.evil.test"));
        let scene = Self {
            p: account(world, &owner, "p", "editor").await,
            p2: account(world, &owner, "p2", "editor").await,
            s: random_value(),
            denied: AtomicI64::new(-1),
            world,
            workspace,
            owner,
            good,
            evil,
        };
        world.plant(&scene.workspace, &scene.s);
        let value = json!({"token": scene.s});
        scene.secret("KEY", "bearer_token", json!([scene.destination(more)]), value).await;
        // Somebody has a secret for the evil host: it can be reached, so that what does not arrive there was not sent.
        let own = [
            json!({"host": scene.evil, "port": world.evil.port, "exclusive": false}),
            json!({"host": scene.evil, "scheme": "http", "port": world.evil.plain_port, "exclusive": false}),
        ];
        scene.secret("EVIL_KEY", "text", json!(own), json!({"value": random_value()})).await;
        scene
    }

    /// The good host as a destination, with more said about it.
    pub(crate) fn destination(&self, more: Value) -> Value {
        let mut destination = json!({"host": self.good, "port": self.world.good.port});
        for (name, value) in more.as_object().unwrap() {
            destination[name] = value.clone();
        }
        destination
    }

    /// Saves a secret with a value in `test`.
    pub(crate) async fn secret(&self, name: &str, kind: &str, destinations: Value, fields: Value) -> Value {
        let secret =
            json!({"name": name, "type": kind, "destinations": destinations, "values": {"test": fields}});
        self.owner.post("/secrets", secret).await.expect(201)
    }

    /// Saves a text secret for the good host with a random value, and returns the value.
    pub(crate) async fn text_secret(&self, name: &str, more: Value) -> String {
        let value = random_value();
        self.world.plant(&self.workspace, &value);
        let destinations = json!([self.destination(more)]);
        self.secret(name, "text", destinations, json!({"value": value})).await;
        value
    }

    /// A lease of P's for `KEY`.
    pub(crate) async fn lease(&self) -> Lease {
        self.lease_for(&self.p, &["KEY"]).await
    }

    /// A lease of somebody's.
    pub(crate) async fn lease_for(&self, client: &Client, secrets: &[&str]) -> Lease {
        let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
        self.lease_with(client, json!({"environment": "test", "secrets": secrets})).await
    }

    /// A lease that is asked for in full.
    pub(crate) async fn lease_with(&self, client: &Client, body: Value) -> Lease {
        let given = client.post("/leases", body).await.expect(201);
        Lease::new(self.world.address, &given)
    }

    /// `host:port` of the good host.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.good, self.world.good.port)
    }

    /// `host:port` of the evil one.
    pub(crate) fn evil_authority(&self) -> String {
        format!("{}:{}", self.evil, self.world.evil.port)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.authority())
    }

    pub(crate) fn evil_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.evil_authority())
    }

    /// What the good host does for a path.
    pub(crate) fn on(&self, path: &str, script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) {
        self.world.good.on(&self.good, path, script);
    }

    /// The requests that the good host got so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.world.good.seen(&self.good)
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the good host got nothing")
    }

    /// How many requests the evil host got.
    pub(crate) fn evil_count(&self) -> usize {
        self.world.evil.seen(&self.evil).len()
    }

    /// A request of P's through the proxy, in one of its three forms, to the good host.
    pub(crate) async fn via(
        &self,
        way: Way,
        lease: &Lease,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        lease.send(way, method, &self.authority(), path, headers, body).await
    }

    /// A request through a tunnel.
    pub(crate) async fn ask(
        &self,
        lease: &Lease,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.via(Way::Tunnel, lease, method, path, headers, body).await
    }

    /// GET with `KEY` as bearer through a tunnel.
    pub(crate) async fn get(&self, lease: &Lease, path: &str) -> Answer {
        self.ask(lease, "GET", path, &[("Authorization", &lease.bearer("KEY"))], b"").await
    }

    /// What is meant to work does work: S arrives at the good host, and the answer at the client.
    pub(crate) async fn works(&self, lease: &Lease) {
        let heard = self.seen().len();
        let answer = self.get(lease, "/works").await;
        assert_eq!(answer.status, 200, "the legitimate request was refused: {}", answer.text());
        let seen = self.seen();
        assert_eq!(seen.len(), heard + 1);
        assert_eq!(seen[heard].header("authorization"), Some(format!("Bearer {}", self.s)));
    }

    /// Sends a sealed request as P.
    pub(crate) async fn sealed(&self, step: &Value) -> Reply {
        self.sealed_as(&self.p, step).await
    }

    pub(crate) async fn sealed_as(&self, client: &Client, step: &Value) -> Reply {
        let mut request = step.clone();
        if request.get("environment").is_none() {
            request["environment"] = json!("test");
        }
        client.post("/requests", request).await
    }

    /// Publishes steps as P and runs them to the end.
    pub(crate) async fn run(&self, name: &str, steps: Value, input: Value) -> Value {
        let saved = self.p.put(&format!("/automations/{name}"), json!({"steps": steps})).await;
        assert!([200, 201].contains(&saved.status), "{}", saved.text);
        let start = json!({"environment": "test", "input": input});
        self.p.post(&format!("/automations/{name}/runs?wait=20"), start).await.expect(201)
    }

    /// GET with `KEY` in every way there is: what was seen each time.
    pub(crate) async fn observe(&self, lease: &Lease, path: &str) -> Vec<Observed> {
        let mut observed = Vec::new();
        for way in Way::ALL {
            let bearer = lease.bearer("KEY");
            let answer = self.via(way, lease, "GET", path, &[("Authorization", &bearer)], b"").await;
            observed.push(Observed {
                how: way.name(),
                status: answer.status,
                body: answer.text(),
                is_whole: answer.is_whole,
                bytes: answer.raw,
            });
        }
        let reply = self.sealed(&json!({"url": self.url(path), "auth": {"secret": "KEY"}})).await;
        let told = reply.json();
        let body = told["body"].as_str().map_or_else(|| told["body"].to_string(), str::to_owned);
        let status = told["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        observed.push(Observed {
            how: "a sealed request",
            status: status.unwrap_or(reply.status),
            body,
            is_whole: reply.status == 200,
            bytes: format!("{:?}\n{}", reply.headers, reply.text).into_bytes(),
        });
        observed
    }

    /// Observes a path and says whether S stayed inside: it was sent each time, and nothing of it came back.
    pub(crate) async fn observe_noleak(&self, lease: &Lease, path: &str) -> Result<Vec<Observed>, String> {
        let heard = self.seen().len();
        let observed = self.observe(lease, path).await;
        for seen in &observed {
            self.noleak(&format!("{path} by {}", seen.how), &seen.bytes)?;
        }
        let arrived = self.seen()[heard..].iter().filter(|seen| seen.text().contains(&self.s)).count();
        assert_eq!(arrived, observed.len(), "S did not arrive each time at {path}");
        Ok(observed)
    }

    /// NOLEAK: no sixteen characters of S in whatever form.
    pub(crate) fn noleak(&self, what: &str, bytes: &[u8]) -> Verdict {
        noleak(&self.s, what, bytes)
    }

    /// NOSEND: nothing of S has ever come to the evil upstream, whoever's host it was sent to.
    pub(crate) fn nosend(&self) -> Verdict {
        noleak(&self.s, "the evil upstream's log", &self.world.evil.bytes())
    }

    /// DENY: this status and code, and a new refusal on the record that says the same.
    pub(crate) async fn deny(&self, answer: &Answer, status: u16, code: &str) -> Verdict {
        self.noleak("a refusal", &answer.raw)?;
        ensure!(
            (answer.status, answer.code().as_str()) == (status, code),
            "expected {status} {code}, got {} {}",
            answer.status_line(),
            answer.text()
        );
        ensure!(
            answer.header("content-type").as_deref() == Some("application/problem+json"),
            "not a problem: {}",
            answer.head
        );
        self.on_record(code).await
    }

    /// The same of the API's answers.
    pub(crate) async fn deny_reply(&self, reply: &Reply, status: u16, code: &str) -> Verdict {
        self.noleak("a refusal", reply.text.as_bytes())?;
        ensure!(
            (reply.status, reply.json()["code"].as_str()) == (status, Some(code)),
            "expected {status} {code}, got {} {}",
            reply.status,
            reply.text
        );
        self.on_record(code).await
    }

    /// Whether there is a refusal with this code on the record that is newer than the last one looked at. Those that come
    /// of connecting are written after the answer.
    pub(crate) async fn on_record(&self, code: &str) -> Verdict {
        let before = self.denied.load(Ordering::Relaxed);
        for _ in 0..100 {
            let page = self.owner.get("/events?limit=20").await.expect(200);
            let is_it = |event: &&Value| {
                event["seq"].as_i64() > Some(before)
                    && event["code"] == code
                    && ["denied", "failed"].contains(&event["outcome"].as_str().unwrap())
            };
            if let Some(event) = page["items"].as_array().unwrap().iter().find(is_it) {
                self.denied.store(event["seq"].as_i64().unwrap(), Ordering::Relaxed);
                return self.noleak("the record", page.to_string().as_bytes());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("{code} is not on the record"))
    }

    /// All events of the workspace, newest first.
    pub(crate) async fn events(&self, query: &str) -> Vec<Value> {
        let page = self.owner.get(&format!("/events?limit=500&{query}")).await.expect(200);
        page["items"].as_array().unwrap().clone()
    }

    /// Another tenant: its owner, and an attacker there.
    pub(crate) async fn stranger(&self) -> (Client, Client) {
        let name = format!("{}-other", self.workspace);
        self.world.owner.post("/v1/workspaces", json!({"name": name})).await.expect(201);
        let owner = self.world.owner.in_workspace(&name);
        let attacker = account(self.world, &owner, "stranger", "editor").await;
        (owner, attacker)
    }

    /// A service account with a role, as a client.
    pub(crate) async fn client(&self, name: &str, role: &str) -> Client {
        account(self.world, &self.owner, name, role).await
    }
}

/// A service account with a role in the workspace of its maker, as a client.
async fn account(world: &World, owner: &Client, name: &str, role: &str) -> Client {
    owner.post("/service-accounts", json!({"name": name, "role": role})).await.expect(201);
    let token = owner.post(&format!("/service-accounts/{name}/tokens"), json!({})).await.expect(201);
    let client = Client::new(&world.url, token["token"].as_str().unwrap());
    let mut client = client.in_workspace(&owner.workspace);
    client.name = format!("service-account:{name}");
    client
}

/// NOLEAK for any value.
pub(crate) fn noleak(value: &str, what: &str, bytes: &[u8]) -> Verdict {
    let unpredictable = value.strip_prefix("sk_live_").unwrap_or(value);
    match Detector::new([unpredictable]).find(bytes, 2) {
        None => Ok(()),
        Some(found) => {
            let text: String = String::from_utf8_lossy(bytes).chars().take(1500).collect();
            Err(format!("{what} holds {found}:\n{text}"))
        }
    }
}

/// A value as the attack list has it: `sk_live_` and 32 letters and digits.
pub(crate) fn random_value() -> String {
    format!("sk_live_{}", random_text(32))
}

/// Letters and digits.
pub(crate) fn random_text(length: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = vec![0; length];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}
