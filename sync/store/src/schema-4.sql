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
    aside INTEGER NOT NULL         -- entries waiting or quarantined
) STRICT, WITHOUT ROWID;
CREATE INDEX duty_place ON duty(place, offered_ms, subject);
CREATE INDEX duty_waiting ON duty(phase, receiver);
