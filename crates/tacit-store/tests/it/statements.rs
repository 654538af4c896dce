//! Every statement is one that the engine accepts: all public functions run once, on an empty database and on rows.

use tacit_model::{
    AgentSessionId, AutomationId, EnvironmentId, LeaseId, Role, SecretId, ServiceAccountId, TokenId, UserId,
    VariableId, WorkspaceId,
};
use tacit_store::{
    Change, Store, agent_sessions, automations,
    events::Filter,
    keys::{self, WrappedKey},
    leases,
    principals::{self, ServiceAccount, Token, TokenOwner},
    secrets, variables, workspaces,
};

use crate::ground::{Ground, NOW, an_identity, event, id, identity_change, secret, user, version};

/// Calls every function that reads; returns how many rows they found together.
async fn read_everything(
    store: &Store,
    workspace: WorkspaceId,
    environment: EnvironmentId,
    of: &Ids,
) -> usize {
    let mut rows = 0;
    rows += usize::from(store.is_initialised().await.unwrap());
    rows += usize::from(store.revision(workspace).await.unwrap() > 0);
    rows += store.workspace(&"a".parse().unwrap()).await.unwrap().iter().count();
    rows += store.workspaces().await.unwrap().len();
    rows += store.environments(workspace).await.unwrap().len();
    rows += store.workspace_keys(workspace).await.unwrap().len();
    rows += store.data_keys(workspace, environment).await.unwrap().len();
    rows += store.user(of.user).await.unwrap().iter().count();
    rows += store.user_named("somebody").await.unwrap().iter().count();
    rows += store.member(workspace, of.user).await.unwrap().iter().count();
    rows += store.members(workspace).await.unwrap().len();
    rows += store.workspaces_of(of.user).await.unwrap().len();
    rows += store.service_account(workspace, of.account).await.unwrap().iter().count();
    rows += store.service_account_named(workspace, "ci").await.unwrap().iter().count();
    rows += store.service_accounts(workspace).await.unwrap().len();
    rows += store.token(&[1; 32]).await.unwrap().iter().count();
    rows += store.tokens_of(workspace, of.account).await.unwrap().len();
    rows += store.secret(workspace, "name").await.unwrap().iter().count();
    rows += store.secret_by_id(workspace, of.secret).await.unwrap().iter().count();
    let filter = secrets::Filter {
        search: Some("name".to_owned()),
        kind: Some(tacit_model::SecretType::Text),
        environment: Some(environment),
        after: Some(String::new()),
        limit: 10,
        ..secrets::Filter::default()
    };
    rows += store.secrets(workspace, &filter).await.unwrap().len();
    rows += usize::try_from(store.secrets_count(workspace).await.unwrap()).unwrap();
    let host = tacit_model::Host::parse("api.example.com").unwrap();
    let host_keys = tacit_model::destination::HostPattern::index_keys_for(&host);
    rows += store.secrets_at_host(workspace, &host_keys, 10).await.unwrap().len();
    rows += store.deleted_before(workspace, NOW.plus_secs(1), NOW).await.unwrap().len();
    rows += usize::try_from(store.versions_beyond(workspace, NOW, 1, true).await.unwrap()).unwrap();
    rows += store.values(workspace, of.secret).await.unwrap().len();
    rows += usize::from(store.latest_version(workspace, of.secret, environment).await.unwrap() > 0);
    rows += store.versions(workspace, of.secret, environment).await.unwrap().len();
    rows += store.variable(workspace, "variable").await.unwrap().iter().count();
    rows += store.variables(workspace, "", 10).await.unwrap().len();
    rows += store.variable_values(workspace, of.variable).await.unwrap().len();
    rows += store.variable_value(workspace, "variable", environment).await.unwrap().iter().count();
    rows += store.automation(workspace, "automation").await.unwrap().iter().count();
    rows += store.automations(workspace, "", 10).await.unwrap().len();
    rows += store.published(workspace, of.automation).await.unwrap().len();
    rows += store.automation_grants(workspace, of.automation, environment).await.unwrap().len();
    rows += store.automations_using(workspace, of.secret).await.unwrap().len();
    rows += store.lease_of_token(&[6; 32]).await.unwrap().iter().count();
    rows += store.lease(workspace, of.lease).await.unwrap().iter().count();
    rows += store.lease_secrets(workspace, of.lease).await.unwrap().len();
    rows += store.leases(workspace, None, NOW, 10).await.unwrap().len();
    rows += store.leases(workspace, Some(&[8; 16]), NOW, 10).await.unwrap().len();
    rows += usize::try_from(store.open_leases_count(workspace, &[8; 16], NOW).await.unwrap()).unwrap();
    rows += store.open_leases(workspace, NOW).await.unwrap().len();
    rows +=
        usize::try_from(store.leases_ended_before(workspace, NOW.plus_secs(1000)).await.unwrap()).unwrap();
    rows += store.agent_session_of_token(&[7; 32]).await.unwrap().iter().count();
    rows += store.agent_session(workspace, of.session).await.unwrap().iter().count();
    rows += store.agent_sessions(workspace, Some(&[8; 16]), NOW, 10).await.unwrap().len();
    rows += store.open_agent_sessions(workspace, None, NOW).await.unwrap().len();
    let ended = store.agent_sessions_ended_before(workspace, NOW.plus_secs(1000)).await.unwrap();
    rows += usize::try_from(ended).unwrap();
    rows += usize::try_from(store.proposals_count(workspace).await.unwrap()).unwrap();
    rows += store.events(workspace, &Filter { limit: 10, ..Filter::default() }).await.unwrap().len();
    rows += store.events_from(workspace, 0, 10).await.unwrap().len();
    rows
}

