-- Which field of which step names a secret: written with the definition that is published, whose hash stands there.
CREATE TABLE automation_references (
    workspace   BLOB NOT NULL,
    automation  BLOB NOT NULL,
    environment BLOB NOT NULL,
    secret      BLOB NOT NULL,
    step        TEXT NOT NULL,
    field       TEXT NOT NULL,
    PRIMARY KEY (workspace, automation, environment, secret, step, field),
    FOREIGN KEY (workspace, automation, environment) REFERENCES automation_definitions (workspace, automation, environment)
) STRICT, WITHOUT ROWID;

CREATE INDEX automation_references_by_secret ON automation_references (workspace, secret);

-- Who used a secret where, and when last: read off the record's outcomes as they are written.
CREATE TABLE observed_uses (
    workspace    BLOB    NOT NULL,
    secret       BLOB    NOT NULL,
    actor        TEXT    NOT NULL,
    environment  TEXT    NOT NULL,
    target       TEXT    NOT NULL,
    first_at     INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,
    PRIMARY KEY (workspace, secret, actor, environment, target)
) STRICT, WITHOUT ROWID;

-- Access tokens that were fetched with a secret's client credentials, sealed. `serial` is part of what each is sealed for.
CREATE TABLE access_tokens (
    workspace    BLOB    NOT NULL,
    secret       BLOB    NOT NULL,
    environment  BLOB    NOT NULL,
    serial       INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    sealed       BLOB    NOT NULL,
    usable_until INTEGER NOT NULL,
    kept_until   INTEGER NOT NULL,
    ended        INTEGER NOT NULL,
    PRIMARY KEY (workspace, secret, environment, serial),
    FOREIGN KEY (workspace, secret) REFERENCES secrets (workspace, id)
) STRICT;
