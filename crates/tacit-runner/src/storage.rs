//! A storage step.

use tacit_broker::StorageRequest;
use tacit_model::{Problem, StorageStep};
use tacit_vault::{Caller, RunTicket, StorageTemplate, Using};

use crate::{Data, Runner, StepDone};

/// Does what the step says with its object.
pub(crate) async fn run(
    runner: &Runner,
    caller: &Caller,
    ticket: &RunTicket,
    id: &str,
    step: &StorageStep,
    template: &StorageTemplate,
    data: &Data,
) -> Result<StepDone, Problem> {
    let request = StorageRequest {
        caller,
        using: Using::Run { ticket, step: id },
        environment: ticket.environment(),
        template,
        timeout_secs: step.timeout_secs(),
        scope: data,
    };
    let kept = runner.broker.storage(request).await?;
    Ok(StepDone { output: kept.output, redactions: kept.redactions, problem: None })
}
