-- Villages that this box served once and serves no more, and those that have come back and whose
-- content is on its way. Local to this store.
CREATE TABLE leaving(
    scope TEXT PRIMARY KEY,
    lost_ms INTEGER NOT NULL,      -- when this box heard of it
    stage INTEGER NOT NULL         -- 0 to be handed in, 1 leaving, 2 left, 3 coming back
) STRICT, WITHOUT ROWID;
-- Attachments that a relay has said it holds; only of villages that leave. Local to this store.
CREATE TABLE at_relay(attachment BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
-- At a relay: scopes that a peer may have no more. Should one come back to it, it may have emptied
-- what it gave itself. Local to this store.
CREATE TABLE handed_in(
    peer INTEGER NOT NULL,
    scope TEXT NOT NULL,
    PRIMARY KEY(peer, scope)
) STRICT, WITHOUT ROWID;
-- Entries of subjects that belong to another scope now, or were erased: neither given to boxes in
-- this scope nor compared. How many there are; the sum is without them.
ALTER TABLE log ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
ALTER TABLE head ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
-- Residents whose village this box does not serve (1: their content has left).
CREATE TABLE moved(
    subject BLOB PRIMARY KEY,
    stage INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
