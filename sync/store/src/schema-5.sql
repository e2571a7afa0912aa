-- What a peer's software understands beside the first version of the protocol.
ALTER TABLE peer ADD COLUMN features INTEGER NOT NULL DEFAULT 0;
