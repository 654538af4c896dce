//! Signing in and out, and one's own account.

use axum::{
    Json as Out,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tacit_api::{
    Account, ChangePassword, Confirm, ConfirmCode, Page, Problem as ProblemOut, RecoveryCodes, SecondFactor,
    Session, SignIn, SignedIn,
    session::{SessionKind as Kind, SignedInWith},
};
use tacit_model::limits;
use tacit_vault::{PasswordChange, SessionKind, SignedInBy};

use super::Answer;
use crate::{
    app::App,
    extract::{Bearer, Cookie, Here, Json, Path, RequestedBy, same_origin},
    time,
};

/// Signs a person in, for a program (a token in the answer) or for a browser (a cookie). Whatever is wrong, the answer is
/// the same.
#[utoipa::path(post, path = "/v1/sessions", tag = "account", request_body = SignIn, responses((status = 201, body = SignedIn), (status = "4XX", body = ProblemOut)), security(()))]
pub(crate) async fn create(
    State(app): State<App>,
    here: Here,
    RequestedBy(by): RequestedBy,
    origin: crate::extract::Origin,
    Json(body): Json<SignIn>,
) -> Answer<Response> {
    let kind = match body.kind {
        Kind::Token => SessionKind::Token,
        // Nobody is signed in to somebody else's account by a page of theirs.
        Kind::Cookie => same_origin(&origin, &here).map(|()| SessionKind::Cookie)?,
    };
    let signed_in = app
        .vault
        .sign_in(&tacit_vault::SignIn {
            name: &body.name,
            password: &body.password,
            code: body.code.as_deref(),
            kind,
            address: here.source,
            now: by.now,
            request_id: by.request_id,
        })
        .await?;
    let text = signed_in.text.dangerous_expose();
    let answer = SignedIn {
        id: signed_in.id.to_string(),
        name: signed_in.name.to_string(),
        token: (kind == SessionKind::Token).then(|| text.to_owned()),
        expires_at: time::print(signed_in.expires_at),
    };
    let mut response = (StatusCode::CREATED, Out(answer)).into_response();
    if kind == SessionKind::Cookie {
        set_cookie(&mut response, &Cookie::of(&app).set(text, limits::COOKIE_SESSION_SECS));
    }
    Ok(response)
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

/// Where one is signed in, newest first, and the token of set-up as long as it counts.
#[utoipa::path(get, path = "/v1/sessions", tag = "account", responses((status = 200, body = Page<Session>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(State(app): State<App>, who: Bearer) -> Answer<Out<Page<Session>>> {
    let found = app.vault.list_sessions(who.token, who.now).await?;
    let out = found.into_iter().map(|session| Session {
        id: session.id.to_string(),
        kind: match session.kind {
            Some(SessionKind::Cookie) => SignedInWith::Cookie,
            Some(SessionKind::Token) => SignedInWith::Token,
            None => SignedInWith::Setup,
        },
        address: session.address,
        created_at: time::print(session.created_at),
        expires_at: session.expires_at.map(time::print),
        current: session.current,
    });
    Ok(Out(Page::whole(out.collect())))
}

/// Signs out everywhere: every session ends, and the token of set-up if there is a password to come back with.
#[utoipa::path(delete, path = "/v1/sessions", tag = "account", responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn delete_all(
    State(app): State<App>,
    who: Bearer,
    RequestedBy(by): RequestedBy,
) -> Answer<Response> {
    app.vault.sign_out_everywhere(who.token, by).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, &Cookie::of(&app).set("", 0));
    Ok(response)
}

/// Signs out: ends one session by its id, or the one that asks by the word `current`. A token of set-up ends by its id
/// if there is a password to come back with.
#[utoipa::path(delete, path = "/v1/sessions/{id}", tag = "account", params(("id" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn delete(
    State(app): State<App>,
    who: Bearer,
    RequestedBy(by): RequestedBy,
    Path(id): Path<String>,
) -> Answer<Response> {
    let is_current = id == "current";
    let id = match is_current {
        true => None,
        false => Some(id.parse::<SignedInBy>()?),
    };
    app.vault.sign_out(who.token, id, by).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    if is_current {
        set_cookie(&mut response, &Cookie::of(&app).set("", 0));
    }
    Ok(response)
}

