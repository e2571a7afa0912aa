-- Subjects that two people agreed to destroy: only what was said about that stays of them.
CREATE TABLE erased(
    subject BLOB PRIMARY KEY,
    agreed BLOB NOT NULL,          -- name of the agreement
    scope TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    said INTEGER NOT NULL DEFAULT 0 -- 1 when this store has said that it is done
) STRICT, WITHOUT ROWID;
CREATE INDEX erased_unsaid ON erased(said) WHERE said = 0;
-- Attachments whose files are still to be removed.
CREATE TABLE attachment_gone(id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
