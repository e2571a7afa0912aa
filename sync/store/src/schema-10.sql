-- Whole subjects of a scope, for a cold start.
CREATE INDEX subject_scope ON subject(scope, schema, id);
-- How far whole subjects of a peer have come, while they come.
CREATE TABLE whole(
    peer INTEGER NOT NULL,
    scope TEXT NOT NULL,
    token BLOB NOT NULL,
    PRIMARY KEY(peer, scope)
) STRICT, WITHOUT ROWID;
