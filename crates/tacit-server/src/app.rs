//! What every handler may reach.

use tacit_broker::Broker;
use tacit_runner::Runner;
use tacit_vault::Vault;

/// The composed instance. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) vault: Vault,
    pub(crate) broker: Broker,
    pub(crate) runner: Runner,
    pub(crate) metrics: metrics_exporter_prometheus::PrometheusHandle,
}
