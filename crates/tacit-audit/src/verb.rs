//! What can be done: the closed list of verbs.
//!
//! Listing and describing are not here: they yield no value and change nothing, and a record that is mostly reads is
//! one that nobody reads.

use crate::closed::closed;

closed! {
    /// What was done, tried or refused. Numbers leave room within each noun.
    Verb, UnknownVerb, "a verb of the record";

    /// A workspace came to be.
    WorkspaceCreate = 1, "workspace.create";
    /// Its settings changed.
    WorkspaceUpdate = 2, "workspace.update";
    /// It was removed.
    WorkspaceDelete = 3, "workspace.delete";

    /// An environment came to be.
    EnvironmentCreate = 10, "environment.create";
    /// Its settings changed.
    EnvironmentUpdate = 11, "environment.update";
    /// It was removed.
    EnvironmentDelete = 12, "environment.delete";

    /// A secret came to be.
    SecretCreate = 20, "secret.create";
    /// Its description, folder or dates changed.
    SecretUpdate = 21, "secret.update";
    /// It got a new version of its value.
    SecretRotate = 22, "secret.rotate";
    /// An earlier version became the current one.
    SecretRollback = 23, "secret.rollback";
    /// Its value was shown to someone.
    SecretReveal = 24, "secret.reveal";
    /// Its value was put into a request.
    SecretUse = 25, "secret.use";
    /// Where it may go changed.
    SecretPolicy = 26, "secret.policy";
    /// It was stopped from being used.
    SecretDisable = 27, "secret.disable";
    /// It may be used again.
    SecretEnable = 28, "secret.enable";
    /// It was deleted, and can be restored.
    SecretDelete = 29, "secret.delete";
    /// It was taken back from deletion.
    SecretRestore = 30, "secret.restore";
    /// It is gone for good.
    SecretPurge = 31, "secret.purge";
    /// Someone asked whether values are the same.
    SecretCompare = 32, "secret.compare";
    /// An empty slot was proposed, for somebody to fill.
    SecretPropose = 33, "secret.propose";
    /// An earlier version was past its window, or its value was taken away, and its ciphertext is destroyed.
    SecretDestroy = 34, "secret.destroy";
    /// A date of it is near.
    SecretDue = 35, "secret.due";
    /// The date by which it should have been rotated has passed.
    SecretOverdue = 36, "secret.overdue";
    /// Its credential has come to its end.
    SecretExpire = 37, "secret.expire";

    /// A variable came to be.
    VariableCreate = 40, "variable.create";
    /// Its description changed.
    VariableUpdate = 41, "variable.update";
    /// It got a value in an environment.
    VariableSet = 42, "variable.set";
    /// It was removed.
    VariableDelete = 43, "variable.delete";

    /// A person joined.
    MemberAdd = 50, "member.add";
    /// A person's role changed.
    MemberUpdate = 51, "member.update";
    /// A person left.
    MemberRemove = 52, "member.remove";
    /// Someone signed in.
    SessionCreate = 53, "session.create";
    /// Someone signed out.
    SessionDelete = 54, "session.delete";

    /// Someone set another password.
    PasswordChange = 55, "password.change";
    /// Someone's second factor counts from now on, or has new recovery codes.
    SecondFactorEnable = 56, "second-factor.enable";
    /// Someone removed their second factor.
    SecondFactorDisable = 57, "second-factor.disable";
    /// Someone was invited.
    InvitationCreate = 58, "invitation.create";
    /// An invitation was taken back.
    InvitationDelete = 59, "invitation.delete";

    /// A machine's account came to be.
    ServiceAccountCreate = 60, "service-account.create";
    /// It was removed.
    ServiceAccountDelete = 61, "service-account.delete";
    /// A token was issued.
    TokenCreate = 62, "token.create";
    /// A token was revoked.
    TokenRevoke = 63, "token.revoke";

    /// Somebody who could not sign in any more got a new beginning: no password, no second factor, no session.
    MemberReset = 64, "member.reset";

    /// A right was granted.
    GrantCreate = 70, "grant.create";
    /// A right was withdrawn.
    GrantDelete = 71, "grant.delete";
    /// A custom role came to be.
    RoleCreate = 72, "role.create";
    /// Its rights changed.
    RoleUpdate = 73, "role.update";
    /// It was removed.
    RoleDelete = 74, "role.delete";

    /// A definition became the one that runs.
    AutomationPublish = 80, "automation.publish";
    /// An automation was removed.
    AutomationDelete = 81, "automation.delete";
    /// A run began.
    RunStart = 82, "run.start";
    /// A run came to its end.
    RunFinish = 83, "run.finish";
    /// A run was stopped.
    RunCancel = 84, "run.cancel";
    /// Automations moved between environments.
    Deploy = 85, "deploy";
    /// A deployment was taken back.
    DeployRollback = 86, "deploy.rollback";

    /// An automation's triggers fire in an environment from then on.
    TriggerEnable = 87, "trigger.enable";
    /// They do not any more.
    TriggerDisable = 88, "trigger.disable";
    /// A webhook got another token.
    TriggerRotate = 89, "trigger.rotate";

    /// A sealed request that carries no secret was sent.
    RequestSend = 90, "request.send";
    /// Placeholders were handed out.
    LeaseCreate = 91, "lease.create";
    /// Placeholders became worthless.
    LeaseRevoke = 92, "lease.revoke";
    /// Placeholders live longer.
    LeaseRenew = 93, "lease.renew";

    /// An OAuth connection was made.
    ConnectionCreate = 100, "connection.create";
    /// It was made again.
    ConnectionReconnect = 101, "connection.reconnect";
    /// It was revoked.
    ConnectionRevoke = 102, "connection.revoke";

    /// Somebody asked who may do what, and may not.
    AccessExplain = 109, "access.explain";

    /// The record was exported.
    AuditExport = 110, "audit.export";
    /// Definitions and references were exported.
    ConfigurationExport = 111, "configuration.export";
    /// Definitions and references were imported.
    ConfigurationImport = 112, "configuration.import";
    /// A key was replaced.
    KeyRotate = 113, "key.rotate";
    /// A backup was written.
    BackupCreate = 114, "backup.create";
    /// A backup was read back.
    BackupRestore = 115, "backup.restore";

    /// An agent got a session of its own.
    AgentSessionCreate = 120, "agent-session.create";
    /// An agent's session ended.
    AgentSessionRevoke = 121, "agent-session.revoke";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Word and number each name exactly one verb.
    #[test]
    fn verbs_are_distinct_and_read_back() {
        for (at, verb) in Verb::ALL.iter().enumerate() {
            assert_eq!(verb.as_str().parse(), Ok(*verb));
            assert_eq!(Verb::from_number(verb.number()), Some(*verb));
            assert!(Verb::ALL[..at].iter().all(|earlier| earlier.number() < verb.number()));
            assert!(verb.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'-'));
        }
        assert_eq!("secret.list".parse::<Verb>(), Err(UnknownVerb));
        assert_eq!(Verb::from_number(0), None);
    }
}
