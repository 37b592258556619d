-- What other systems have promised to buyers. Every reading of a source would
-- touch every row if each had its time, so the source has it.
CREATE TABLE reserve_source (
	id   INTEGER PRIMARY KEY,
	name TEXT    NOT NULL UNIQUE,
	at   INTEGER NOT NULL
);

CREATE TABLE reserve (
	product  INTEGER NOT NULL,
	source   INTEGER NOT NULL,
	quantity INTEGER NOT NULL,
	PRIMARY KEY (product, source)
) WITHOUT ROWID;
