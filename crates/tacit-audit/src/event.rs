//! What an event is: who did what to which thing, how it ended, and a closed set of details.

use std::{fmt, net::IpAddr};

use tacit_model::{
    AgentSessionId, AutomationId, DeploymentId, EnvironmentId, EnvironmentName, EventId, LeaseId, Place,
    Right, Role, RunId, SecretId, ServiceAccountId, Timestamp, TokenId, UserId, VariableId, WorkspaceId,
};

use crate::{
    closed::closed,
    hex::Hex,
    text::{Code, Label, MethodText, RuleText, StepText, TargetText},
    verb::Verb,
};

/// One event on the record of one workspace.
///
/// The use of a value has two: an *intent* ([`Outcome::Allowed`]) that is durable before the act, and an
/// outcome that names it in [`Detail::intent`]. An intent without an outcome means that the act may have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's id.
    pub id: EventId,
    /// When it was written down, by the server's clock.
    pub at: Timestamp,
    /// Whose record it is on.
    pub workspace: WorkspaceId,
    /// Who acted.
    pub actor: Actor,
    /// For whom, where an automation or an agent acts for someone else.
    pub on_behalf_of: Option<Actor>,
    /// What was done or tried.
    pub verb: Verb,
    /// To what.
    pub object: Object,
    /// How it ended, or that it may begin.
    pub outcome: Outcome,
    /// In which environment, where the act belongs to one.
    pub environment: Option<EnvironmentName>,
    /// The rest, all of it optional.
    pub detail: Detail,
}

closed! {
    /// What kind of principal acted.
    ActorKind, UnknownActorKind, "a kind of principal";

    /// A person.
    User = 1, "user";
    /// A machine's account.
    ServiceAccount = 2, "service-account";
    /// An automation.
    Automation = 3, "automation";
    /// Tacit itself: expiry, clean-up, start.
    System = 4, "system";
    /// An agent, in its session.
    Agent = 5, "agent";
}

/// Who acted. Prints as `user:owner`, `service-account:ci`, `automation:sync`, `agent:triage` or `system:tacit`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// What kind of principal.
    pub kind: ActorKind,
    /// The 16 bytes of the principal's id; all zero for the system.
    pub id: [u8; 16],
    /// Its name at that time.
    pub name: Label,
}

impl Actor {
    /// A principal by kind, id and name; the name is cleaned ([`Label::new`]).
    pub fn new(kind: ActorKind, id: [u8; 16], name: &str) -> Self {
        Self { kind, id, name: Label::new(name) }
    }

    /// Tacit itself.
    pub fn system() -> Self {
        Self::new(ActorKind::System, [0; 16], "tacit")
    }

