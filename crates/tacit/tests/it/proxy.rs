//! The proxy: programs that hold placeholders, and a service that gets the values.

mod answers;
mod client;
mod ends;
mod places;
mod tunnels;
mod upstream;
mod ways;

use serde_json::{Value, json};

use self::{
    client::Lease,
    upstream::{Certificates, Upstream},
};
use crate::harness::{Client, Options, Server};

const KEY: &str = "sk_live_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";
const PASSWORD: &str = "Rk2Sl7Tm4Un9Vo1Wp6Xq3Yr8Zs5At0Bu";
const VENDOR_KEY: &str = "Bx6Cy1Dz9Ea4Fb7Gc2Hd5Ie8Jf3Kg0Lh";

/// A server, a service that three secrets may go to, another one that a secret outside the lease may go to, and a plain one.
struct Scene {
    server: Server,
    good: Upstream,
    other: Upstream,
    plain: Upstream,
    certificates: Certificates,
    editor: Client,
    _directory: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let certificates = Certificates::new();
        let directory = tempfile::tempdir().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, &certificates.ca_pem).unwrap();
        let (good, other) = (Upstream::start(&certificates).await, Upstream::start(&certificates).await);
        let plain = Upstream::start_plain().await;
        let arguments = ["--allow-private", "127.0.0.0/8,::1/128", "--upstream-ca", ca.to_str().unwrap()];
        let arguments = arguments.map(str::to_owned).to_vec();
        let server = Server::start_with(Options { arguments, ..Options::default() }).await;
        let editor = server.client("editor").await;
        let at_good = json!({"host": "good.localhost", "port": good.port, "places": ["auth", "query:key", "json:/client/secret"]});
        let by_address =
            json!({"host": "127.0.0.1", "port": good.port, "methods": ["GET"], "paths": ["/echo/**"]});
        let at_plain = json!({"host": "127.0.0.1", "scheme": "http", "port": plain.port});
        for secret in [
            json!({"name": "STRIPE_KEY", "type": "bearer_token", "destinations": [at_good, by_address, at_plain], "values": {"test": {"token": KEY}}}),
            json!({"name": "LOGIN", "type": "basic_auth", "destinations": [at_good], "values": {"test": {"username": "ada", "password": PASSWORD}}}),
            json!({"name": "VENDOR", "type": "api_key", "destinations": [at_good], "values": {"test": {"header": "X-Vendor-Id", "key": VENDOR_KEY}}}),
            json!({"name": "ELSEWHERE", "destinations": [{"host": "other.localhost", "port": other.port, "exclusive": false}], "values": {"test": {"value": "Dw9Ex4Fy7Gz2Ha5Ib8Jc3Kd6Le1Mf0Ng"}}}),
        ] {
            server.owner.post("/secrets", secret).await.expect(201);
        }
        Self { server, good, other, plain, certificates, editor, _directory: directory }
    }

    /// A lease of the editor's on the three secrets.
    async fn lease(&self, more: Value) -> Lease {
        let mut body = json!({"environment": "test", "secrets": [{"name": "STRIPE_KEY"}, {"name": "LOGIN"}, {"name": "VENDOR"}]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let given = self.editor.post("/leases", body).await.expect(201);
        let text = |name: &str| given[name].as_str().unwrap().to_owned();
        assert!(text("proxy_url").starts_with("http://tacit:tct_ls_"), "{given}");
        Lease {
            id: text("id"),
            token: text("token"),
            placeholders: given["secrets"].clone(),
            ca_pem: text("ca_pem"),
            address: self.server.url.trim_start_matches("http://").to_owned(),
        }
    }

    fn good(&self) -> String {
        format!("good.localhost:{}", self.good.port)
    }

    /// Nothing of any value, in whatever form a person would notice.
    #[track_caller]
    fn is_clean(&self, text: &str) {
        for value in [KEY, PASSWORD, VENDOR_KEY] {
            assert!(!text.contains(&value[8..24]), "{text}");
        }
    }
}

fn bearer(lease: &Lease) -> String {
    format!("Bearer {}", lease.placeholder("STRIPE_KEY"))
}