/// Ids of rows that may or may not be there.
struct Ids {
    user: UserId,
    account: ServiceAccountId,
    secret: SecretId,
    variable: VariableId,
    automation: AutomationId,
    lease: LeaseId,
    session: AgentSessionId,
}

/// On an empty database every read finds nothing, and none is refused.
#[tokio::test]
async fn every_read_prepares() {
    let ground = Ground::new();
    let of = Ids {
        user: id(UserId::generate),
        account: id(ServiceAccountId::generate),
        secret: id(SecretId::generate),
        variable: id(VariableId::generate),
        automation: id(AutomationId::generate),
        lease: id(LeaseId::generate),
        session: id(AgentSessionId::generate),
    };
    let (workspace, environment) = (id(WorkspaceId::generate), id(EnvironmentId::generate));
    assert_eq!(read_everything(&ground.store, workspace, environment, &of).await, 0);
}

/// Every write finds its table, its columns and its keys; every read finds what was written; and all of it can go again.
#[tokio::test]
async fn every_write_prepares() {
    let ground = Ground::new();
    let store = &ground.store;
    store.write(identity_change(&an_identity())).await.unwrap();
    let (workspace, environment) = ground.workspace("a").await;
    let environment = environment.id;
    let somebody = user("somebody");
    let account = ServiceAccount {
        id: id(ServiceAccountId::generate),
        name: "ci".parse().unwrap(),
        role: Role::Editor.into(),
        created_at: NOW,
    };
    let token = |hash: u8, owner| Token {
        id: id(TokenId::generate),
        hash: [hash; 32],
        owner,
        created_at: NOW,
        expires_at: Some(NOW),
    };
    let (of_user, of_account) = (
        token(1, TokenOwner::User(somebody.id)),
        token(2, TokenOwner::ServiceAccount(workspace, account.id)),
    );
    let key = |parent| WrappedKey { generation: 1, parent, wrapped: vec![5; 60] };
    let mut kept = secret("Name");
    kept.destinations =
        serde_json::from_str(r#"[{"host": "api.example.com"}, {"host": "*.example.com"}]"#).unwrap();
    let mut gone = secret("gone");
    gone.deleted_at = Some(NOW);
    let variable = variables::Variable {
        id: id(VariableId::generate),
        name: "variable".parse().unwrap(),
        description: String::new(),
        folder: "".parse().unwrap(),
        created_at: NOW,
        updated_at: NOW,
    };
    let automation = automations::Automation {
        id: id(AutomationId::generate),
        name: "automation".parse().unwrap(),
        created_at: NOW,
    };
    let published = automations::Published {
        environment,
        definition: "{}".to_owned(),
        hash: [3; 32],
        published_at: NOW,
        published_by: "user:owner".to_owned(),
    };
    let grant = automations::Grant {
        secret: kept.id,
        hash: [3; 32],
        pinned: Some("https://api.example.com".to_owned()),
        granted_by: "user:owner".to_owned(),
        fields: vec![("charge".to_owned(), "auth".to_owned())],
    };
    let lease = leases::Lease {
        id: id(LeaseId::generate),
        token: [6; 32],
        creator: [1; 32],
        principal: [8; 16],
        behalf_of: None,
        created_by: "user:owner".to_owned(),
        environment,
        other_hosts: "tunnel".to_owned(),
        allow_from: "127.0.0.1/32".to_owned(),
        requests_max: Some(5),
        ttl_secs: 900,
        created_at: NOW,
        expires_at: NOW.plus_secs(900),
        ends_at_latest: NOW.plus_secs(86_400),
        ended_at: None,
    };
    let leased = leases::LeaseSecret { alias: "NAME".to_owned(), secret: kept.id, placeholder: [9; 32] };
    let session = agent_sessions::AgentSession {
        workspace,
        id: id(AgentSessionId::generate),
        token: [7; 32],
        creator: [1; 32],
        principal: [8; 16],
        created_by: "user:owner".to_owned(),
        name: "triage".parse().unwrap(),
        requests_max: 500,
        created_at: NOW,
        expires_at: NOW.plus_secs(900),
        ended_at: None,
    };
    let mut proposal = secret("proposal");
    proposal.proposed = true;
    proposal.suggested_destinations = kept.destinations.clone();
    let change = Change::new(workspace)
        .bump()
        .and(keys::insert_workspace_key(workspace, &key(0)))
        .and(keys::insert_data_key(workspace, environment, &key(1)))
        .and(principals::insert_user(&somebody))
        .and(principals::insert_member(workspace, somebody.id, Role::Owner.into(), None, NOW))
        .and(principals::insert_service_account(workspace, &account))
        .and(principals::insert_token(&of_user))
        .and(principals::insert_token(&of_account))
        .and_all(secrets::insert(workspace, &kept))
        .and_all(secrets::insert(workspace, &gone))
        .and_all(secrets::insert_version(workspace, kept.id, environment, &version(1)))
        .and_all(secrets::insert_version(workspace, kept.id, environment, &version(2)))
        .and_all(variables::insert(workspace, &variable))
        .and(variables::set_value(workspace, variable.id, environment, "one", NOW))
        .and(variables::set_value(workspace, variable.id, environment, "two", NOW))
        .and(automations::insert(workspace, &automation))
        .and_all(automations::publish(workspace, automation.id, &published, std::slice::from_ref(&grant)))
        .and_all(leases::insert(workspace, &lease, std::slice::from_ref(&leased)))
        .and(agent_sessions::insert(&session))
        .and_all(secrets::insert(workspace, &proposal))
        .record(&event(workspace, "all"));
    store.write(change).await.unwrap();
    let of = Ids {
        user: somebody.id,
        account: account.id,
        secret: kept.id,
        variable: variable.id,
        automation: automation.id,
        lease: lease.id,
        session: session.id,
    };
    assert_eq!(read_everything(store, workspace, environment, &of).await, 54);
    let only =
        |proposed| secrets::Filter { proposed: Some(proposed), limit: 10, ..secrets::Filter::default() };
    let found = store.secrets(workspace, &only(true)).await.unwrap();
    assert_eq!((found.len(), &found[0].secret.suggested_destinations), (1, &kept.destinations));
    assert!(found[0].secret.destinations.is_empty(), "a suggestion is not in force");
    assert_eq!(store.secrets(workspace, &only(false)).await.unwrap().len(), 1);
    assert_eq!(
        store.variable_value(workspace, "variable", environment).await.unwrap().as_deref(),
        Some("two")
    );

    let change = Change::new(workspace)
        .and(workspaces::update_settings(workspace, &workspaces::Settings::default()))
        .and_all(secrets::update(workspace, &kept))
        .and(secrets::reseal_version(workspace, kept.id, environment, 1, &[4]))
        .and(secrets::set_value_disabled(workspace, kept.id, environment, true))
        .and(secrets::destroy_version(workspace, kept.id, environment, 1, NOW))
        .and(variables::update(workspace, &variable))
        .and_all(automations::publish(workspace, automation.id, &published, std::slice::from_ref(&grant)))
        .and(automations::delete_grants_of(workspace, kept.id))
        .and(principals::delete_token(workspace, account.id, of_account.id))
        .and(leases::renew(workspace, lease.id, NOW.plus_secs(950)))
        .and(leases::end(workspace, lease.id, NOW))
        .and(agent_sessions::end(workspace, session.id, NOW))
        .and(secrets::accept_proposal(workspace, proposal.id));
    store.write(change).await.unwrap();
    assert!(store.lease(workspace, lease.id).await.unwrap().unwrap().ended_at.is_some());
    assert_eq!(store.proposals_count(workspace).await.unwrap(), 0);
    for again in [
        leases::end(workspace, lease.id, NOW),
        leases::renew(workspace, lease.id, NOW.plus_secs(2000)),
        agent_sessions::end(workspace, session.id, NOW),
    ] {
        assert!(store.write(Change::new(workspace).and(again)).await.is_err(), "what ended stays ended");
    }
    assert!(store.values(workspace, kept.id).await.unwrap()[0].disabled);

    let change = Change::new(workspace)
        .and_all(automations::delete(workspace, automation.id))
        .and_all(secrets::purge(workspace, &kept))
        .and_all(secrets::purge(workspace, &gone))
        .and_all(secrets::purge(workspace, &proposal))
        .and_all(leases::delete_ended_before(workspace, NOW.plus_secs(1)))
        .and(agent_sessions::delete_ended_before(workspace, NOW.plus_secs(1)))
        .and_all(variables::delete(workspace, &variable))
        .and_all(principals::delete_service_account(workspace, account.id));
    store.write(change).await.unwrap();
    assert_eq!(store.secrets_count(workspace).await.unwrap(), 0);
}
