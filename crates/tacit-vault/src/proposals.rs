//! Proposals: empty slots that somebody who may not write secrets asks for, and that a person fills.
//!
//! A proposal is a secret without a value and without destinations in force. Where its proposer would have it go is kept
//! beside it, shown to whoever fills it, and never takes effect by itself.

use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_model::{
    Code, Destinations, Problem, Right, Scope, SecretId, SecretName, SecretType, Visibility, limits,
    name::Folder,
};
use tacit_store::secrets as rows;

use crate::{
    Caller, Stop, Vault,
    access::Access,
    authorize::require,
    new_id,
    secrets::{SecretOverview, check_texts, name_taken},
    settle_change,
};

/// What is proposed.
#[derive(Clone, Debug)]
pub struct NewProposal {
    /// The name.
    pub name: SecretName,
    /// The type.
    pub kind: SecretType,
    /// Who may ever look.
    pub visibility: Visibility,
    /// What it is for.
    pub description: String,
    /// The folder.
    pub folder: Folder,
    /// Where it should go, in the proposer's words.
    pub destinations: Destinations,
}

impl Vault {
    /// Makes an empty slot, for somebody with `secret.write` to fill.
    ///
    /// # Errors
    /// `forbidden` with neither `automation.write` nor `secret.write`; `name_taken`, `validation_failed`; `rate_limited`
    /// when too many wait already.
    pub async fn propose_secret(
        &self,
        caller: &Caller,
        new: &NewProposal,
    ) -> Result<SecretOverview, Problem> {
        settle_change!(self, caller, |access| self.propose_secret_once(&access, new))
    }

    async fn propose_secret_once(&self, access: &Access, new: &NewProposal) -> Result<SecretOverview, Stop> {
        let id = new_id!(SecretId, access.now);
        let object = Object::new(ObjectKind::Secret, *id.as_bytes(), new.name.as_str());
        let rights = access.rights_at(&Scope::folder(&new.folder));
        if let Err(problem) = require(rights, Right::AutomationWrite)
            .or_else(|problem| require(rights, Right::SecretWrite).map_err(|_| problem))
        {
            return Err(self.refuse(access, Verb::SecretPropose, object, problem).await);
        }
        check_texts(&new.description, &new.destinations, None)?;
        let workspace = access.view.workspace.id;
        if self.name_is_taken(access, &new.name).await? {
            return Err(name_taken(&new.name).into());
        }
        self.check_room(access).await?;
        if self.0.store.proposals_count(workspace).await? >= limits::PROPOSALS_MAX as i64 {
            let problem = Problem::new(
                Code::RateLimited,
                format!("{} proposals wait for a value already", limits::PROPOSALS_MAX),
            )
            .suggest("fill or delete some of them first: tacit secrets list --state proposed");
            return Err(self.refuse(access, Verb::SecretPropose, object, problem).await);
        }
        let secret = rows::Secret {
            id,
            name: new.name.clone(),
            kind: new.kind,
            visibility: new.visibility,
            description: new.description.clone(),
            folder: new.folder.clone(),
            destinations: Destinations::default(),
            rotate_every_days: None,
            expires_at: None,
            disabled: false,
            deleted_at: None,
            created_at: access.now,
            created_by: access.principal.actor.to_string(),
            updated_at: access.now,
            proposed: true,
            suggested_destinations: new.destinations.clone(),
            rotate_at: None,
            purge_at: None,
        };
        let event = self.event(access, Verb::SecretPropose, object, Outcome::Succeeded, Detail::default());
        let change = self.change(access).bump().and_all(rows::insert(workspace, &secret)).record(&event);
        self.0.store.write(change).await?;
        self.overview_of(access, secret, Vec::new()).await
    }
}
