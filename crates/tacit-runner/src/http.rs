//! An HTTP step.

use tacit_broker::SendRequest;
use tacit_model::{Code, HttpStep, Problem};
use tacit_vault::{Caller, HttpTemplate, RunTicket, Using};

use crate::{Data, Runner, StepDone};

/// Sends the request of a step and judges the answer's status.
pub(crate) async fn run(
    runner: &Runner,
    caller: &Caller,
    ticket: &RunTicket,
    id: &str,
    step: &HttpStep,
    template: &HttpTemplate,
    data: &Data,
) -> Result<StepDone, Problem> {
    let request = SendRequest {
        caller,
        using: Using::Run { ticket, step: id },
        environment: ticket.environment(),
        step,
        template,
        scope: data,
    };
    let answer = runner.broker.send(request).await?;
    let problem = (!step.expects(answer.status)).then(|| unexpected_status(answer.status));
    Ok(StepDone { output: answer.to_value(), redactions: answer.redactions, problem })
}

fn unexpected_status(status: u16) -> Problem {
    let detail = format!("the service answered {status}, which this step does not expect");
    Problem::new(Code::UnexpectedStatus, detail)
        .suggest("look at the step's output, or list the status in `expect_status`")
}
