//! Every route with a body that fits it and the right that it needs, written down from the contract and not from the
//! code. A route that is not in this table fails the tests that walk it.

use serde_json::{Value, json};

use crate::harness::Client;

/// One route.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// As the OpenAPI document writes it.
    pub(crate) path: &'static str,
    /// The right it needs, or one of several (`a|b`); `None` for what everybody in the workspace may do.
    pub(crate) right: Option<&'static str>,
    /// A body that fits; `#` stands for the owner of the things in the path.
    body: &'static str,
}

/// What only the instance's administrator may.
pub(crate) const INSTANCE: &str = "instance.admin";

/// What takes only something else than the caller's token: a lease's own, a password, an invitation.
pub(crate) const LEASE_TOKEN: &str = "lease.token";

/// What takes only a webhook's token, in its address.
pub(crate) const HOOK_TOKEN: &str = "hook.token";

/// What only a person may, about themselves; machines are none.
pub(crate) const PERSON: &str = "person";

/// What only the instance's administrator may, in a workspace.
const ADMINISTRATOR: &str = "instance.admin in the workspace";

const fn route(
    method: &'static str,
    path: &'static str,
    right: Option<&'static str>,
    body: &'static str,
) -> Route {
    Route { method, path, right, body }
}

const W: Option<&str> = Some("secret.write");
const M: Option<&str> = Some("member.manage");
const U: Option<&str> = Some("secret.use");
const V: Option<&str> = Some("variable.write");
const A: Option<&str> = Some("automation.write");
const G: Option<&str> = Some("grant.manage");
const P: Option<&str> = Some(PERSON);

