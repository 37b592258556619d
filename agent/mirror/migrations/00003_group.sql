-- Names for people: what groups the products' parents are.
CREATE TABLE product_group (
	text   TEXT PRIMARY KEY, -- the cloud's id
	name   TEXT NOT NULL,
	parent TEXT NOT NULL     -- the group that it is in, '' for none
) WITHOUT ROWID;
