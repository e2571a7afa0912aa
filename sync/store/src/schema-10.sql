-- Whole subjects of a scope, for a cold start.
CREATE INDEX subject_scope ON subject(scope, schema, id);
-- How far whole subjects of a peer have come, while they come.
CREATE TABLE whole(
    peer INTEGER NOT NULL,
    scope TEXT NOT NULL,
    token BLOB NOT NULL,
    PRIMARY KEY(peer, scope)
) STRICT, WITHOUT ROWID;
-- What a scope's log holds up to a position, as a sketch: brought up to date when it is asked for.
CREATE TABLE sketch(
    scope TEXT PRIMARY KEY,
    upto INTEGER NOT NULL,
    cells BLOB NOT NULL
) STRICT;
