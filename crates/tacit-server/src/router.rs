//! Every route, on one screen.

use axum::{Router, extract::DefaultBodyLimit, middleware, response::IntoResponse};
use tacit_model::{Problem, limits};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt},
    routes,
};

use crate::{
    app::App,
    idempotency, mcp, observe,
    problem::ApiError,
    routes::{
        access, accounts, agents, automations, base_url, compare, deployments, events, grants, hooks,
        invitations, leases, manifest, members, operations, proposals, relay, requests, run_events, runs,
        secrets, sessions, triggers, values, variables, workspaces,
    },
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Tacit", description = "Keeps a team's credentials and does the talking for them. Errors are RFC 9457 problem documents with a stable `code`."),
    modifiers(&Token),
    security(("token" = []))
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token, `tct_…`.")).build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
        .routes(routes!(operations::openapi))
        .routes(routes!(accounts::who_am_i))
        .routes(routes!(sessions::list, sessions::create, sessions::delete_all).layer(from_anybody()))
        .routes(routes!(sessions::delete))
        .routes(routes!(sessions::account))
        .routes(routes!(sessions::change_password))
        .routes(routes!(sessions::enrol))
        .routes(routes!(sessions::confirm))
        .routes(routes!(sessions::disable))
        .routes(routes!(sessions::renew_recovery_codes))
        .routes(routes!(invitations::accept).layer(from_anybody()))
        .routes(routes!(invitations::list, invitations::create))
        .routes(routes!(invitations::delete))
        .routes(routes!(workspaces::list, workspaces::create))
        .routes(routes!(workspaces::show, workspaces::update))
        .routes(routes!(workspaces::list_environments, workspaces::create_environment))
        .routes(routes!(members::list, members::add))
        .routes(routes!(members::update, members::remove))
        .routes(routes!(accounts::list, accounts::create))
        .routes(routes!(accounts::delete))
        .routes(routes!(accounts::list_tokens, accounts::create_token))
        .routes(routes!(accounts::revoke_token))
        .routes(routes!(grants::list_roles, grants::create_role))
        .routes(routes!(grants::update_role, grants::delete_role))
        .routes(routes!(grants::list_grants, grants::create_grant))
        .routes(routes!(grants::delete_grant))
        .routes(routes!(access::of_secret))
        .routes(routes!(access::of_member))
        .routes(routes!(secrets::list, secrets::create))
        .routes(routes!(secrets::show, secrets::update, secrets::delete))
        .routes(routes!(secrets::restore))
        .routes(routes!(secrets::usages))
        .routes(routes!(secrets::disable))
        .routes(routes!(secrets::enable))
        .routes(routes!(values::put, values::delete))
        .routes(routes!(values::reveal))
        .routes(routes!(values::versions))
        .routes(routes!(values::roll_back))
        .routes(routes!(values::disable))
        .routes(routes!(values::enable))
        .routes(routes!(compare::compare))
        .routes(routes!(manifest::export))
        .routes(routes!(manifest::import))
        .routes(routes!(variables::list, variables::create))
        .routes(routes!(variables::show, variables::update, variables::delete))
        .routes(routes!(variables::put))
        .routes(routes!(proposals::create))
        .routes(routes!(requests::send))
        .routes(routes!(leases::list, leases::create))
        .routes(routes!(leases::renew))
        .routes(routes!(leases::end))
        .routes(routes!(relay::open))
        .routes(routes!(agents::list, agents::create))
        .routes(routes!(agents::end))
        .routes(routes!(automations::list))
        .routes(routes!(automations::show, automations::put, automations::delete))
        .routes(routes!(automations::run))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(runs::cancel))
        .routes(routes!(run_events::stream))
        .routes(routes!(triggers::list))
        .routes(routes!(triggers::enable))
        .routes(routes!(triggers::disable))
        .routes(routes!(triggers::rotate))
        .routes(routes!(hooks::call))
        .routes(routes!(automations::template))
        .routes(routes!(deployments::list, deployments::create))
        .routes(routes!(deployments::show))
        .routes(routes!(deployments::roll_back))
        .routes(routes!(events::list))
}

/// For routes that read a body before they know whose it is.
fn from_anybody() -> DefaultBodyLimit {
    DefaultBodyLimit::max(limits::SIGN_IN_BODY_BYTES_MAX)
}

/// The service: routes inside what surrounds every request.
pub(crate) fn router(app: App) -> Router {
    let (routes, _) = documented().split_for_parts();
    let router = routes
        .merge(mcp::routes())
        .route("/to/{*rest}", axum::routing::any(base_url::forward))
        .fallback(|| async {
            ApiError::from(Problem::not_found("route").suggest("the routes are in /openapi.json"))
                .into_response()
        })
        .layer(middleware::from_fn_with_state(app.clone(), idempotency::once))
        .layer(DefaultBodyLimit::max(limits::REQUEST_BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(middleware::from_fn(observe::observe))
        .with_state(app);
    mcp::open(router)
}

/// The OpenAPI document, made from the code.
pub fn openapi_json() -> String {
    let (_, document) = documented().split_for_parts();
    document.to_pretty_json().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    /// The committed document is the code's. `TACIT_UPDATE=1 cargo test -p tacit-server openapi` writes it anew.
    #[test]
    fn openapi_document_is_committed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let made = super::openapi_json() + "\n";
        if std::env::var_os("TACIT_UPDATE").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == made,
            "docs/openapi.json is out of date"
        );
    }
}
