-- Everything here can be had again from the cloud. Times are epoch ms UTC,
-- quantities thousandths.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE product (
	id       INTEGER PRIMARY KEY,
	text     TEXT    NOT NULL UNIQUE, -- the cloud's id
	listed   INTEGER NOT NULL,        -- 0: gone from the catalogue, or known from documents only
	content  INTEGER NOT NULL,        -- hash of the card, to leave unchanged ones alone
	type     TEXT    NOT NULL,
	name     TEXT    NOT NULL,
	lower    TEXT    NOT NULL,        -- name in lower case: SQLite folds ASCII only
	parent   TEXT    NOT NULL,
	code     TEXT    NOT NULL,
	article  TEXT    NOT NULL,
	barcodes TEXT    NOT NULL,        -- separated by line feeds
	measure  TEXT    NOT NULL,
	created  INTEGER NOT NULL,
	updated  INTEGER NOT NULL,
	cloud    INTEGER,                 -- NULL: not shown to this application
	cloud_at INTEGER NOT NULL
);
CREATE INDEX product_code ON product (code);
CREATE INDEX product_article ON product (article);

CREATE TABLE barcode (
	code    TEXT    NOT NULL,
	product INTEGER NOT NULL,
	PRIMARY KEY (code, product)
) WITHOUT ROWID;

-- The runs of reading the whole catalogue; seen has one bit for each product.
-- Marks in the product rows would rewrite all of them at every run.
CREATE TABLE sweep (run INTEGER PRIMARY KEY, at INTEGER NOT NULL, seen BLOB NOT NULL);

CREATE TABLE device (
	id      INTEGER PRIMARY KEY,
	text    TEXT    NOT NULL UNIQUE,
	name    TEXT    NOT NULL,
	created INTEGER NOT NULL,
	listed  INTEGER NOT NULL,
	first   INTEGER NOT NULL -- close time of its first document here, 0 for none
);

CREATE TABLE document_type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE document (
	id      INTEGER PRIMARY KEY,
	key     NOT NULL UNIQUE, -- the cloud's id; 16 bytes where it is a UUID
	type    INTEGER NOT NULL,
	device  INTEGER NOT NULL,
	number  INTEGER NOT NULL,
	closed  INTEGER NOT NULL,
	arrived INTEGER NOT NULL,
	source  INTEGER NOT NULL,
	content INTEGER NOT NULL -- hash, to tell a repeat from a change
);

-- What was exactly received, in compressed chunks: a chunk holds the documents
-- from its id up to the next chunk's.
CREATE TABLE raw (id INTEGER PRIMARY KEY, body BLOB NOT NULL);

-- The chain of a product is its movements in their order, cut into segments: a
-- fold goes through them by product, and a row of its own for each movement
-- would cost five times the time and twice the flash. id is
-- product << 24 | ordinal. A segment begins with the state of the product after
-- all movements before it (NULL for none), so that a late document is folded
-- from there.
CREATE TABLE segment (
	id      INTEGER PRIMARY KEY,
	since   INTEGER NOT NULL, -- movements closed before this are in the state
	applied INTEGER NOT NULL, -- movements in the state
	seen    INTEGER NOT NULL, -- … at least one of a document that names the product
	last    INTEGER NOT NULL, -- document of the last of them
	state   BLOB,
	count   INTEGER NOT NULL, -- movements in the body
	body    BLOB    NOT NULL
);

-- Movements that wait to be put into the chains of products that are stale, in
-- the order in which they came; id is the first document's.
CREATE TABLE staged (id INTEGER PRIMARY KEY, count INTEGER NOT NULL, body BLOB NOT NULL);

-- The products of documents received in the shop, until the cloud's copy comes.
CREATE TABLE shop_document (id INTEGER PRIMARY KEY, products BLOB NOT NULL);

-- Documents whose movements are to be left out when chains are next written.
CREATE TABLE forgotten (id INTEGER PRIMARY KEY);

-- Counts of everything: each sets the products that it does not list to zero.
CREATE TABLE full_count (
	document INTEGER PRIMARY KEY,
	key      NOT NULL,
	closed   INTEGER NOT NULL,
	device   INTEGER NOT NULL,
	number   INTEGER NOT NULL,
	arrived  INTEGER NOT NULL,
	unsaid   INTEGER NOT NULL
);

-- A product without a row here has no movement.
CREATE TABLE level (
	product  INTEGER PRIMARY KEY,
	quantity INTEGER NOT NULL,
	state    TEXT    NOT NULL,
	reason   TEXT    NOT NULL,
	as_of    INTEGER NOT NULL,
	device   INTEGER NOT NULL,
	number   INTEGER NOT NULL,
	document INTEGER NOT NULL, -- the one behind it; 0 for none
	last_key NOT NULL,         -- … and its id, which outlives it
	type     INTEGER NOT NULL,
	outside  INTEGER NOT NULL,
	late     INTEGER NOT NULL, -- a document from before the kept history was refused
	evidence BLOB              -- what its chain taught about the shop, NULL for nothing
);

-- Products whose level must be folded again, from this time on.
CREATE TABLE stale (product INTEGER PRIMARY KEY, since INTEGER NOT NULL, late INTEGER NOT NULL);

-- Ids of documents that were collapsed, so that a repeat is known.
CREATE TABLE retired (key PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE quarantine (
	id       INTEGER PRIMARY KEY,
	hash     INTEGER NOT NULL UNIQUE,
	place    TEXT    NOT NULL,
	document TEXT    NOT NULL,
	raw      BLOB    NOT NULL,
	reason   TEXT    NOT NULL,
	at       INTEGER NOT NULL
);

CREATE TABLE sync_window (
	kind      TEXT    NOT NULL,
	device    TEXT    NOT NULL,
	since     INTEGER NOT NULL,
	until     INTEGER NOT NULL,
	cursor    TEXT    NOT NULL,
	done      INTEGER NOT NULL,
	documents INTEGER NOT NULL,
	PRIMARY KEY (kind, device, since)
) WITHOUT ROWID;
