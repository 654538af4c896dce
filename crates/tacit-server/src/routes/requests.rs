//! One sealed request.

use axum::{Json as Out, extract::State};
use serde_json::Value;
use tacit_api::{Problem as ProblemOut, SendRequest, SentResponse};
use tacit_model::{HttpStep, Problem};
use tacit_runner::Data;
use tacit_template::Reference;
use tacit_vault::{HttpTemplate, Using};

use super::{Answer, environment_in};
use crate::{
    app::App,
    definition::shaped,
    extract::{Json, Member},
};

/// Sends one HTTP request with secrets in place. The upstream's status is data, not an error.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/requests", tag = "requests", params(("workspace" = String, Path)), request_body = SendRequest, responses((status = 200, body = SentResponse), (status = "4XX", body = ProblemOut), (status = "5XX", body = ProblemOut)))]
pub(crate) async fn send(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<SendRequest>,
) -> Answer<Out<SentResponse>> {
    let environment = environment_in("environment", &body.environment)?;
    let step = step(body)?;
    let template = match HttpTemplate::compile(&step, "") {
        Ok(template) => template,
        Err(problem) => {
            return Err(app.vault.refuse_request(&caller, &environment, &step.method, problem).await.into());
        }
    };
    let variables = variables(&template)?;
    let mut data = Data::new(Value::Null, environment.as_str(), "");
    data.set_variables(app.vault.variables_for(&caller, Using::Caller, &environment, &variables).await?);
    // A task of its own: a caller who hangs up does not keep the outcome off the record.
    let sending = tokio::spawn(async move {
        let request = tacit_broker::SendRequest {
            caller: &caller,
            using: Using::Caller,
            environment: &environment,
            step: &step,
            template: &template,
            scope: &data,
        };
        app.broker.send(request).await
    });
    let answer = sending.await.map_err(Problem::internal)??;
    let text = |value: Value| if let Value::String(text) = value { text } else { value.to_string() };
    Ok(Out(SentResponse {
        status: answer.status,
        headers: answer.headers.into_iter().map(|(name, value)| (name, text(value))).collect(),
        body: answer.body,
        body_encoding: answer.body_encoding.map(str::to_owned),
        redactions: answer.redactions,
        opaque: answer.opaque,
        withheld: answer.withheld.map(str::to_owned),
    }))
}

fn step(body: SendRequest) -> Result<HttpStep, Problem> {
    let mut value = serde_json::to_value(body).map_err(Problem::internal)?;
    if let Value::Object(fields) = &mut value {
        fields.remove("environment");
    }
    shaped(value)
}

/// A sealed request has variables, and neither input nor earlier steps.
fn variables(template: &HttpTemplate) -> Result<Vec<String>, Problem> {
    let mut names = Vec::new();
    for reference in template.data_references() {
        match reference {
            Reference::Var(name) => names.push(name.clone()),
            Reference::Env => {}
            other => {
                return Err(Problem::invalid(
                    "url",
                    format!("or another field references {other}, which only a run has"),
                )
                .suggest("write the data itself"));
            }
        }
    }
    Ok(names)
}
