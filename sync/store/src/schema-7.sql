-- How an entry came, where it was not over a link: 1 on a stick, 2 by a ferry, 3 from a neighbour.
CREATE TABLE came(
    pos INTEGER PRIMARY KEY,
    how INTEGER NOT NULL
) STRICT;
-- seen_ms, when that came by hand: no clock was compared then.
ALTER TABLE peer ADD COLUMN by_hand_ms INTEGER;
ALTER TABLE contact ADD COLUMN how INTEGER NOT NULL DEFAULT 0;
-- Bundles made here. acked_ms: the receiver has said that it came in whole.
CREATE TABLE bundle_out(
    id BLOB PRIMARY KEY,
    device BLOB NOT NULL,
    number INTEGER NOT NULL,
    part INTEGER NOT NULL,
    more INTEGER NOT NULL,         -- 1: it was full, the next goes on from it
    how INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    attachments INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    epoch BLOB NOT NULL,           -- this store's epoch
    acked_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX bundle_out_number ON bundle_out(device, number);
CREATE TABLE bundle_part(
    bundle BLOB NOT NULL,
    scope TEXT NOT NULL,
    after INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    PRIMARY KEY(bundle, scope)
) STRICT, WITHOUT ROWID;
-- Bundles that came in whole.
CREATE TABLE bundle_in(
    id BLOB PRIMARY KEY,
    device BLOB NOT NULL,
    number INTEGER NOT NULL,
    how INTEGER NOT NULL,
    held INTEGER NOT NULL,         -- entries and attachments in it
    made_ms INTEGER NOT NULL,
    came_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX bundle_in_device ON bundle_in(device, came_ms);
-- Attachments that a device has, or that are on their way to it in a bundle.
CREATE TABLE bundle_attachment(
    device BLOB NOT NULL,
    attachment BLOB NOT NULL,
    bundle BLOB,                   -- absent: it has it
    PRIMARY KEY(device, attachment)
) STRICT, WITHOUT ROWID;
-- Attachments that a device has asked for in its latest bundle.
CREATE TABLE bundle_wanted(
    device BLOB NOT NULL,
    attachment BLOB NOT NULL,
    PRIMARY KEY(device, attachment)
) STRICT, WITHOUT ROWID;
-- Epochs that a peer has left behind: a bundle of one of them is too old to be believed.
CREATE TABLE peer_past(
    device BLOB NOT NULL,
    epoch BLOB NOT NULL,
    PRIMARY KEY(device, epoch)
) STRICT, WITHOUT ROWID;