/// One's own account.
#[utoipa::path(get, path = "/v1/account", tag = "account", responses((status = 200, body = Account), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn account(State(app): State<App>, who: Bearer) -> Answer<Out<Account>> {
    let found = app.vault.account_info(who.token, who.now).await?;
    Ok(Out(Account {
        name: found.name,
        has_password: found.has_password,
        has_second_factor: found.has_second_factor,
        recovery_codes: found.recovery_codes,
        created_at: time::print(found.created_at),
    }))
}

/// Sets another password. All other sessions end.
#[utoipa::path(put, path = "/v1/account/password", tag = "account", request_body = ChangePassword, responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn change_password(
    State(app): State<App>,
    who: Bearer,
    here: Here,
    RequestedBy(by): RequestedBy,
    Json(body): Json<ChangePassword>,
) -> Answer<StatusCode> {
    let change =
        PasswordChange { current: body.current.as_deref(), code: body.code.as_deref(), new: &body.new };
    app.vault.change_password(who.token, &change, here.source, by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins a second factor. It counts when its first code is confirmed.
#[utoipa::path(post, path = "/v1/account/second-factor", tag = "account", request_body = Confirm, responses((status = 201, body = SecondFactor), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn enrol(
    State(app): State<App>,
    who: Bearer,
    here: Here,
    RequestedBy(by): RequestedBy,
    Json(body): Json<Confirm>,
) -> Answer<(StatusCode, Out<SecondFactor>)> {
    let made = app.vault.enrol_second_factor(who.token, &body.password, here.source, by).await?;
    let answer = SecondFactor { secret: made.secret.to_string(), uri: made.uri.to_string() };
    Ok((StatusCode::CREATED, Out(answer)))
}

/// Lets a second factor count, by its first code. All other sessions end. The recovery codes are in this answer and never again.
#[utoipa::path(post, path = "/v1/account/second-factor/confirm", tag = "account", request_body = ConfirmCode, responses((status = 200, body = RecoveryCodes), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn confirm(
    State(app): State<App>,
    who: Bearer,
    here: Here,
    RequestedBy(by): RequestedBy,
    Json(body): Json<ConfirmCode>,
) -> Answer<Out<RecoveryCodes>> {
    let codes = app.vault.confirm_second_factor(who.token, &body.code, here.source, by).await?;
    Ok(Out(RecoveryCodes { recovery_codes: codes.iter().map(|code| code.to_string()).collect() }))
}

/// Removes the second factor, with password and a code.
#[utoipa::path(post, path = "/v1/account/second-factor/disable", tag = "account", request_body = Confirm, responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn disable(
    State(app): State<App>,
    who: Bearer,
    here: Here,
    RequestedBy(by): RequestedBy,
    Json(body): Json<Confirm>,
) -> Answer<StatusCode> {
    let code = body.code.as_deref();
    app.vault.disable_second_factor(who.token, &body.password, code, here.source, by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes new recovery codes instead of those before. They are in this answer and never again.
#[utoipa::path(post, path = "/v1/account/recovery-codes", tag = "account", request_body = Confirm, responses((status = 200, body = RecoveryCodes), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn renew_recovery_codes(
    State(app): State<App>,
    who: Bearer,
    here: Here,
    RequestedBy(by): RequestedBy,
    Json(body): Json<Confirm>,
) -> Answer<Out<RecoveryCodes>> {
    let code = body.code.as_deref();
    let codes = app.vault.renew_recovery_codes(who.token, &body.password, code, here.source, by).await?;
    Ok(Out(RecoveryCodes { recovery_codes: codes.iter().map(|code| code.to_string()).collect() }))
}
