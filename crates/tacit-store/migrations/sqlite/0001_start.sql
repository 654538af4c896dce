-- Every key begins with the workspace, so that no statement can forget the tenant and any engine can shard by it.
-- Ids are 16 bytes, times are milliseconds since 1970 UTC, flags are 0 or 1.

CREATE TABLE workspaces (
    id                     BLOB    NOT NULL PRIMARY KEY,
    name                   TEXT    NOT NULL UNIQUE,
    revision               INTEGER NOT NULL,
    version_keep_days      INTEGER NOT NULL,
    version_keep_count     INTEGER NOT NULL,
    deletion_window_days   INTEGER NOT NULL,
    allow_protected_delete INTEGER NOT NULL,
    created_at             INTEGER NOT NULL
) STRICT;

CREATE TABLE workspace_keys (
    workspace  BLOB    NOT NULL REFERENCES workspaces (id),
    generation INTEGER NOT NULL,
    wrapped    BLOB    NOT NULL,
    PRIMARY KEY (workspace, generation)
) STRICT;

CREATE TABLE environments (
    workspace  BLOB    NOT NULL REFERENCES workspaces (id),
    id         BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    protected  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, name)
) STRICT;

CREATE TABLE data_keys (
    workspace   BLOB    NOT NULL,
    environment BLOB    NOT NULL,
    generation  INTEGER NOT NULL,
    parent      INTEGER NOT NULL,
    wrapped     BLOB    NOT NULL,
    PRIMARY KEY (workspace, environment, generation),
    FOREIGN KEY (workspace, environment) REFERENCES environments (workspace, id)
) STRICT;

CREATE TABLE users (
    id             BLOB    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL,
    name_key       TEXT    NOT NULL UNIQUE,
    instance_admin INTEGER NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    workspace  BLOB    NOT NULL REFERENCES workspaces (id),
    user_id    BLOB    NOT NULL REFERENCES users (id),
    role       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, user_id)
) STRICT;

CREATE TABLE service_accounts (
    workspace  BLOB    NOT NULL REFERENCES workspaces (id),
    id         BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    name_key   TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, name_key)
) STRICT;

-- A token belongs to a person (no workspace) or to a service account of one workspace. Only its hash is here.
CREATE TABLE tokens (
    hash            BLOB    NOT NULL PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE,
    user_id         BLOB    REFERENCES users (id),
    workspace       BLOB    REFERENCES workspaces (id),
    service_account BLOB,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    FOREIGN KEY (workspace, service_account) REFERENCES service_accounts (workspace, id),
    CHECK ((user_id IS NULL) <> (service_account IS NULL))
) STRICT;

-- Secrets and variables share one panel and so one set of names.
CREATE TABLE names (
    workspace BLOB NOT NULL REFERENCES workspaces (id),
    name_key  TEXT NOT NULL,
    owner     BLOB NOT NULL,
    PRIMARY KEY (workspace, name_key)
) STRICT;

CREATE TABLE secrets (
    workspace         BLOB    NOT NULL REFERENCES workspaces (id),
    id                BLOB    NOT NULL,
    name              TEXT    NOT NULL,
    name_key          TEXT    NOT NULL,
    kind              TEXT    NOT NULL,
    visibility        TEXT    NOT NULL,
    description       TEXT    NOT NULL,
    folder            TEXT    NOT NULL,
    destinations      TEXT    NOT NULL,
    rotate_every_days INTEGER,
    expires_at        INTEGER,
    disabled          INTEGER NOT NULL,
    deleted_at        INTEGER,
    created_at        INTEGER NOT NULL,
    created_by        TEXT    NOT NULL,
    updated_at        INTEGER NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, name_key)
) STRICT;

-- One row for each environment in which the secret has a value; `latest` only ever grows.
CREATE TABLE secret_values (
    workspace   BLOB    NOT NULL,
    secret      BLOB    NOT NULL,
    environment BLOB    NOT NULL,
    current     INTEGER NOT NULL,
    latest      INTEGER NOT NULL,
    disabled    INTEGER NOT NULL,
    PRIMARY KEY (workspace, secret, environment),
    FOREIGN KEY (workspace, secret) REFERENCES secrets (workspace, id),
    FOREIGN KEY (workspace, environment) REFERENCES environments (workspace, id)
) STRICT;

