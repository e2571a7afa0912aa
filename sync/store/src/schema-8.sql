-- Order of the lane of attachments: what whoever names one says of it. 0 bytes: not said.
ALTER TABLE attachment ADD COLUMN preview INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attachment ADD COLUMN named_bytes INTEGER NOT NULL DEFAULT 0;
-- What the lane of attachments has moved on each day of the county, both ways. Local to this store.
CREATE TABLE lane_day(
    day TEXT PRIMARY KEY,          -- YYYY-MM-DD
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Peers that gave bytes of attachments which were not what their names say. Local to this store.
CREATE TABLE lane_fault(
    device BLOB PRIMARY KEY,
    words TEXT NOT NULL,           -- the last
    at_ms INTEGER NOT NULL,
    times INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Cases that a person wants on the way whatever today's bytes are. Local to this store.
CREATE TABLE lane_now(subject BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
