//! The wire types of Tacit's HTTP API, one file per thing.
//!
//! Shapes only: what a request may say and what an answer holds, with the OpenAPI schema derived from the same
//! definition. Names and formats are checked by the server; here they are strings, so that a client of an older version
//! still reads what a newer server answers. Requests refuse unknown fields; answers ignore them.
//!
//! What may hold a value ([`FieldMap`], and every type with one inside) has no `Debug`: it cannot be logged by accident.
#![forbid(unsafe_code)]

pub mod access;
pub mod account;
pub mod agent;
pub mod automation;
pub mod compare;
pub mod deployment;
pub mod destination;
pub mod event;
pub mod exact;
pub mod grant;
pub mod kind;
pub mod lease;
pub mod manifest;
pub mod page;
mod patch;
pub mod problem;
pub mod proposal;
pub mod request;
pub mod run;
pub mod secret;
pub mod session;
pub mod trigger;
pub mod variable;
pub mod workspace;

pub use access::{AccessReason, Accessor, Standing};
pub use account::{
    AddMember, CreateServiceAccount, CreateToken, Member, Membership, ServiceAccount, Token, UpdateMember,
    WhoAmI,
};
pub use agent::{AgentSession, CreateAgentSession, GivenAgentSession};
pub use automation::{AutomationInfo, AutomationQuery, DryRunQuery, Published, Saved};
pub use compare::{CompareQuery, Comparison, Likeness};
pub use deployment::{
    CreateDeployment, DeployedAutomation, DeployedHook, DeployedSecret, DeployedVariable, Deployment,
    DeploymentStatus, Difference, Relation,
};
pub use destination::Destination;
pub use event::{Event, EventQuery};
pub use grant::{CreateGrant, CreateRole, Grant, Role, Scope, UpdateRole};
pub use kind::{Field, KINDS, Kind};
pub use lease::{CreateLease, GivenLease, Lease, LeaseSecret, RenewedLease, SessionQuery, SessionState};
pub use manifest::{
    ImportQuery, ImportReport, Imported, ImportedItem, Manifest, ManifestSecret, ManifestVariable,
};
pub use page::{Page, PageQuery};
pub use problem::{FieldIssue, Problem};
pub use proposal::ProposeSecret;
pub use request::{RequestAuth, RequestBody, SendRequest, SentResponse};
pub use run::{
    Run, RunError, RunStatus, RunsQuery, StartRun, StepError, StepResult, StepStatus, WaitQuery, stopped_by,
};
pub use secret::{
    CreateSecret, DeleteQuery, Deleted, FieldMap, NewVersion, ObservedUse, PutValue, RevealRequest, Revealed,
    Rollback, Secret, SecretQuery, SecretState, UpdateSecret, Usage, UsingAutomation, UsingField, ValueState,
    VersionInfo, VersionState,
};
pub use session::{
    AcceptInvitation, Accepted, Account, ChangePassword, Confirm, ConfirmCode, CreateInvitation, Invitation,
    RecoveryCodes, SecondFactor, Session, SignIn, SignedIn,
};
pub use trigger::{HookCalled, ScheduleState, Triggers, TriggersEnabled, WebhookRotated};
pub use variable::{CreateVariable, PutVariable, UpdateVariable, Variable};
pub use workspace::{CreateEnvironment, CreateWorkspace, Environment, UpdateWorkspace, Workspace};

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa::{PartialSchema, ToSchema};

    fn schema<T: ToSchema>() -> serde_json::Value {
        serde_json::to_value(<T as PartialSchema>::schema()).unwrap()
    }

    /// Secrets' values are in what goes in and in `Revealed`, and nowhere else in what comes out.
    #[test]
    fn answers_have_no_value() {
        for properties in
            [schema::<Secret>(), schema::<ValueState>(), schema::<NewVersion>(), schema::<VersionInfo>()]
        {
            let properties = properties["properties"].as_object().unwrap().clone();
            assert!(["value", "values"].iter().all(|name| !properties.contains_key(*name)), "{properties:?}");
        }
        assert!(schema::<Revealed>()["properties"].get("fields").is_some());
    }

    /// Tokens and placeholders are in what hands them out, and in no list.
    #[test]
    fn lists_have_no_token() {
        for properties in [schema::<Lease>(), schema::<AgentSession>(), schema::<RenewedLease>()] {
            let text = properties["properties"].to_string();
            assert!(
                ["\"token\"", "tct_", "hash", "ca_pem"].iter().all(|word| !text.contains(word)),
                "{text}"
            );
        }
        assert!(schema::<GivenLease>()["properties"].get("token").is_some());
    }

    /// The schema says what serde does: what is unknown is refused in requests, and events have more fields than are named.
    #[test]
    fn schemas() {
        assert_eq!(schema::<CreateSecret>()["additionalProperties"], false);
        assert_eq!(schema::<CreateSecret>()["required"], serde_json::json!(["name"]));
        assert_eq!(schema::<Destination>()["required"], serde_json::json!(["host"]));
        assert!(schema::<UpdateSecret>()["properties"].get("type").is_none());
        let items = |page: serde_json::Value| page["properties"]["items"]["items"]["$ref"].clone();
        assert_eq!(items(schema::<Page<Secret>>()), "#/components/schemas/Secret");
    }

    /// Pages of different things are different schemas in one document.
    #[test]
    fn pages_have_names() {
        #[derive(utoipa::OpenApi)]
        #[openapi(components(schemas(Page<Secret>, Page<Event>)))]
        struct Document;
        let document = serde_json::to_value(<Document as utoipa::OpenApi>::openapi()).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for name in ["Page_Secret", "Page_Event", "Destination", "ValueState"] {
            assert!(schemas.contains_key(name), "{name}");
        }
    }
}
