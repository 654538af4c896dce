-- A lease: placeholders that stand for values in one principal's requests. Of its token and its placeholders only hashes
-- are here. `creator` is the hash of the token that asked for it: whoever that belongs to is looked up anew at each use.
-- `principal` and `behalf_of` are ids of who that was and for whom, by which a lease is found among one's own.
CREATE TABLE leases (
    workspace      BLOB    NOT NULL REFERENCES workspaces (id),
    id             BLOB    NOT NULL,
    token          BLOB    NOT NULL UNIQUE,
    creator        BLOB    NOT NULL,
    principal      BLOB    NOT NULL,
    behalf_of      BLOB,
    created_by     TEXT    NOT NULL,
    environment    BLOB    NOT NULL,
    other_hosts    TEXT    NOT NULL,
    allow_from     TEXT    NOT NULL,
    requests_max   INTEGER,
    ttl_secs       INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    ends_at_latest INTEGER NOT NULL,
    ended_at       INTEGER,
    PRIMARY KEY (workspace, id),
    FOREIGN KEY (workspace, environment) REFERENCES environments (workspace, id)
) STRICT;

CREATE INDEX leases_open ON leases (workspace, expires_at) WHERE ended_at IS NULL;

-- Bound by the secret's id: another secret under the same name is another one.
CREATE TABLE lease_secrets (
    workspace   BLOB NOT NULL,
    lease       BLOB NOT NULL,
    alias       TEXT NOT NULL,
    secret      BLOB NOT NULL,
    placeholder BLOB NOT NULL,
    PRIMARY KEY (workspace, lease, alias),
    FOREIGN KEY (workspace, lease) REFERENCES leases (workspace, id)
) STRICT;

-- An agent's session: a principal of its own, with a part of the rights of whoever the token `creator` belongs to.
CREATE TABLE agent_sessions (
    workspace    BLOB    NOT NULL REFERENCES workspaces (id),
    id           BLOB    NOT NULL,
    token        BLOB    NOT NULL UNIQUE,
    creator      BLOB    NOT NULL,
    principal    BLOB    NOT NULL,
    created_by   TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    requests_max INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    PRIMARY KEY (workspace, id)
) STRICT;

-- A proposal is a secret that nobody gave a value yet. What its proposer suggests is kept apart from what is in force.
ALTER TABLE secrets ADD COLUMN proposed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE secrets ADD COLUMN suggested_destinations TEXT NOT NULL DEFAULT '[]';
