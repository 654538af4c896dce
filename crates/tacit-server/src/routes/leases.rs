//! Leases: placeholders, and what a program needs in order to send them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json as Out, extract::State, http::StatusCode};
use tacit_api::{
    CreateLease, GivenLease, Lease, Page, Problem as ProblemOut, RenewedLease, SessionQuery, SessionState,
};
use tacit_crypto::placeholder::Shape;
use tacit_model::{Destination, Issue, LeaseId, OtherHosts, Problem, Timestamp, destination::HostPattern};
use tacit_vault::{LeaseInfo, LeaseSecret, NewLease};

use super::{Answer, environment_in, new_name};
use crate::{
    app::App,
    extract::{Here, Json, Member, Path, Query},
    time,
};

/// Whether something that ends by itself or is ended is over.
pub(super) fn state_of(ended_at: Option<Timestamp>, expires_at: Timestamp, now: Timestamp) -> SessionState {
    match ended_at {
        Some(_) => SessionState::Ended,
        None if expires_at <= now => SessionState::Expired,
        None => SessionState::Open,
    }
}

fn out(info: LeaseInfo, now: Timestamp) -> Lease {
    Lease {
        id: info.id.to_string(),
        state: state_of(info.ended_at, info.expires_at, now),
        environment: info.environment.to_string(),
        secrets: info.secrets.into_iter().map(|(alias, name)| (alias, name.to_string())).collect(),
        other_hosts: info.other_hosts.as_str().to_owned(),
        allow_from: info.allow_from,
        requests_max: info.requests_max,
        requests: info.requests_max.map(|_| info.requests),
        created_by: info.created_by,
        created_at: time::print(info.created_at),
        expires_at: time::print(info.expires_at),
        ends_at_latest: time::print(info.ends_at_latest),
        ended_at: info.ended_at.map(time::print),
    }
}

/// Hands out placeholders for secrets, and what a program needs to send them: a proxy, and a certificate to trust. Token
/// and placeholders are in this answer and never again.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/leases", tag = "leases", params(("workspace" = String, Path)), request_body = CreateLease, responses((status = 201, body = GivenLease), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create(
    State(app): State<App>,
    Member(caller): Member,
    here: Here,
    Json(body): Json<CreateLease>,
) -> Answer<(StatusCode, Out<GivenLease>)> {
    let given = app.vault.create_lease(&caller, here.source, parse(body)?).await?;
    let (lease, token) = (given.lease, given.token.dangerous_expose());
    let destinations = lease.destinations();
    let ca_pem = match app.proxy.open(Arc::clone(&lease), &destinations) {
        Ok(ca_pem) => ca_pem,
        // What nobody can use should not look open.
        Err(problem) => {
            app.vault.end_lease(&caller, lease.id).await?;
            return Err(problem.into());
        }
    };
    let base = format!("{}://{}/to/{token}", here.scheme, here.authority);
    let base_urls = destinations.iter().filter_map(|destination| base_url(&base, destination)).collect();
    let placeholder =
        |(alias, text): (String, tacit_crypto::token::TokenText)| (alias, text.dangerous_expose().to_owned());
    Ok((
        StatusCode::CREATED,
        Out(GivenLease {
            id: lease.id.to_string(),
            token: token.to_owned(),
            secrets: given.placeholders.into_iter().map(placeholder).collect::<BTreeMap<_, _>>(),
            proxy_url: format!("{}://tacit:{token}@{}", here.scheme, here.authority),
            ca_pem,
            base_urls,
            expires_at: time::print(lease.expires_at),
        }),
    ))
}

/// Where a bound host is reached without a proxy's being set. A wildcard has no one address.
fn base_url(base: &str, destination: &Destination) -> Option<(String, String)> {
    let HostPattern::Exact(host) = &destination.host else { return None };
    let authority = if destination.port == destination.scheme.default_port() {
        host.to_string()
    } else {
        format!("{host}:{}", destination.port)
    };
    let url = format!("{base}/{authority}");
    Some((authority, url))
}

fn parse(body: CreateLease) -> Result<NewLease, Problem> {
    let mut issues = Vec::new();
    let mut secrets = Vec::with_capacity(body.secrets.len());
    for (at, secret) in body.secrets.into_iter().enumerate() {
        let shape = secret.shape.as_deref().map_or(Ok(Shape::default()), str::parse).unwrap_or_else(|()| {
            let known = Shape::ALL.map(Shape::as_str).join(", ");
            issues.push(Issue::new(format!("secrets[{at}].shape"), format!("must be one of {known}")));
            Shape::default()
        });
        let name = new_name(&format!("secrets[{at}].name"), &secret.name)?;
        secrets.push(LeaseSecret { name, alias: secret.alias, shape });
    }
    let mut allow_from = Vec::with_capacity(body.allow_from.len());
    for (at, range) in body.allow_from.iter().enumerate() {
        match range.parse() {
            Ok(range) => allow_from.push(range),
            Err(_) => {
                let message = "must be an address range in CIDR form, such as 10.1.0.0/16";
                issues.push(Issue::new(format!("allow_from[{at}]"), message));
            }
        }
    }
    let other_hosts = body.other_hosts.as_deref().map_or(Ok(OtherHosts::default()), str::parse);
    let other_hosts = other_hosts.unwrap_or_else(|()| {
        issues.push(Issue::new("other_hosts", "must be tunnel or block"));
        OtherHosts::Block
    });
    if !issues.is_empty() {
        return Err(Problem::invalid_fields(issues));
    }
    Ok(NewLease {
        environment: environment_in("environment", &body.environment)?,
        secrets,
        ttl_secs: body.ttl_secs,
        other_hosts,
        allow_from,
        requests_max: body.requests_max,
    })
}

/// One's own leases and one's agents'; everybody's for those who may read the record.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/leases", tag = "leases", params(("workspace" = String, Path), SessionQuery), responses((status = 200, body = Page<Lease>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<SessionQuery>,
) -> Answer<Out<Page<Lease>>> {
    let found = app.vault.list_leases(&caller).await?.into_iter().map(|info| out(info, caller.now));
    let wanted = found.filter(|lease| query.all.unwrap_or(false) || lease.state == SessionState::Open);
    Ok(Out(Page::whole(wanted.collect())))
}

/// Lets a lease of one's own live longer, at most until its latest end.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/leases/{id}/renew", tag = "leases", params(("workspace" = String, Path), ("id" = String, Path)), responses((status = 200, body = RenewedLease), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn renew(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, id)): Path<(String, String)>,
) -> Answer<Out<RenewedLease>> {
    let renewed = app.vault.renew_lease(&caller, lease_id(&id)?).await?;
    Ok(Out(RenewedLease { expires_at: time::print(renewed.expires_at) }))
}

/// Ends a lease at once: one's own, and with `member.manage` anybody's.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/leases/{id}", tag = "leases", params(("workspace" = String, Path), ("id" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn end(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    app.vault.end_lease(&caller, lease_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn lease_id(text: &str) -> Result<LeaseId, Problem> {
    text.parse().map_err(|_| Problem::not_found("lease"))
}
