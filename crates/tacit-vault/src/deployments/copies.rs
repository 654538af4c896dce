//! Values copied from one environment into another: never opened, and never to people who could not have them anyway.

use tacit_audit::{Detail, Event, Outcome, Verb};
use tacit_model::{Code, Problem, Right, Rights, Scope, Visibility};
use tacit_store::{Statement, secrets as rows, workspaces::Environment};

use crate::{
    Stop, Vault,
    access::{Access, Snapshot},
    authorize,
    secrets::object_of,
    values::current_version,
    versions::Part,
};

/// A value's next version, sealed, with what else happens by it.
pub(super) struct Resealed {
    pub(super) version: i64,
    pub(super) statements: Vec<Statement>,
    /// Versions that are past their window by it.
    pub(super) pruned: Part,
    pub(super) event: Event,
}

impl Vault {
    /// Whether a value may be copied as far as others are concerned. In the other environment other people may use it or
    /// look at it. What somebody gains there, beyond what they hold where it comes from, whoever copies must hold where it
    /// comes from, as if they granted it; so nobody can copy a value to where they may look at it themselves.
    pub(super) async fn check_copy(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        (from, to): (&Environment, &Environment),
    ) -> Result<(), Stop> {
        let secret = &snapshot.secret;
        let at = |environment: &Environment| Scope::secret(secret.id, &secret.folder, Some(environment.id));
        let (source, target) = (at(from), at(to));
        let wanted = match secret.visibility {
            Visibility::Masked => Rights::of(&[Right::SecretUse, Right::SecretReveal]),
            Visibility::Restricted => Rights::of(&[Right::SecretUse]),
        };
        let mut gained = Rights::NONE;
        for grant in self.0.store.grants(access.view.workspace.id).await? {
            let is_live = grant.until.is_none_or(|end| end > access.now);
            let reaches = grant.scope.covers(&target) && !grant.scope.covers(&source);
            // What automations may use was decided by whoever published or granted it.
            if !is_live || !reaches || grant.kind == "automation" {
                continue;
            }
            let rights = access.view.role(grant.role).1.and(wanted);
            let held = self.held_by(access, &grant).await?;
            let held = held.iter().filter(|held| held.lasts(access.now, None) && held.scope.covers(&source));
            gained = gained.or(rights.minus(held.fold(Rights::NONE, |sum, held| sum.or(held.rights))));
        }
        for right in [Right::SecretUse, Right::SecretReveal] {
            if gained.has(right)
                && let Err(mut problem) = authorize::require(access.rights_at(&source), right)
            {
                problem.detail = format!(
                    "copying `{}` gives `{right}` of its value to somebody who does not have it where it comes from, and for \
                     that you need `{right}` there",
                    secret.name
                );
                return Err(problem.into());
            }
        }
        self.check_aim(access, snapshot, (from, to)).await
    }

    /// Whether the value may go further there than where it comes from. Destinations may be for one environment only, and a
    /// copy would take a value of `live` to a host that is for values of `test`: that is aiming the value wider.
    async fn check_aim(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        (from, to): (&Environment, &Environment),
    ) -> Result<(), Stop> {
        let secret = &snapshot.secret;
        let aimed = |environment: &Environment| secret.destinations.in_environment(&environment.name);
        let widens = if secret.destinations.is_empty() {
            // Then it goes where automations are pinned to.
            let pins = self.0.store.pinned_origins(access.view.workspace.id, secret.id).await?;
            let (there, here): (Vec<_>, Vec<_>) = pins
                .into_iter()
                .filter(|(at, _)| *at == to.id || *at == from.id)
                .partition(|(at, _)| *at == to.id);
            there.iter().any(|(_, origin)| !here.iter().any(|(_, known)| known == origin))
        } else {
            !aimed(to).is_within(&aimed(from))
        };
        if !widens {
            return Ok(());
        }
        let what = format!(
            "in `{}` the value of `{}` could go further than in `{}`",
            to.name, secret.name, from.name
        );
        if secret.visibility == Visibility::Restricted {
            return Err(Problem::new(Code::RestrictedSecret, format!("{what}, and it is restricted"))
                .suggest("set a value of its own there")
                .into());
        }
        for right in [Right::SecretPolicy, Right::SecretReveal] {
            if let Err(mut problem) = authorize::require(access.rights_on(secret, Some(from.id)), right) {
                problem.detail = format!(
                    "{what}: to copy it is to aim it, and for that you need `{right}` in `{}`",
                    from.name
                );
                return Err(problem.into());
            }
        }
        Ok(())
    }

    /// The value in force of one environment as the next version of another one.
    pub(super) async fn copied_version(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        (from, to): (&Environment, &Environment),
    ) -> Result<Resealed, Stop> {
        let rights = access.rights_on(&snapshot.secret, Some(to.id));
        let proofs = authorize::reseal_for_copy(rights, snapshot, (from.id, to.id), access.view.revision)?;
        let versions = self.sealed_versions(&access.view, snapshot.secret.id, from.id).await?;
        let old = current_version(snapshot, from.id, &versions)?;
        self.resealed(access, snapshot, to, (&proofs.0, &proofs.1), old, Verb::SecretRotate).await
    }

    /// An earlier version as the next one.
    pub(super) async fn earlier_version(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        environment: &Environment,
        old: &rows::Version,
    ) -> Result<Resealed, Stop> {
        let rights = access.rights_on(&snapshot.secret, Some(environment.id));
        let revision = access.view.revision;
        let proof = authorize::reseal_for_rollback(rights, snapshot, environment.id, revision)?;
        self.resealed(access, snapshot, environment, (&proof, &proof), old, Verb::SecretRollback).await
    }

    async fn resealed(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        to: &Environment,
        proofs: (&authorize::Authorized<authorize::Reseal>, &authorize::Authorized<authorize::Reseal>),
        old: &rows::Version,
        verb: Verb,
    ) -> Result<Resealed, Stop> {
        let workspace = access.view.workspace.id;
        let version = self.next_version(access, snapshot, to.id).await?;
        let destinations = &snapshot.secret.destinations;
        let row = rows::Version {
            version,
            sealed: self.reseal(workspace, proofs, snapshot, old, destinations, version).await?,
            shown: old.shown.clone(),
            created_at: access.now,
            created_by: access.principal.actor.to_string(),
            reason: None,
            fingerprint: old.fingerprint,
        };
        let detail = Detail { version: Some(version.unsigned_abs()), ..Detail::default() };
        let mut event = self.event(access, verb, object_of(snapshot), Outcome::Succeeded, detail);
        event.environment = Some(to.name.clone());
        Ok(Resealed {
            version,
            statements: rows::insert_version(workspace, snapshot.secret.id, to.id, &row).into(),
            pruned: self.prune(access, snapshot, to.id, version).await?,
            event,
        })
    }
}
