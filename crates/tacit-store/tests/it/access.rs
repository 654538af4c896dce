//! The statements about people, roles, grants and invitations: each is accepted, and each counts for its own workspace and
//! its own person only.

use tacit_model::{
    GrantId, InvitationId, Role, RoleId, RoleRef, Scope, SecretId, SessionId, UserId, WorkspaceId,
};
use tacit_store::{
    Change, Store, WriteError, grants,
    people::{self, Invitation, Session, SessionKind},
    principals, roles,
};

use crate::ground::{Ground, NOW, an_identity, event, id, identity_change, user};

async fn write(
    store: &Store,
    workspace: WorkspaceId,
    statement: tacit_store::Statement,
) -> Result<(), WriteError> {
    store.write(Change::new(workspace).and(statement)).await.map(drop)
}

/// Roles, grants, memberships and invitations of one workspace are none of another.
#[tokio::test]
async fn rights_of_one_workspace() {
    let ground = Ground::new();
    let store = &ground.store;
    store.write(identity_change(&an_identity())).await.unwrap();
    let ((a, environment), (b, _)) = (ground.workspace("a").await, ground.workspace("b").await);
    let role = roles::Role {
        id: id(RoleId::generate),
        name: "Looker".parse().unwrap(),
        rights: "secret.list secret.reveal".parse().unwrap(),
        created_at: NOW,
        updated_at: NOW,
    };
    let grant = grants::Grant {
        id: id(GrantId::generate),
        principal: [7; 16],
        kind: "user".to_owned(),
        role: RoleRef::Custom(role.id),
        scope: Scope {
            environment: Some(environment.id),
            folder: Some("pay/eu".parse().unwrap()),
            secret: Some(id(SecretId::generate)),
        },
        until: Some(NOW.plus_secs(10)),
        hash: Some([3; 32]),
        created_at: NOW,
        created_by: "user:owner".to_owned(),
    };
    let somebody = user("somebody");
    let invitation = Invitation {
        id: id(InvitationId::generate),
        token: [9; 32],
        name: "anna@example.com".parse().unwrap(),
        role: RoleRef::Custom(role.id),
        until: None,
        inviter: [7; 16],
        created_by: "user:owner".to_owned(),
        created_at: NOW,
        expires_at: NOW.plus_secs(10),
    };
    let change = Change::new(a)
        .and(roles::insert(a, &role))
        .and(grants::insert(a, &grant))
        .and(principals::insert_user(&somebody))
        .and(principals::insert_member(a, somebody.id, RoleRef::Custom(role.id), Some(NOW), NOW))
        .and(people::insert_invitation(a, &invitation));
    store.write(change).await.unwrap();
    let found = store.grant(a, grant.id).await.unwrap().unwrap();
    assert_eq!((&found.scope, found.until, found.hash), (&grant.scope, grant.until, grant.hash));
    assert_eq!(store.roles(a).await.unwrap()[0].rights, role.rights);
    assert_eq!(store.role_holders_count(a, role.id).await.unwrap(), 3);
    assert_eq!(store.members(a).await.unwrap()[0].until, Some(NOW));
    assert_eq!(store.workspace_of_invitation(&[9; 32]).await.unwrap().unwrap().as_str(), "a");
    assert_eq!(store.invitations(a).await.unwrap()[0].role, invitation.role);
    // From another workspace nothing of it is seen, changed or taken away.
    assert!(store.roles(b).await.unwrap().is_empty() && store.grants(b).await.unwrap().is_empty());
    assert!(store.grant(b, grant.id).await.unwrap().is_none());
    assert!(store.grants_of(b, &grant.principal).await.unwrap().is_empty());
    assert!(store.invitations(b).await.unwrap().is_empty());
    assert_eq!(store.role_holders_count(b, role.id).await.unwrap(), 0);
    for statement in [
        roles::update(b, &role),
        roles::delete(b, role.id),
        grants::delete(b, grant.id),
        people::delete_invitation(b, invitation.id),
        principals::update_member(b, somebody.id, Role::Owner.into(), None),
        principals::delete_member(b, somebody.id),
        // An environment of another workspace is none of this one's.
        grants::insert(b, &grants::Grant { id: id(GrantId::generate), ..grant.clone() }),
    ] {
        assert_eq!(write(store, b, statement).await, Err(WriteError::Conflict));
    }
    for statement in
        [grants::delete_of(b, &grant.principal), grants::delete_of_secret(b, grant.scope.secret.unwrap())]
    {
        write(store, b, statement).await.unwrap();
    }
    assert_eq!(store.grants_of(a, &grant.principal).await.unwrap().len(), 1);
    for statement in [
        roles::update(a, &roles::Role { rights: "deploy".parse().unwrap(), ..role.clone() }),
        principals::update_member(a, somebody.id, Role::Owner.into(), None),
        people::delete_invitation(a, invitation.id),
        grants::delete_of_secret(a, grant.scope.secret.unwrap()),
        grants::delete_of(a, &grant.principal),
        principals::delete_member(a, somebody.id),
        roles::delete(a, role.id),
    ] {
        write(store, a, statement).await.unwrap();
    }
    assert!(store.grants(a).await.unwrap().is_empty() && store.roles(a).await.unwrap().is_empty());
}