CREATE TABLE secret_versions (
    workspace   BLOB    NOT NULL,
    secret      BLOB    NOT NULL,
    environment BLOB    NOT NULL,
    version     INTEGER NOT NULL,
    sealed      BLOB    NOT NULL,
    shown       TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    created_by  TEXT    NOT NULL,
    PRIMARY KEY (workspace, secret, environment, version),
    FOREIGN KEY (workspace, secret) REFERENCES secrets (workspace, id)
) STRICT;

-- Which secrets are bound to a host: an index over secrets.destinations, written together with it.
CREATE TABLE secret_hosts (
    workspace BLOB NOT NULL,
    host_key  TEXT NOT NULL,
    secret    BLOB NOT NULL,
    PRIMARY KEY (workspace, host_key, secret),
    FOREIGN KEY (workspace, secret) REFERENCES secrets (workspace, id)
) STRICT;

-- To which hosts a value was ever sent: what may come back from there later, whatever the policy says today.
CREATE TABLE secret_sent (
    workspace BLOB NOT NULL,
    host_key  TEXT NOT NULL,
    secret    BLOB NOT NULL,
    PRIMARY KEY (workspace, host_key, secret),
    FOREIGN KEY (workspace, secret) REFERENCES secrets (workspace, id)
) STRICT;

CREATE TABLE variables (
    workspace   BLOB    NOT NULL REFERENCES workspaces (id),
    id          BLOB    NOT NULL,
    name        TEXT    NOT NULL,
    name_key    TEXT    NOT NULL,
    description TEXT    NOT NULL,
    folder      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, name_key)
) STRICT;

CREATE TABLE variable_values (
    workspace   BLOB    NOT NULL,
    variable    BLOB    NOT NULL,
    environment BLOB    NOT NULL,
    value       TEXT    NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (workspace, variable, environment),
    FOREIGN KEY (workspace, variable) REFERENCES variables (workspace, id),
    FOREIGN KEY (workspace, environment) REFERENCES environments (workspace, id)
) STRICT;

CREATE TABLE automations (
    workspace  BLOB    NOT NULL REFERENCES workspaces (id),
    id         BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    name_key   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, name_key)
) STRICT;

CREATE TABLE automation_definitions (
    workspace    BLOB    NOT NULL,
    automation   BLOB    NOT NULL,
    environment  BLOB    NOT NULL,
    definition   TEXT    NOT NULL,
    hash         BLOB    NOT NULL,
    published_at INTEGER NOT NULL,
    published_by TEXT    NOT NULL,
    PRIMARY KEY (workspace, automation, environment),
    FOREIGN KEY (workspace, automation) REFERENCES automations (workspace, id),
    FOREIGN KEY (workspace, environment) REFERENCES environments (workspace, id)
) STRICT;

-- What a published definition may use: one secret, for exactly this content, perhaps only at one host.
CREATE TABLE automation_grants (
    workspace   BLOB NOT NULL,
    automation  BLOB NOT NULL,
    environment BLOB NOT NULL,
    secret      BLOB NOT NULL,
    hash        BLOB NOT NULL,
    pinned      TEXT,
    granted_by  TEXT NOT NULL,
    PRIMARY KEY (workspace, automation, environment, secret),
    FOREIGN KEY (workspace, automation, environment) REFERENCES automation_definitions (workspace, automation, environment)
) STRICT;

CREATE INDEX automation_grants_by_secret ON automation_grants (workspace, secret);

CREATE TABLE runs (
    workspace   BLOB    NOT NULL REFERENCES workspaces (id),
    id          BLOB    NOT NULL,
    automation  TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    code        TEXT,
    steps       TEXT    NOT NULL,
    started_by  TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (workspace, id)
) STRICT;

CREATE INDEX runs_unfinished ON runs (status) WHERE status = 'running';

-- The record. `bytes` is what was hashed; the columns after `leaf` are only an index over it.
CREATE TABLE events (
    workspace BLOB    NOT NULL,
    seq       INTEGER NOT NULL,
    bytes     BLOB    NOT NULL,
    leaf      BLOB    NOT NULL,
    at        INTEGER NOT NULL,
    actor     TEXT    NOT NULL,
    verb      TEXT    NOT NULL,
    object    TEXT    NOT NULL,
    outcome   TEXT    NOT NULL,
    PRIMARY KEY (workspace, seq)
) STRICT, WITHOUT ROWID;
