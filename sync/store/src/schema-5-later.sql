-- The sum of the names in a scope's log, kept with every entry (NameSum in the engine); 32 bytes.
ALTER TABLE head ADD COLUMN sum BLOB;
-- Scopes that differed from a peer's although the cursors knew of nothing: the last thousand.
CREATE TABLE repair(
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    scope TEXT NOT NULL,
    received INTEGER NOT NULL,
    given INTEGER NOT NULL,
    equal INTEGER NOT NULL         -- 0 when it still differed afterwards
) STRICT;
-- Whether an entry is in a scope's log, by its position.
CREATE INDEX log_pos ON log(pos, scope);
