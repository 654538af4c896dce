//! Triggers: where they fire, and letting them.

use axum::{Json as Out, extract::State};
use tacit_api::{Page, Problem as ProblemOut, ScheduleState, Triggers, TriggersEnabled, WebhookRotated};
use tacit_vault::TriggersInfo;

use super::{Answer, environment, named};
use crate::{
    app::App,
    extract::{Here, Member, Path},
    time,
};

fn out(info: TriggersInfo) -> Triggers {
    let schedules = info.schedules.into_iter().map(|at| ScheduleState {
        cron: at.schedule.cron,
        timezone: at.schedule.timezone,
        next_at: at.next_at.map(time::print),
        last_at: at.last_at.map(time::print),
    });
    Triggers {
        environment: info.environment.to_string(),
        enabled: info.enabled_by.is_some(),
        fires: info.fires,
        enabled_by: info.enabled_by,
        enabled_at: info.enabled_at.map(time::print),
        schedules: schedules.collect(),
        webhook: info.webhook,
        webhook_has_address: info.has_address,
    }
}

fn url(here: &Here, token: &str) -> String {
    format!("{}://{}/v1/hooks/{token}", here.scheme, here.authority)
}

/// An automation's triggers, in each environment in which it is published.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/automations/{name}/triggers", tag = "automations", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 200, body = Page<Triggers>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<Out<Page<Triggers>>> {
    let found = app.vault.list_triggers(&caller, &named(&name, "automation")?).await?;
    Ok(Out(Page { items: found.into_iter().map(out).collect(), next_cursor: None }))
}

/// Lets the triggers of what is published in an environment fire, on the caller's authority. A webhook without an address gets
/// one, shown only now.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/automations/{name}/triggers/{environment}/enable", tag = "automations", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path)), responses((status = 200, body = TriggersEnabled), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn enable(
    State(app): State<App>,
    here: Here,
    Member(caller): Member,
    Path((_workspace, name, at)): Path<(String, String, String)>,
) -> Answer<Out<TriggersEnabled>> {
    let (name, at) = (named(&name, "automation")?, environment(&at)?);
    let enabled = app.vault.enable_triggers(&caller, &name, &at).await?;
    app.runner.replan();
    let webhook_url = enabled.hook.as_ref().map(|hook| url(&here, hook.dangerous_expose()));
    Ok(Out(TriggersEnabled { triggers: out(enabled.info), webhook_url }))
}

/// Lets them not fire any more. The webhook's address is worthless from then on.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/automations/{name}/triggers/{environment}/disable", tag = "automations", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path)), responses((status = 200, body = Triggers), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn disable(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name, at)): Path<(String, String, String)>,
) -> Answer<Out<Triggers>> {
    let (name, at) = (named(&name, "automation")?, environment(&at)?);
    Ok(Out(out(app.vault.disable_triggers(&caller, &name, &at).await?)))
}

/// Gives an enabled webhook another address, shown only now; the one before is worthless.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/automations/{name}/triggers/{environment}/rotate", tag = "automations", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path)), responses((status = 200, body = WebhookRotated), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn rotate(
    State(app): State<App>,
    here: Here,
    Member(caller): Member,
    Path((_workspace, name, at)): Path<(String, String, String)>,
) -> Answer<Out<WebhookRotated>> {
    let (name, at) = (named(&name, "automation")?, environment(&at)?);
    let token = app.vault.rotate_hook(&caller, &name, &at).await?;
    Ok(Out(WebhookRotated { webhook_url: url(&here, token.dangerous_expose()) }))
}
