//! An SFTP step.

use tacit_broker::SftpRequest;
use tacit_model::{Problem, SftpStep};
use tacit_vault::{Caller, RunTicket, SftpTemplate, Using};

use crate::{Data, Runner, StepDone};

/// Does what the step says on its server.
pub(crate) async fn run(
    runner: &Runner,
    caller: &Caller,
    ticket: &RunTicket,
    id: &str,
    step: &SftpStep,
    template: &SftpTemplate,
    data: &Data,
) -> Result<StepDone, Problem> {
    let request = SftpRequest {
        caller,
        using: Using::Run { ticket, step: id },
        environment: ticket.environment(),
        template,
        timeout_secs: step.timeout_secs(),
        scope: data,
    };
    let kept = runner.broker.sftp(request).await?;
    Ok(StepDone { output: kept.output, redactions: kept.redactions, problem: None })
}
