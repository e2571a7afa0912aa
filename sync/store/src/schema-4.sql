-- Looks of boxes at the county: on which device, when it came here; and at a box, whether it has
-- left for the county. Zeros: looked at here.
ALTER TABLE look ADD COLUMN device BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';
ALTER TABLE look ADD COLUMN received_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE look ADD COLUMN sent INTEGER NOT NULL DEFAULT 0;
-- 1 when a box says it of somebody who had no post there.
ALTER TABLE look ADD COLUMN no_post INTEGER NOT NULL DEFAULT 0;
UPDATE look SET received_ms = at_ms;
-- What lists go by: a box cannot date a look after it came here.
ALTER TABLE look ADD COLUMN seen_ms INTEGER GENERATED ALWAYS AS (min(at_ms, received_ms)) VIRTUAL;
DROP INDEX look_subject;
DROP INDEX look_at;
CREATE INDEX look_seen ON look(seen_ms);
CREATE INDEX look_device ON look(device, seen_ms);
CREATE INDEX look_about ON look(device, subject, seen_ms);
CREATE INDEX look_here ON look(subject, at_ms)
    WHERE device = x'00000000000000000000000000000000';
-- What makes a look of a box the same when it is told again. Looks here may repeat.
CREATE UNIQUE INDEX look_same
    ON look(device, at_ms, person, subject, what, uncovered, purpose, scope)
    WHERE device <> x'00000000000000000000000000000000';
CREATE INDEX look_unsent ON look(at_ms) WHERE sent = 0;
CREATE INDEX look_received ON look(received_ms);
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
-- Hand-overs of duty: derived, can be dropped and made again.
CREATE TABLE duty(
    subject BLOB PRIMARY KEY,
    place INTEGER NOT NULL,
    giver BLOB NOT NULL,
    receiver BLOB NOT NULL,
    phase TEXT NOT NULL,
    offered_ms INTEGER NOT NULL,
    settled_ms INTEGER NOT NULL,   -- 0 while it waits
    cases INTEGER NOT NULL,
    originals INTEGER NOT NULL,
    promises INTEGER NOT NULL,
    missing INTEGER NOT NULL,      -- originals that the receiver did not find
    aside INTEGER NOT NULL         -- entries waiting or quarantined
) STRICT, WITHOUT ROWID;
CREATE INDEX duty_place ON duty(place, offered_ms, subject);
CREATE INDEX duty_waiting ON duty(phase, receiver);
-- Checkpoints of this relay's own log that others have signed: the latest of each key in each log.
-- Local to this store.
CREATE TABLE cosigned(
    key BLOB NOT NULL,
    log BLOB NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY(key, log)
) STRICT, WITHOUT ROWID;
-- Ways back and wrapped keys that count or may come to: how many came lately.
CREATE INDEX entry_given ON entry(kind, received_ms) WHERE kind IN (5, 6) AND state <> 2;
