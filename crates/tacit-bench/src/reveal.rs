//! A recorded read: authenticated, authorized, on disk in the record, decrypted.

use crate::{
    Plan,
    compare::{Compared, Side, compare},
    connection::request,
    instance::Instance,
    process::Served,
};

/// At how many clients.
pub(crate) const CLIENTS: [usize; 3] = [1, 32, 256];

/// `POST …/reveal` beside the same POST to the bare server.
pub(crate) fn measure(
    instance: &Instance,
    bare: &Served,
    clients: &[usize],
    plan: Plan,
) -> anyhow::Result<Vec<Compared>> {
    instance.create_secret("BENCH_REVEAL", "text", "value", &serde_json::json!([]))?;
    let path = "/v1/workspaces/default/secrets/BENCH_REVEAL/values/test/reveal";
    let (baseline, tacit) =
        (side(bare, path, &instance.token), side(&instance.served, path, &instance.token));
    clients.iter().map(|clients| compare(instance, &baseline, &tacit, *clients, plan)).collect()
}

fn side<'a>(server: &'a Served, path: &str, token: &str) -> Side<'a> {
    Side { server, request: request("POST", path, server.address, token, "{}").into() }
}