/// What belongs to a person is theirs alone, and what counts once is taken once.
#[tokio::test]
async fn what_people_have() {
    let ground = Ground::new();
    let store = &ground.store;
    store.write(identity_change(&an_identity())).await.unwrap();
    let (workspace, _) = ground.workspace("a").await;
    let (anna, eve) = (user("anna"), user("eve"));
    let session = |hash: u8, user: UserId| Session {
        hash: [hash; 32],
        id: id(SessionId::generate),
        user,
        kind: if hash == 1 { SessionKind::Cookie } else { SessionKind::Token },
        address: "127.0.0.1".to_owned(),
        created_at: NOW,
        expires_at: NOW.plus_secs(i64::from(hash)),
    };
    let (first, second, hers) = (session(1, anna.id), session(2, anna.id), session(3, eve.id));
    let change = Change::new(workspace)
        .and(principals::insert_user(&anna))
        .and(principals::insert_user(&eve))
        .and(people::set_password(anna.id, "one", NOW))
        .and(people::set_password(anna.id, "two", NOW))
        .and(people::insert_session(&first))
        .and(people::insert_session(&second))
        .and(people::insert_session(&hers))
        .and_all(people::set_recovery_codes(anna.id, &[[1; 32], [2; 32]]))
        .and(people::enrol_second_factor(anna.id, b"a"))
        .and(people::enrol_second_factor(anna.id, b"b"));
    store.write(change).await.unwrap();
    assert_eq!(store.password(anna.id).await.unwrap().as_deref(), Some("two"));
    assert_eq!(store.password(eve.id).await.unwrap(), None);
    assert_eq!(store.session(&[1; 32]).await.unwrap().unwrap().kind, SessionKind::Cookie);
    let factor = store.second_factor(anna.id).await.unwrap().unwrap();
    assert_eq!((factor.wrapped.as_slice(), factor.confirmed_at), (&b"b"[..], None));
    // No code is taken before it counts, none twice, none of an earlier step, and no second enrolment replaces it.
    assert_eq!(write(store, workspace, people::take_code(anna.id, 5)).await, Err(WriteError::Conflict));
    write(store, workspace, people::confirm_second_factor(anna.id, 5, NOW)).await.unwrap();
    for refused in [
        people::confirm_second_factor(anna.id, 6, NOW),
        people::enrol_second_factor(anna.id, b"c"),
        people::take_code(anna.id, 5),
        people::take_code(anna.id, 4),
        people::take_code(eve.id, 6),
        people::take_recovery_code(anna.id, &[3; 32]),
        people::take_recovery_code(eve.id, &[1; 32]),
        people::delete_session(eve.id, first.id),
    ] {
        assert_eq!(write(store, workspace, refused).await, Err(WriteError::Conflict));
    }
    write(store, workspace, people::take_code(anna.id, 6)).await.unwrap();
    write(store, workspace, people::take_recovery_code(anna.id, &[1; 32])).await.unwrap();
    assert_eq!(store.recovery_codes(anna.id).await.unwrap(), [[2; 32]]);
    write(store, workspace, people::delete_ended_sessions(anna.id, NOW.plus_secs(1))).await.unwrap();
    assert_eq!(store.sessions_of(anna.id).await.unwrap().len(), 1);
    write(store, workspace, people::delete_sessions_but(anna.id, Some(&second.hash))).await.unwrap();
    assert_eq!(store.sessions_of(anna.id).await.unwrap().len(), 1);
    write(store, workspace, people::delete_sessions_but(anna.id, None)).await.unwrap();
    assert!(store.sessions_of(anna.id).await.unwrap().is_empty());
    assert_eq!(store.sessions_of(eve.id).await.unwrap().len(), 1, "hers stay");
    store.write(Change::new(workspace).and_all(people::delete_second_factor(anna.id))).await.unwrap();
    assert!(store.second_factor(anna.id).await.unwrap().is_none());
    // A token of set-up is one person's, and ends by its id; a new beginning leaves nothing of before.
    let token = |hash: u8, user| principals::Token {
        id: id(tacit_model::TokenId::generate),
        hash: [hash; 32],
        owner: principals::TokenOwner::User(user),
        created_at: NOW,
        expires_at: None,
    };
    let (one, two) = (token(11, anna.id), token(12, anna.id));
    for token in [&one, &two] {
        write(store, workspace, principals::insert_token(token)).await.unwrap();
    }
    let others = principals::delete_token_of_user(eve.id, one.id);
    assert_eq!(write(store, workspace, others).await, Err(WriteError::Conflict));
    write(store, workspace, principals::delete_token_of_user(anna.id, one.id)).await.unwrap();
    assert_eq!(store.tokens_of_user(anna.id).await.unwrap()[0].id, two.id);
    write(store, workspace, people::delete_tokens_of_user(anna.id)).await.unwrap();
    assert!(store.tokens_of_user(anna.id).await.unwrap().is_empty());
    store.write(Change::new(workspace).and(people::enrol_second_factor(anna.id, b"d"))).await.unwrap();
    for _ in 0..2 {
        store.write(Change::new(workspace).and_all(people::clear_second_factor(anna.id))).await.unwrap();
    }
    assert!(store.second_factor(anna.id).await.unwrap().is_none());
    write(store, workspace, people::delete_password(anna.id)).await.unwrap();
    assert_eq!(store.password(anna.id).await.unwrap(), None);
    let admin = store.instance_admin().await.unwrap().map(|user| user.id);
    assert_eq!(admin, [&anna, &eve].into_iter().find(|user| user.instance_admin).map(|user| user.id));
}

/// A change of a person counts in all their workspaces at once, or in none.
#[tokio::test]
async fn changes_of_several_workspaces() {
    let ground = Ground::new();
    let store = &ground.store;
    store.write(identity_change(&an_identity())).await.unwrap();
    let ((a, _), (b, _)) = (ground.workspace("a").await, ground.workspace("b").await);
    let somebody = user("somebody");
    let change = || {
        let told = |workspace| Change::new(workspace).bump().record(&event(workspace, "somebody"));
        told(a).and(principals::insert_user(&somebody)).and_elsewhere(told(b))
    };
    let stand = async || {
        let mut stand = Vec::new();
        for workspace in [a, b] {
            let events = store.events_from(workspace, 0, 100).await.unwrap().len();
            stand.push((store.revision(workspace).await.unwrap(), events));
        }
        stand
    };
    let before = stand().await;
    store.write(change()).await.unwrap();
    let after: Vec<_> = before.iter().map(|(revision, events)| (revision + 1, events + 1)).collect();
    assert_eq!(stand().await, after);
    // The name is taken now: neither workspace hears of it.
    assert!(matches!(store.write(change()).await, Err(WriteError::Taken)));
    assert_eq!(stand().await, after);
}
