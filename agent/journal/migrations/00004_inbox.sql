-- Documents received in the shop, as they came, until the cloud's own copies are
-- in the mirror. size is the length of the body, so that the bound can be watched
-- without reading bodies.
CREATE TABLE inbox (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    id     TEXT NOT NULL UNIQUE,
    at     INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    size   INTEGER NOT NULL
);

CREATE TABLE inbox_body (seq INTEGER PRIMARY KEY, raw BLOB NOT NULL);
