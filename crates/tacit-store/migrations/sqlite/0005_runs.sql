-- Runs are a queue: claimed by a node for a while, and gone on with by another one when that while is over.
--
-- `creator` is the hash of the credential on whose authority the run goes, `starter` the id of whom that belongs to.
-- `at_once` is what the definition says of how many runs may go at once. `input` is kept until the run ends. `begun` is the
-- step that may have sent: it is written together with the intent of what the step sends, and taken away together with the
-- step's result. `lease` names the node that has the run.
ALTER TABLE runs ADD COLUMN automation_id BLOB;
ALTER TABLE runs ADD COLUMN hash BLOB;
ALTER TABLE runs ADD COLUMN at_once INTEGER;
ALTER TABLE runs ADD COLUMN trigger TEXT;
ALTER TABLE runs ADD COLUMN creator BLOB;
ALTER TABLE runs ADD COLUMN starter BLOB;
ALTER TABLE runs ADD COLUMN input TEXT;
ALTER TABLE runs ADD COLUMN begun TEXT;
ALTER TABLE runs ADD COLUMN lease BLOB;
ALTER TABLE runs ADD COLUMN lease_until INTEGER;
ALTER TABLE runs ADD COLUMN cancelled_by TEXT;

DROP INDEX runs_unfinished;
-- One for each: an index over both would serve neither query.
CREATE INDEX runs_queued ON runs (workspace, automation_id, environment, id, at_once) WHERE status = 'queued';
CREATE INDEX runs_running ON runs (workspace, automation_id, environment, lease, lease_until) WHERE status = 'running';
CREATE INDEX runs_finished ON runs (workspace, finished_at) WHERE finished_at IS NOT NULL;

ALTER TABLE workspaces ADD COLUMN run_keep_days INTEGER NOT NULL DEFAULT 30;

-- Where an automation's triggers fire, and on whose authority: somebody who may run it. `credential` is the hash of a token
-- that nobody has; taking the row away takes the authority away. `hook` is the hash of the webhook's token.
CREATE TABLE triggers (
    workspace       BLOB    NOT NULL REFERENCES workspaces (id),
    automation      BLOB    NOT NULL,
    environment     BLOB    NOT NULL,
    credential      BLOB    NOT NULL UNIQUE,
    user_id         BLOB,
    service_account BLOB,
    enabled_by      TEXT    NOT NULL,
    hook            BLOB    UNIQUE,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (workspace, automation, environment),
    FOREIGN KEY (workspace, automation) REFERENCES automations (workspace, id),
    FOREIGN KEY (workspace, environment) REFERENCES environments (workspace, id)
) STRICT;

-- The schedules among them, by their place in the definition. `next_at` is when it fires next: whoever fires it moves it on
-- in the same transaction, on condition that nobody did. NULL where that is not worked out yet.
CREATE TABLE schedules (
    workspace   BLOB    NOT NULL,
    automation  BLOB    NOT NULL,
    environment BLOB    NOT NULL,
    number      INTEGER NOT NULL,
    cron        TEXT    NOT NULL,
    timezone    TEXT    NOT NULL,
    next_at     INTEGER,
    last_at     INTEGER,
    PRIMARY KEY (workspace, automation, environment, number),
    FOREIGN KEY (workspace, automation, environment) REFERENCES triggers (workspace, automation, environment)
) STRICT;

CREATE INDEX schedules_due ON schedules (next_at);
