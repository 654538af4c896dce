//! Sealed use: a request that Tacit sends with a secret in it, beside the same request sent directly.

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

/// `POST …/requests` towards the bare server, beside the direct call with a token in hand.
pub(crate) fn measure(
    instance: &Instance,
    upstream: &Served,
    clients: &[usize],
    plan: Plan,
) -> anyhow::Result<Vec<Compared>> {
    let address = upstream.address;
    let destination = json!([{"host": "127.0.0.1", "scheme": "http", "port": address.port()}]);
    instance.create_secret("BENCH_SEALED", "bearer_token", "token", &destination)?;
    let body = json!({
        "environment": "test", "method": "GET", "url": format!("http://{address}{PATH}"),
        "auth": {"secret": "BENCH_SEALED"},
    });
    let direct =
        Side { server: upstream, request: request("GET", PATH, address, &instance.token, "").into() };
    let path = "/v1/workspaces/default/requests";
    let sealed = request("POST", path, instance.address(), &instance.token, &body.to_string());
    let sealed = Side { server: &instance.served, request: sealed.into() };
    clients.iter().map(|clients| compare(instance, &direct, &sealed, *clients, plan)).collect()
}
