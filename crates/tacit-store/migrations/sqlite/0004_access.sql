-- Who may do what. `role` is the name of a built-in role or the id of one of these.
CREATE TABLE roles (
    workspace  BLOB    NOT NULL REFERENCES workspaces (id),
    id         BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    name_key   TEXT    NOT NULL,
    rights     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, name_key)
) STRICT;

-- A role that a principal has in a part of the workspace. Principal and secret are bound by id: what gets their name later
-- is something else. `hash` is of the definition an automation had when it got the grant, which counts for that one only.
CREATE TABLE grants (
    workspace   BLOB    NOT NULL REFERENCES workspaces (id),
    id          BLOB    NOT NULL,
    principal   BLOB    NOT NULL,
    kind        TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    environment BLOB,
    folder      TEXT,
    secret      BLOB,
    until       INTEGER,
    hash        BLOB,
    created_at  INTEGER NOT NULL,
    created_by  TEXT    NOT NULL,
    PRIMARY KEY (workspace, id),
    FOREIGN KEY (workspace, environment) REFERENCES environments (workspace, id)
) STRICT;

CREATE INDEX grants_by_principal ON grants (workspace, principal);

ALTER TABLE members ADD COLUMN until INTEGER;

ALTER TABLE workspaces ADD COLUMN reveal_needs_reason INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workspaces ADD COLUMN hide_after_secs INTEGER NOT NULL DEFAULT 30;

-- A person's password: how it is hashed stands in the text.
CREATE TABLE passwords (
    user_id    BLOB    NOT NULL PRIMARY KEY REFERENCES users (id),
    hash       TEXT    NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

-- Where a person is signed in. Only the hash of the cookie or token is here.
CREATE TABLE sessions (
    hash       BLOB    NOT NULL PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE,
    user_id    BLOB    NOT NULL REFERENCES users (id),
    kind       TEXT    NOT NULL,
    address    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_user ON sessions (user_id);

-- `last_step` is the newest time step of which a code was taken: each code counts once.
CREATE TABLE second_factors (
    user_id      BLOB    NOT NULL PRIMARY KEY REFERENCES users (id),
    sealed       BLOB    NOT NULL,
    confirmed_at INTEGER,
    last_step    INTEGER NOT NULL
) STRICT;

CREATE TABLE recovery_codes (
    user_id BLOB NOT NULL REFERENCES users (id),
    hash    BLOB NOT NULL,
    PRIMARY KEY (user_id, hash)
) STRICT;

-- `inviter` must still be somebody who may give the role when the invitation is accepted.
CREATE TABLE invitations (
    workspace  BLOB    NOT NULL REFERENCES workspaces (id),
    id         BLOB    NOT NULL,
    token      BLOB    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    name_key   TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    until      INTEGER,
    inviter    BLOB    NOT NULL,
    created_by TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, id)
) STRICT;
