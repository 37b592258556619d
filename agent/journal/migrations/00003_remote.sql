-- Commands of operators. A row stays after its end, so that the same command is
-- known when it comes again; what is dropped raises meta command.floor, and
-- nothing that expires before the floor is taken any more.
CREATE TABLE command (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL,
    id          TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    cmd         TEXT NOT NULL,
    args        TEXT,
    right       TEXT NOT NULL,
    lane        INTEGER NOT NULL,
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL,
    state       TEXT NOT NULL,
    published   TEXT NOT NULL DEFAULT '',
    clock       TEXT NOT NULL DEFAULT '',
    result      TEXT,
    error_code  TEXT NOT NULL DEFAULT '',
    error       TEXT NOT NULL DEFAULT '',
    UNIQUE (key, id)
);
CREATE INDEX command_open ON command (state) WHERE state IN ('received', 'started');
CREATE INDEX command_unpublished ON command (seq) WHERE published <> state;

-- What config.set has laid over the file. tries counts the starts of the agent
-- since an override that has not proved itself.
CREATE TABLE override (
    key       TEXT PRIMARY KEY,
    value     TEXT NOT NULL,
    until     INTEGER NOT NULL,
    by        TEXT NOT NULL,
    command   INTEGER NOT NULL,
    set_at    INTEGER NOT NULL,
    confirmed INTEGER NOT NULL DEFAULT 0,
    tries     INTEGER NOT NULL DEFAULT 0
);

-- What the operator was last told of each product.
CREATE TABLE level_sent (
    product TEXT PRIMARY KEY,
    figure  TEXT NOT NULL
);
