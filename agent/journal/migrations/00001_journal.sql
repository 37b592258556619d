-- All tables have rowids: a damaged one can then be read from both ends.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- A plan is found by id, but the same differences may come again a year later,
-- with the same id: seq tells them apart and the newest is meant.
CREATE TABLE plan (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL,
    target     TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    decided_at INTEGER NOT NULL DEFAULT 0,
    guards     TEXT NOT NULL,
    counts     TEXT NOT NULL
);
CREATE INDEX plan_id ON plan (id);
CREATE INDEX plan_target ON plan (target, state);

-- Apart from plan, because it may be long and changes less often.
CREATE TABLE plan_unmatched (
    plan INTEGER PRIMARY KEY REFERENCES plan (seq) ON DELETE CASCADE,
    list TEXT NOT NULL
);

CREATE TABLE plan_row (
    plan        INTEGER NOT NULL REFERENCES plan (seq) ON DELETE CASCADE,
    product     TEXT NOT NULL,
    key         TEXT NOT NULL,
    code        TEXT NOT NULL,
    name        TEXT NOT NULL,
    from_value  INTEGER,
    to_value    INTEGER NOT NULL,
    level       INTEGER NOT NULL,
    level_state TEXT NOT NULL,
    basis       TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    PRIMARY KEY (plan, product)
);

-- One row for each (target, product): however long an outage, the outbox is
-- bounded by the catalogue. next_try NULL: nothing more to do by itself.
CREATE TABLE outbox (
    target      TEXT NOT NULL,
    product     TEXT NOT NULL,
    key         TEXT NOT NULL,
    wanted      INTEGER NOT NULL,
    level       INTEGER NOT NULL,
    level_state TEXT NOT NULL,
    basis       TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL DEFAULT '',
    plan        INTEGER NOT NULL,
    revision    INTEGER NOT NULL DEFAULT 1,
    attempts    INTEGER NOT NULL DEFAULT 0,
    mismatches  INTEGER NOT NULL DEFAULT 0,
    next_try    INTEGER,
    sent_at     INTEGER NOT NULL DEFAULT 0,
    changed_at  INTEGER NOT NULL,
    last_error  TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (target, product)
);
CREATE INDEX outbox_due ON outbox (target, next_try) WHERE next_try IS NOT NULL;
CREATE INDEX outbox_plan ON outbox (plan) WHERE next_try IS NOT NULL;

CREATE TABLE held (
    target      TEXT NOT NULL,
    product     TEXT NOT NULL,
    key         TEXT NOT NULL,
    accepted    INTEGER,
    accepted_at INTEGER NOT NULL DEFAULT 0,
    observed    INTEGER,
    observed_at INTEGER NOT NULL DEFAULT 0,
    read_last   INTEGER NOT NULL DEFAULT 0,
    verified    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (target, product)
);

CREATE TABLE target (
    name          TEXT PRIMARY KEY,
    blocked       TEXT NOT NULL DEFAULT '',
    last_success  INTEGER NOT NULL DEFAULT 0,
    last_error    TEXT NOT NULL DEFAULT '',
    last_error_at INTEGER NOT NULL DEFAULT 0,
    verified_at   INTEGER NOT NULL DEFAULT 0,
    noticed_at    INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE event (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    severity TEXT NOT NULL,
    message  TEXT NOT NULL,
    data     TEXT
);
