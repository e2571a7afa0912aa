-- What reached a box while it was locked: sealed, in the order in which it came. Only in open.db.
CREATE TABLE inbox(
    id INTEGER PRIMARY KEY,
    device BLOB NOT NULL,          -- the peer's
    scope TEXT NOT NULL,
    upto INTEGER NOT NULL,         -- the cursor it came with
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX entry_kind ON entry(kind, pos) WHERE kind >= 4;
-- Subjects whose content left this box: their entries are empty, their names stay.
CREATE TABLE evicted(
    subject BLOB PRIMARY KEY,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
