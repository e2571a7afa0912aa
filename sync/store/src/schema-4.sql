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