    /// The id with its prefix, or as hex where its kind has none.
    pub fn printed_id(&self) -> String {
        match self.kind {
            ActorKind::User => UserId::from_bytes(self.id).to_string(),
            ActorKind::ServiceAccount => ServiceAccountId::from_bytes(self.id).to_string(),
            ActorKind::Automation => AutomationId::from_bytes(self.id).to_string(),
            ActorKind::Agent => AgentSessionId::from_bytes(self.id).to_string(),
            ActorKind::System => Hex(&self.id).to_string(),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

closed! {
    /// What kind of thing was acted upon.
    ObjectKind, UnknownObjectKind, "a kind of thing on the record";

    /// The workspace itself.
    Workspace = 1, "workspace";
    /// An environment.
    Environment = 2, "environment";
    /// A secret.
    Secret = 3, "secret";
    /// A variable.
    Variable = 4, "variable";
    /// An automation.
    Automation = 5, "automation";
    /// One run of an automation.
    Run = 6, "run";
    /// A person in the workspace.
    Member = 7, "member";
    /// A machine's account.
    ServiceAccount = 8, "service-account";
    /// An access token: the record of it, never its text.
    Token = 9, "token";
    /// A request that was sent or refused.
    Request = 10, "request";
    /// A right that someone holds.
    Grant = 11, "grant";
    /// A set of rights.
    Role = 12, "role";
    /// A move between environments.
    Deployment = 13, "deployment";
    /// Placeholders handed out together.
    Lease = 14, "lease";
    /// An OAuth connection.
    Connection = 15, "connection";
    /// A signed-in person's session.
    Session = 16, "session";
    /// The record itself.
    Record = 17, "record";
    /// A key of the hierarchy: its generation, never its bytes.
    Key = 18, "key";
    /// A backup.
    Backup = 19, "backup";
    /// Definitions and references as one document.
    Configuration = 20, "configuration";
    /// An agent's session.
    AgentSession = 21, "agent-session";
    /// An invitation to the workspace: the record of it, never its token.
    Invitation = 22, "invitation";
}

/// What was acted upon. Prints as `secret:STRIPE_KEY`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// What kind of thing.
    pub kind: ObjectKind,
    /// The 16 bytes of its id.
    pub id: [u8; 16],
    /// Its name at that time.
    pub name: Label,
}

impl Object {
    /// A thing by kind, id and name; the name is cleaned ([`Label::new`]).
    pub fn new(kind: ObjectKind, id: [u8; 16], name: &str) -> Self {
        Self { kind, id, name: Label::new(name) }
    }

    /// The id with its prefix, or as hex where its kind has none.
    pub fn printed_id(&self) -> String {
        match self.kind {
            ObjectKind::Workspace => WorkspaceId::from_bytes(self.id).to_string(),
            ObjectKind::Environment => EnvironmentId::from_bytes(self.id).to_string(),
            ObjectKind::Secret => SecretId::from_bytes(self.id).to_string(),
            ObjectKind::Variable => VariableId::from_bytes(self.id).to_string(),
            ObjectKind::Automation => AutomationId::from_bytes(self.id).to_string(),
            ObjectKind::Run => RunId::from_bytes(self.id).to_string(),
            ObjectKind::Member => UserId::from_bytes(self.id).to_string(),
            ObjectKind::ServiceAccount => ServiceAccountId::from_bytes(self.id).to_string(),
            ObjectKind::Token => TokenId::from_bytes(self.id).to_string(),
            ObjectKind::Deployment => DeploymentId::from_bytes(self.id).to_string(),
            ObjectKind::Lease => LeaseId::from_bytes(self.id).to_string(),
            ObjectKind::AgentSession => AgentSessionId::from_bytes(self.id).to_string(),
            _ => Hex(&self.id).to_string(),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An intent: the act is permitted and may begin now that this is durable.
    Allowed,
    /// Refused before anything happened, with the code the caller got.
    Denied(Code),
    /// Done.
    Succeeded,
    /// Begun and not done, with the code the caller got.
    Failed(Code),
}

impl Outcome {
    /// `allowed`, `denied`, `succeeded` or `failed`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied(_) => "denied",
            Self::Succeeded => "succeeded",
            Self::Failed(_) => "failed",
        }
    }

    /// Why, if it was refused or failed.
    pub const fn code(&self) -> Option<&Code> {
        match self {
            Self::Denied(code) | Self::Failed(code) => Some(code),
            Self::Allowed | Self::Succeeded => None,
        }
    }

    /// The number in the canonical bytes.
    pub(crate) const fn number(&self) -> u64 {
        match self {
            Self::Allowed => 1,
            Self::Denied(_) => 2,
            Self::Succeeded => 3,
            Self::Failed(_) => 4,
        }
    }
}

/// Everything else an event may say.
///
/// A closed set: no map, no free text, no bytes of a length that the caller chooses. What is not here is not
/// recorded. Before adding a field, ask what a secret's value could do to it: its length, its hash and the fact that
/// it equals another value are as unwelcome as the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Which version of a value, counted per environment from 1.
    pub version: Option<u64>,
    /// Where a request went.
    pub target: Option<TargetText>,
    /// The request's method.
    pub method: Option<MethodText>,
    /// Which path pattern of the destination allowed it.
    pub rule: Option<RuleText>,
    /// Where in the request the value stood.
    pub places: Vec<Place>,
    /// The workspace's revision the decision was made from.
    pub policy_revision: Option<u64>,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The step of that run.
    pub step: Option<StepText>,
    /// The intent this is the outcome of.
    pub intent: Option<EventId>,
    /// The upstream's status.
    pub status: Option<u16>,
    /// The address that was dialled.
    pub address: Option<IpAddr>,
    /// Bytes of the answer's body *after* scrubbing: before it, an echoed value's length would be part of the sum.
    pub body_bytes: Option<u64>,
    /// How many times the scrubber took something out.
    pub findings: Option<u64>,
    /// Microseconds from the intent to the outcome.
    pub duration_us: Option<u64>,
    /// The role that was given.
    pub role: Option<Role>,
    /// The right that was needed, given or missing.
    pub right: Option<Right>,
    /// Which person's reason belongs to this; its text is kept beside the record.
    pub reason_id: Option<[u8; 16]>,
    /// The API request, as the caller saw it in the answer.
    pub request_id: Option<[u8; 16]>,
    /// Other values that were opened only so that they could be looked for in the answer; of a lease, the secrets that it
    /// has placeholders for.
    pub secrets: Vec<SecretId>,
    /// SHA-256 of a published definition, which holds references and no values: public data.
    pub definition_hash: Option<[u8; 32]>,
    /// The lease whose placeholder stood in the request.
    pub lease: Option<LeaseId>,
}
