//! Who may do what, and why.

use axum::{Json as Out, extract::State};
use tacit_api::{AccessReason, Accessor, Page, Problem as ProblemOut, Scope, Standing};
use tacit_model::{Problem, Rights};
use tacit_vault::{Grantee, Reason};

use super::{Answer, named};
use crate::{
    app::App,
    extract::{Member, Path},
    time,
};

fn words(rights: Rights) -> Vec<String> {
    rights.iter().map(|right| right.to_string()).collect()
}

pub(super) fn reason(reason: &Reason) -> AccessReason {
    AccessReason {
        role: reason.role.clone(),
        rights: words(reason.rights),
        grant: reason.grant.map(|id| id.to_string()),
        scope: Scope {
            environment: reason.environment.as_ref().map(ToString::to_string),
            folder: reason.folder.as_ref().map(ToString::to_string),
            secret: reason.secret.clone(),
        },
        until: reason.until.map(time::print),
    }
}

/// Who may use a secret or look at it, and why. Needs `grant.manage` for it, or `audit.read`.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/secrets/{name}/access", tag = "access", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 200, body = Page<Accessor>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn of_secret(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<Out<Page<Accessor>>> {
    let found = app.vault.secret_access(&caller, &named(&name, "secret")?).await?;
    let names = |list: &[tacit_model::EnvironmentName]| list.iter().map(ToString::to_string).collect();
    let out = found.iter().map(|accessor| Accessor {
        principal: accessor.principal.clone(),
        uses_in: names(&accessor.uses_in),
        reveals_in: names(&accessor.reveals_in),
        because: accessor.because.iter().map(reason).collect(),
    });
    Ok(Out(Page::whole(out.collect())))
}

/// What a principal may do, and why: a member's name, or `user:NAME`, `service-account:NAME`, `automation:NAME`. About
/// oneself, or with `member.manage`, `grant.manage` or `audit.read`.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/members/{name}/access", tag = "access", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 200, body = Standing), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn of_member(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<Out<Standing>> {
    let who = match name.contains(':') {
        true => name.parse::<Grantee>().map_err(|_| Problem::not_found("member"))?,
        false => Grantee::User(named(&name, "member")?),
    };
    let found = app.vault.member_access(&caller, &who).await?;
    Ok(Out(Standing {
        principal: found.principal,
        rights: words(found.rights),
        because: found.because.iter().map(reason).collect(),
    }))
}
