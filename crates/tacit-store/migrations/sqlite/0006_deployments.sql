-- Moves of automations and values from one environment into another. `plan` is what was said to be done, `undo` what stood there
-- before, both JSON: definitions, numbers of versions and variables' values, never a secret's value.
CREATE TABLE deployments (
    workspace        BLOB    NOT NULL REFERENCES workspaces (id),
    id               BLOB    NOT NULL,
    from_environment BLOB    NOT NULL,
    to_environment   BLOB    NOT NULL,
    plan             TEXT    NOT NULL,
    undo             TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    created_by       TEXT    NOT NULL,
    rolled_back_at   INTEGER,
    rolled_back_by   TEXT,
    PRIMARY KEY (workspace, id),
    FOREIGN KEY (workspace, from_environment) REFERENCES environments (workspace, id),
    FOREIGN KEY (workspace, to_environment) REFERENCES environments (workspace, id)
) STRICT;

-- Which versions a rollback made of which: by them an earlier deployment finds its own value again.
CREATE TABLE deployment_restores (
    workspace   BLOB    NOT NULL,
    secret      BLOB    NOT NULL,
    environment BLOB    NOT NULL,
    version     INTEGER NOT NULL,
    restores    INTEGER NOT NULL,
    PRIMARY KEY (workspace, secret, environment, version),
    FOREIGN KEY (workspace, secret) REFERENCES secrets (workspace, id)
) STRICT;
