-- The life of a value. A version that was replaced is kept for a while; one that was destroyed keeps its number, its author
-- and its dates, and nothing else. `reason` names a text in `reasons`; `fingerprint` is keyed and only of values that nobody
-- can guess.
ALTER TABLE secret_versions ADD COLUMN replaced_at INTEGER;
ALTER TABLE secret_versions ADD COLUMN destroyed_at INTEGER;
ALTER TABLE secret_versions ADD COLUMN reason BLOB;
ALTER TABLE secret_versions ADD COLUMN fingerprint BLOB;

UPDATE secret_versions SET replaced_at = (
    SELECT min(n.created_at) FROM secret_versions n
    WHERE n.workspace = secret_versions.workspace AND n.secret = secret_versions.secret
      AND n.environment = secret_versions.environment AND n.version > secret_versions.version);

CREATE INDEX secret_versions_kept ON secret_versions (workspace, secret, environment, version)
    WHERE destroyed_at IS NULL;
CREATE INDEX secret_versions_replaced ON secret_versions (workspace, replaced_at)
    WHERE destroyed_at IS NULL AND replaced_at IS NOT NULL;
CREATE INDEX secret_versions_alike ON secret_versions (workspace, fingerprint)
    WHERE fingerprint IS NOT NULL AND replaced_at IS NULL;

-- `serial` counts a workspace's secrets and with the workspace's `number` makes the rowid in `secret_grams`. `search_text` is
-- name, description and folder in lower case. `rotate_at` is when the oldest value in force should be replaced; `reminded` is
-- the reminder that the record has already.
ALTER TABLE workspaces ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
UPDATE workspaces SET number = rowid;
CREATE UNIQUE INDEX workspaces_by_number ON workspaces (number);
ALTER TABLE secrets ADD COLUMN serial INTEGER;
ALTER TABLE secrets ADD COLUMN search_text TEXT NOT NULL DEFAULT '';
ALTER TABLE secrets ADD COLUMN rotate_at INTEGER;
ALTER TABLE secrets ADD COLUMN reminded TEXT NOT NULL DEFAULT 'none';
CREATE UNIQUE INDEX secrets_by_serial ON secrets (workspace, serial);
CREATE INDEX secrets_dated ON secrets (workspace, id)
    WHERE rotate_at IS NOT NULL OR expires_at IS NOT NULL OR reminded <> 'none';
CREATE INDEX secrets_deleted ON secrets (workspace, deleted_at) WHERE deleted_at IS NOT NULL;

-- Until when a deleted secret can be restored, as it was said when it was deleted: a setting that changes later takes nothing
-- back of it. What is deleted already keeps what its workspace says today.
ALTER TABLE secrets ADD COLUMN purge_at INTEGER;
UPDATE secrets SET purge_at = deleted_at + (SELECT deletion_window_days * 86400000 FROM workspaces WHERE id = secrets.workspace)
    WHERE deleted_at IS NOT NULL;

-- For search: which runs of one, two, three and five characters a secret's text has. Only the lists of rowids are kept, and
-- those of one workspace stand together in each. Small pages and few parts, because a search skips through long lists in
-- each part.
CREATE VIRTUAL TABLE secret_grams USING fts5 (grams, content='', contentless_delete=1, detail=none, tokenize='ascii');
INSERT INTO secret_grams (secret_grams, rank) VALUES ('pgsz', 1000);
INSERT INTO secret_grams (secret_grams, rank) VALUES ('automerge', 2);

-- What people said about what they did, scrubbed; events name it by id.
CREATE TABLE reasons (
    workspace  BLOB    NOT NULL REFERENCES workspaces (id),
    id         BLOB    NOT NULL,
    text       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, id)
) STRICT;

CREATE TABLE fingerprint_keys (
    workspace  BLOB    NOT NULL REFERENCES workspaces (id),
    generation INTEGER NOT NULL,
    parent     INTEGER NOT NULL,
    wrapped    BLOB    NOT NULL,
    PRIMARY KEY (workspace, generation)
) STRICT;

-- Writes that carried an `Idempotency-Key`. `key` is its hash; `request` a keyed fingerprint of the whole request; `status` is
-- there once the write is done, and `body` where its answer holds nothing that is shown only once.
CREATE TABLE idempotency_keys (
    workspace  BLOB    NOT NULL REFERENCES workspaces (id),
    principal  BLOB    NOT NULL,
    route      TEXT    NOT NULL,
    key        BLOB    NOT NULL,
    request    BLOB    NOT NULL,
    status     INTEGER,
    etag       TEXT,
    body       TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, principal, route, key)
) STRICT;
