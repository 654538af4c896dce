//! Runs: one HTTP step with a secret, waited for, beside the same request sent directly.

use serde_json::json;

use crate::{
    Plan,
    compare::{Compared, Side, compare},
    connection::request,
    instance::Instance,
    process::Served,
};

/// At how many clients.
pub(crate) const CLIENTS: [usize; 2] = [1, 32];
const PATH: &str = "/v1/charges";

/// `POST …/runs?wait=30` of one step towards the bare server, beside the direct call with a token in hand.
pub(crate) fn measure(
    instance: &Instance,
    upstream: &Served,
    clients: &[usize],
    plan: Plan,
) -> anyhow::Result<Vec<Compared>> {
    let address = upstream.address;
    let destination = json!([{"host": "127.0.0.1", "scheme": "http", "port": address.port()}]);
    instance.create_secret("BENCH_RUN", "bearer_token", "token", &destination)?;
    let step = json!({"id": "call", "http": {"url": format!("http://{address}{PATH}"), "auth": {"secret": "BENCH_RUN"}}});
    let definition = json!({"steps": [step]}).to_string();
    instance.ask("PUT", "/v1/workspaces/default/automations/bench", &definition, 201)?;
    let direct =
        Side { server: upstream, request: request("GET", PATH, address, &instance.token, "").into() };
    let path = "/v1/workspaces/default/automations/bench/runs?wait=30";
    let start = request("POST", path, instance.address(), &instance.token, r#"{"environment":"test"}"#);
    let run = Side { server: &instance.served, request: start.into() };
    clients.iter().map(|clients| compare(instance, &direct, &run, *clients, plan)).collect()
}
