//! What every handler may reach.

use std::sync::Arc;

use tacit_broker::{Broker, proxy::Proxy};
use tacit_runner::Runner;
use tacit_vault::Vault;

use crate::mcp::Hosts;

/// The composed instance. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) vault: Vault,
    pub(crate) broker: Broker,
    pub(crate) proxy: Proxy,
    pub(crate) runner: Runner,
    /// Where the listener is, such as `http://127.0.0.1:8200`.
    pub(crate) url: Arc<str>,
    /// Under which names this server may be asked by agents.
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) metrics: metrics_exporter_prometheus::PrometheusHandle,
}