/// Reads first, then writes, deletions last, so that each finds what it works on.
#[rustfmt::skip]
pub(crate) const ROUTES: &[Route] = &[
    route("GET", "/healthz", None, ""),
    route("GET", "/readyz", None, ""),
    route("GET", "/metrics", None, ""),
    route("GET", "/openapi.json", None, ""),
    route("GET", "/v1/whoami", None, ""),
    route("POST", "/v1/sessions", Some(LEASE_TOKEN), r#"{"name": "nobody-#@example.com", "password": "a wrong password"}"#),
    route("GET", "/v1/sessions", P, ""),
    route("DELETE", "/v1/sessions/{id}", P, ""),
    route("DELETE", "/v1/sessions", P, ""),
    route("GET", "/v1/account", P, ""),
    route("PUT", "/v1/account/password", P, r#"{"new": "correct horse battery"}"#),
    route("POST", "/v1/account/second-factor", P, r#"{"password": "correct horse battery"}"#),
    route("POST", "/v1/account/second-factor/confirm", P, r#"{"code": "123456"}"#),
    route("POST", "/v1/account/second-factor/disable", P, r#"{"password": "correct horse battery"}"#),
    route("POST", "/v1/account/recovery-codes", P, r#"{"password": "correct horse battery"}"#),
    route("POST", "/v1/invitations/accept", Some(LEASE_TOKEN), r#"{"token": "tct_iv_x", "password": "correct horse battery"}"#),
    route("GET", "/v1/workspaces", None, ""),
    route("POST", "/v1/workspaces", Some(INSTANCE), r#"{"name": "made-by-#"}"#),
    route("GET", "/v1/workspaces/{workspace}", None, ""),
    route("PATCH", "/v1/workspaces/{workspace}", Some("workspace.manage"), r#"{"version_keep_count": 9}"#),
    route("GET", "/v1/workspaces/{workspace}/environments", None, ""),
    route("POST", "/v1/workspaces/{workspace}/environments", Some("workspace.manage"), r#"{"name": "env-#", "protected": false}"#),
    route("GET", "/v1/workspaces/{workspace}/members", None, ""),
    route("POST", "/v1/workspaces/{workspace}/members", Some(ADMINISTRATOR), r#"{"name": "nobody-#@example.com"}"#),
    route("GET", "/v1/workspaces/{workspace}/members/{name}/access", Some("member.manage|grant.manage|audit.read"), ""),
    route("PATCH", "/v1/workspaces/{workspace}/members/{name}", M, r#"{"role": "auditor"}"#),
    route("GET", "/v1/workspaces/{workspace}/invitations", M, ""),
    route("POST", "/v1/workspaces/{workspace}/invitations", M, r#"{"name": "new-#@example.com", "role": "auditor"}"#),
    route("GET", "/v1/workspaces/{workspace}/roles", None, ""),
    route("POST", "/v1/workspaces/{workspace}/roles", G, r#"{"name": "new-role-#", "rights": ["secret.list"]}"#),
    route("PATCH", "/v1/workspaces/{workspace}/roles/{name}", G, r#"{"rights": ["secret.list", "deploy"]}"#),
    route("GET", "/v1/workspaces/{workspace}/grants", None, ""),
    route("POST", "/v1/workspaces/{workspace}/grants", G, r#"{"role": "member", "to": "service-account:account-#", "scope": {"environment": "test"}}"#),
    route("GET", "/v1/workspaces/{workspace}/events", Some("audit.read"), ""),
    route("GET", "/v1/workspaces/{workspace}/service-accounts", M, ""),
    route("POST", "/v1/workspaces/{workspace}/service-accounts", M, r#"{"name": "new-#", "role": "auditor"}"#),
    route("GET", "/v1/workspaces/{workspace}/service-accounts/{name}/tokens", M, ""),
    route("POST", "/v1/workspaces/{workspace}/service-accounts/{name}/tokens", M, "{}"),
    route("GET", "/v1/workspaces/{workspace}/secrets", None, ""),
    route("POST", "/v1/workspaces/{workspace}/secrets", W, r#"{"name": "new-secret-#"}"#),
    route("GET", "/v1/workspaces/{workspace}/secrets/{name}", None, ""),
    route("PATCH", "/v1/workspaces/{workspace}/secrets/{name}", W, r#"{"description": "changed"}"#),
    route("GET", "/v1/workspaces/{workspace}/secrets/{name}/usages", None, ""),
    route("GET", "/v1/workspaces/{workspace}/secrets/{name}/access", Some("grant.manage|audit.read"), ""),
    route("PUT", "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}", W, r#"{"fields": {"value": "Cq1Dr6Es3Ft8Gu5Hv0Iw7Jx2Ky9Lz4Ma"}}"#),
    route("POST", "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}/reveal", Some("secret.reveal"), "{}"),
    route("GET", "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}/versions", None, ""),
    route("POST", "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}/rollback", W, r#"{"version": 1}"#),
    route("POST", "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}/disable", W, ""),
    route("POST", "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}/enable", W, ""),
    route("POST", "/v1/workspaces/{workspace}/secrets/{name}/disable", W, ""),
    route("POST", "/v1/workspaces/{workspace}/secrets/{name}/enable", W, ""),
    route("GET", "/v1/workspaces/{workspace}/compare", None, ""),
    route("GET", "/v1/workspaces/{workspace}/export", None, ""),
    route("POST", "/v1/workspaces/{workspace}/import", None, ""),
    route("POST", "/v1/workspaces/{workspace}/requests", U, r#"{"environment": "test", "url": "https://192.0.2.1/"}"#),
    route("POST", "/v1/workspaces/{workspace}/proposals", A, r#"{"name": "proposed-#"}"#),
    route("GET", "/v1/workspaces/{workspace}/leases", None, ""),
    route("POST", "/v1/workspaces/{workspace}/leases", U, r#"{"environment": "test", "secrets": [{"name": "bound-#"}]}"#),
    route("GET", "/v1/workspaces/{workspace}/leases/{id}/relay", Some(LEASE_TOKEN), ""),
    route("POST", "/v1/workspaces/{workspace}/leases/{id}/renew", U, ""),
    route("GET", "/v1/workspaces/{workspace}/agent-sessions", None, ""),
    route("POST", "/v1/workspaces/{workspace}/agent-sessions", None, r#"{"name": "agent-#"}"#),
    route("GET", "/v1/workspaces/{workspace}/variables", None, ""),
    route("POST", "/v1/workspaces/{workspace}/variables", V, r#"{"name": "new-variable-#"}"#),
    route("GET", "/v1/workspaces/{workspace}/variables/{name}", None, ""),
    route("PATCH", "/v1/workspaces/{workspace}/variables/{name}", V, r#"{"description": "changed"}"#),
    route("PUT", "/v1/workspaces/{workspace}/variables/{name}/values/{environment}", V, r#"{"value": "changed"}"#),
    route("GET", "/v1/workspaces/{workspace}/automations", None, ""),
    route("GET", "/v1/workspaces/{workspace}/automations/{name}", None, ""),
    route("PUT", "/v1/workspaces/{workspace}/automations/{name}", A, r#"{"steps": [{"id": "a", "http": {"url": "https://192.0.2.1/"}}]}"#),
    route("POST", "/v1/workspaces/{workspace}/automations/{name}/runs", Some("automation.run"), r#"{"environment": "test"}"#),
    route("GET", "/v1/workspaces/{workspace}/automations/{name}/template", None, ""),
    route("GET", "/v1/workspaces/{workspace}/deployments", None, ""),
    route("POST", "/v1/workspaces/{workspace}/deployments", Some("deploy"), r#"{"from": "test", "to": "live", "automations": ["automation-#"]}"#),
    route("GET", "/v1/workspaces/{workspace}/deployments/{id}", None, ""),
    route("POST", "/v1/workspaces/{workspace}/deployments/{id}/rollback", Some("deploy"), ""),
    route("GET", "/v1/workspaces/{workspace}/runs", None, ""),
    route("GET", "/v1/workspaces/{workspace}/runs/{id}", None, ""),
    route("GET", "/v1/workspaces/{workspace}/runs/{id}/events", None, ""),
    route("POST", "/v1/workspaces/{workspace}/runs/{id}/cancel", Some("automation.run"), ""),
    route("GET", "/v1/workspaces/{workspace}/automations/{name}/triggers", None, ""),
    route("POST", "/v1/workspaces/{workspace}/automations/{name}/triggers/{environment}/enable", Some("deploy"), ""),
    route("POST", "/v1/workspaces/{workspace}/automations/{name}/triggers/{environment}/rotate", Some("deploy"), ""),
    route("POST", "/v1/workspaces/{workspace}/automations/{name}/triggers/{environment}/disable", Some("deploy"), ""),
    route("POST", "/v1/hooks/{token}", Some(HOOK_TOKEN), "{}"),
    route("DELETE", "/v1/workspaces/{workspace}/members/{name}", M, ""),
    route("DELETE", "/v1/workspaces/{workspace}/invitations/{id}", M, ""),
    route("DELETE", "/v1/workspaces/{workspace}/grants/{id}", G, ""),
    route("DELETE", "/v1/workspaces/{workspace}/roles/{name}", G, ""),
    route("DELETE", "/v1/workspaces/{workspace}/leases/{id}", U, ""),
    route("DELETE", "/v1/workspaces/{workspace}/agent-sessions/{id}", None, ""),
    route("DELETE", "/v1/workspaces/{workspace}/service-accounts/{name}/tokens/{id}", M, ""),
    route("DELETE", "/v1/workspaces/{workspace}/service-accounts/{name}", M, ""),
    route("DELETE", "/v1/workspaces/{workspace}/variables/{name}", V, ""),
    route("DELETE", "/v1/workspaces/{workspace}/automations/{name}", A, ""),
    route("DELETE", "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}", Some("secret.delete"), ""),
    route("DELETE", "/v1/workspaces/{workspace}/secrets/{name}", Some("secret.delete"), ""),
    route("POST", "/v1/workspaces/{workspace}/secrets/{name}/restore", Some("secret.delete"), ""),
];

/// Things for one caller to work on: a secret, a variable, an automation with a run, an account with a token.
pub(crate) struct Things {
    tag: String,
    token: String,
    run: String,
    deployment: String,
    lease: String,
    session: String,
    grant: String,
    invitation: String,
}

impl Things {
    /// Makes them as the owner; but lease and session belong to whoever has them, so those are the client's own, as far as
    /// it may have any.
    pub(crate) async fn make_for(owner: &Client, client: &Client, tag: &str) -> Self {
        let mut things = Self::make(owner, tag).await;
        let session = client.post("/agent-sessions", json!({"name": "own"})).await.expect(201);
        things.session = session["id"].as_str().unwrap().to_owned();
        let lease = json!({"environment": "test", "secrets": [{"name": format!("bound-{tag}")}]});
        let lease = client.post("/leases", lease).await;
        if lease.status == 201 {
            things.lease = lease.json()["id"].as_str().unwrap().to_owned();
        }
        things
    }

    /// Makes them as the owner.
    pub(crate) async fn make(owner: &Client, tag: &str) -> Self {
        let value = json!({"value": "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu"});
        let secret = json!({"name": format!("secret-{tag}"), "visibility": "masked", "values": {"test": value.clone()}});
        owner.post("/secrets", secret).await.expect(201);
        let bound = json!({"name": format!("bound-{tag}"), "destinations": [{"host": "api.example.com"}], "values": {"test": value}});
        owner.post("/secrets", bound).await.expect(201);
        let lease = json!({"environment": "test", "secrets": [{"name": format!("bound-{tag}")}]});
        let lease = owner.post("/leases", lease).await.expect(201);
        let session =
            owner.post("/agent-sessions", json!({"name": format!("agent-{tag}")})).await.expect(201);
        owner
            .post("/variables", json!({"name": format!("variable-{tag}"), "values": {"test": "v"}}))
            .await
            .expect(201);
        let step = json!({"id": "a", "http": {"url": "https://192.0.2.1/", "timeout_secs": 1}});
        let definition = json!({"triggers": [{"webhook": {}}], "steps": [step]});
        for name in ["automation", "deployed"] {
            owner.put(&format!("/automations/{name}-{tag}"), definition.clone()).await.expect(201);
        }
        // Another one: what is in a protected environment takes `deploy` to delete, too.
        let deployment = json!({"from": "test", "to": "live", "automations": [format!("deployed-{tag}")]});
        let deployment = owner.post("/deployments", deployment).await.expect(201);
        let run = owner
            .post(&format!("/automations/automation-{tag}/runs"), json!({"environment": "test"}))
            .await
            .expect(201);
        owner
            .post("/service-accounts", json!({"name": format!("account-{tag}"), "role": "auditor"}))
            .await
            .expect(201);
        let token =
            owner.post(&format!("/service-accounts/account-{tag}/tokens"), json!({})).await.expect(201);
        let text = |value: &Value| value["id"].as_str().unwrap().to_owned();
        let role = json!({"name": format!("role-{tag}"), "rights": ["secret.list"]});
        owner.post("/roles", role).await.expect(201);
        let account = format!("service-account:account-{tag}");
        let grant = json!({"role": "member", "to": account, "scope": {"secret": format!("secret-{tag}")}});
        let grant = owner.post("/grants", grant).await.expect(201);
        let invitation = json!({"name": format!("invited-{tag}@example.com")});
        let invitation = owner.post("/invitations", invitation).await.expect(201);
        let member = json!({"name": format!("member-{tag}@example.com")});
        let member = owner.post("/invitations", member).await.expect(201);
        let accept = json!({"token": member["token"], "password": "correct horse battery"});
        owner.post("/v1/invitations/accept", accept).await.expect(201);
        Self {
            tag: tag.to_owned(),
            token: text(&token),
            run: text(&run),
            deployment: text(&deployment),
            lease: text(&lease),
            session: text(&session),
            grant: text(&grant),
            invitation: text(&invitation),
        }
    }
}

impl Things {
    /// The name of the secret.
    pub(crate) fn secret(&self) -> String {
        format!("secret-{}", self.tag)
    }

    /// Names and ids of the same shape that nothing has.
    pub(crate) fn absent(&self) -> Self {
        let other =
            |id: &str| format!("{}{}", &id[..id.len() - 1], if id.ends_with('0') { '1' } else { '0' });
        Self {
            tag: "absent".to_owned(),
            token: other(&self.token),
            run: other(&self.run),
            deployment: other(&self.deployment),
            lease: other(&self.lease),
            session: other(&self.session),
            grant: other(&self.grant),
            invitation: other(&self.invitation),
        }
    }
}

impl Route {
    /// The path with names in it, in a workspace.
    pub(crate) fn path_to(&self, workspace: &str, things: &Things) -> String {
        let noun = ["secrets", "variables", "automations", "service-accounts", "roles", "members"]
            .iter()
            .find(|noun| self.path.contains(&format!("/{noun}/")));
        let host = if noun == Some(&"members") { "@example.com" } else { "" };
        let name = noun
            .map(|noun| {
                format!("{}-{}{host}", noun.trim_start_matches("service-").trim_end_matches('s'), things.tag)
            })
            .unwrap_or_default();
        let id: &str = match self.path {
            path if path.contains("/v1/sessions/") => "current",
            path if path.contains("/runs/") => &things.run,
            path if path.contains("/deployments/") => &things.deployment,
            path if path.contains("/leases/") => &things.lease,
            path if path.contains("/agent-sessions/") => &things.session,
            path if path.contains("/grants/") => &things.grant,
            path if path.contains("/invitations/") => &things.invitation,
            _ => &things.token,
        };
        self.path
            .replace("{workspace}", workspace)
            .replace("{name}", &name)
            .replace("{environment}", "test")
            .replace("{token}", "tct_wh_x")
            .replace("{id}", id)
    }

    /// The body with names in it.
    pub(crate) fn body_for(&self, tag: &str) -> Option<Value> {
        (!self.body.is_empty()).then(|| serde_json::from_str(&self.body.replace('#', tag)).unwrap())
    }
}

/// Fails if the document and the table name different routes.
pub(crate) async fn assert_complete(owner: &Client) {
    let document = owner.get("/openapi.json").await.expect(200);
    let mut documented = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| ["get", "post", "put", "patch", "delete"].contains(&key.as_str()))
        {
            documented.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    let mut listed: Vec<String> =
        ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    documented.sort();
    listed.sort();
    assert_eq!(documented, listed, "a route is missing here or there");
}
