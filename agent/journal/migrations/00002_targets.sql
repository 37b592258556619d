-- Full runs of targets that take everything at once. What a run needs to know of
-- itself is its client's own, so it is kept as it was given.
CREATE TABLE full_run (
    target TEXT PRIMARY KEY,
    run    BLOB NOT NULL
);

CREATE TABLE full_run_row (
    target   TEXT NOT NULL,
    item     TEXT NOT NULL,
    key      TEXT NOT NULL,
    state    TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    before   INTEGER,
    reason   TEXT NOT NULL,
    PRIMARY KEY (target, item)
);

-- What a target held at a moment of its run, as one list: it is written and read
-- as a whole.
CREATE TABLE full_run_snapshot (
    target  TEXT NOT NULL,
    moment  TEXT NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (target, moment)
);

-- Which key of a target belongs to which product, where a person said so.
CREATE TABLE mapping (
    target  TEXT NOT NULL,
    product TEXT NOT NULL,
    key     TEXT NOT NULL,
    PRIMARY KEY (target, product)
);

-- Rows that are sent as they are: see Entry.Fixed.
ALTER TABLE outbox ADD COLUMN fixed INTEGER NOT NULL DEFAULT 0;

-- Why a target does not know a key, in its words.
ALTER TABLE held ADD COLUMN reason TEXT NOT NULL DEFAULT '';
