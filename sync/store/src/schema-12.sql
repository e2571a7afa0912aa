-- Devices of which two machines were alive at the same time: the second was refused.
CREATE TABLE double(
  device BLOB PRIMARY KEY,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  times INTEGER NOT NULL,
  address TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- A box beside this one, not the county: what it has acknowledged is not with the county, and its
-- being there confirms nothing.
ALTER TABLE peer ADD COLUMN beside INTEGER NOT NULL DEFAULT 0;
