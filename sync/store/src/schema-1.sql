CREATE TABLE meta(
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The log of everything that came to be here, own and received. pos has no gaps.
CREATE TABLE entry(
    pos INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    subject BLOB NOT NULL,
    kind INTEGER NOT NULL,
    via INTEGER NOT NULL,          -- peer it came from, 0 for our own
    received_ms INTEGER NOT NULL,
    state INTEGER NOT NULL,        -- 0 good, 1 waiting, 2 quarantined, 3 unfounded
    reason TEXT,
    bytes BLOB NOT NULL            -- its hash is id
) STRICT;
CREATE INDEX entry_subject ON entry(subject, pos);
CREATE INDEX entry_aside ON entry(state, pos) WHERE state <> 0;

-- Whose step of which run an entry is; only where the device's signature holds.
CREATE TABLE author(
    pos INTEGER PRIMARY KEY,
    device BLOB NOT NULL,
    person BLOB,
    incarnation BLOB NOT NULL,
    seq INTEGER NOT NULL,
    previous BLOB
) STRICT;
CREATE INDEX author_step ON author(device, incarnation, seq);
CREATE INDEX author_parent ON author(device, previous);
CREATE INDEX author_person ON author(person);
-- Pairs of entries of one device that cannot follow from one history.
CREATE TABLE fork(
    device BLOB NOT NULL,
    kind INTEGER NOT NULL,         -- 1 same number of one run, 2 same parent
    first INTEGER NOT NULL,
    second INTEGER NOT NULL,
    found_ms INTEGER NOT NULL,
    PRIMARY KEY(device, kind, first, second)
) STRICT, WITHOUT ROWID;

-- The Merkle tree over a relay's own log: level 0 has a leaf for each entry, idx = pos - 1.
CREATE TABLE tree(
    level INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY(level, idx)
) STRICT, WITHOUT ROWID;
-- Checkpoints: a relay's own, and those that a box holds of its relays.
CREATE TABLE checkpoint(
    device BLOB NOT NULL,
    log BLOB NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX checkpoint_log ON checkpoint(device, log);
-- Entries that a relay says it has and has not shown in its log yet.
CREATE TABLE unproven(
    device BLOB NOT NULL,
    entry BLOB NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY(device, entry)
) STRICT, WITHOUT ROWID;
CREATE INDEX unproven_position ON unproven(device, position);
-- What does not fit, until somebody has looked at it.
CREATE TABLE alarm(
    device BLOB NOT NULL,
    words TEXT NOT NULL,
    evidence BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE(device, words)
) STRICT;

-- Per scope a log without gaps: what cursors count.
CREATE TABLE log(
    scope TEXT NOT NULL,
    seq INTEGER NOT NULL,
    pos INTEGER NOT NULL,
    PRIMARY KEY(scope, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE head(
    scope TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE peer(
    id INTEGER PRIMARY KEY,
    device BLOB NOT NULL UNIQUE,
    store BLOB NOT NULL,
    epoch BLOB NOT NULL,
    name TEXT NOT NULL,
    software TEXT NOT NULL,
    seen_ms INTEGER NOT NULL,
    clock_error_ms INTEGER NOT NULL,
    completed_ms INTEGER
) STRICT;
-- How far we have read each peer's logs, and how far each has read ours.
CREATE TABLE cursor(
    peer INTEGER NOT NULL,
    scope TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY(peer, scope)
) STRICT, WITHOUT ROWID;
CREATE TABLE acked(
    peer INTEGER NOT NULL,
    scope TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY(peer, scope)
) STRICT, WITHOUT ROWID;

-- Derived from here on.
CREATE TABLE dirty(subject BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE subject(
    id BLOB PRIMARY KEY,
    schema INTEGER NOT NULL,
    scope TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE document(
    subject BLOB PRIMARY KEY,
    pos INTEGER NOT NULL,          -- edits up to this position are in it
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE attachment(
    id BLOB PRIMARY KEY,
    bytes INTEGER NOT NULL,        -- 0 while it is only wanted
    state INTEGER NOT NULL         -- 0 wanted, 1 here
) STRICT, WITHOUT ROWID;
CREATE INDEX attachment_wanted ON attachment(state) WHERE state = 0;
CREATE TABLE attachment_of(
    attachment BLOB NOT NULL,
    scope TEXT NOT NULL,
    subject BLOB NOT NULL,
    PRIMARY KEY(attachment, scope, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX attachment_of_subject ON attachment_of(subject);

CREATE TABLE case_row(
    subject BLOB PRIMARY KEY,
    number TEXT NOT NULL,
    resident BLOB NOT NULL,
    applicant TEXT NOT NULL,
    item TEXT NOT NULL,
    place INTEGER NOT NULL,
    phase TEXT NOT NULL,
    open INTEGER NOT NULL,
    holder TEXT NOT NULL,
    department TEXT NOT NULL,
    task TEXT NOT NULL,            -- what is to be done here, or empty
    due TEXT NOT NULL,             -- YYYY-MM-DD or empty
    opened_ms INTEGER NOT NULL,
    submitted_ms INTEGER NOT NULL, -- 0 for a draft
    changed_ms INTEGER NOT NULL,
    uploaded INTEGER NOT NULL,
    conflict INTEGER NOT NULL,
    aside INTEGER NOT NULL         -- entries waiting or quarantined
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX case_number ON case_row(number, subject);
CREATE INDEX case_resident ON case_row(resident);
CREATE INDEX case_changed ON case_row(changed_ms, subject);
CREATE INDEX case_open ON case_row(open, changed_ms, subject);

CREATE TABLE resident_row(
    subject BLOB PRIMARY KEY,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    masked_id TEXT NOT NULL,
    birth TEXT NOT NULL,
    sex TEXT NOT NULL,
    grp TEXT NOT NULL,
    head TEXT NOT NULL,
    nickname TEXT NOT NULL,
    masked_phone TEXT NOT NULL,
    conflict INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX resident_place ON resident_row(place, name);
CREATE TABLE resident_key(
    key TEXT NOT NULL,
    kind INTEGER NOT NULL,
    subject BLOB NOT NULL,
    PRIMARY KEY(key, kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX resident_key_subject ON resident_key(subject);

-- Local to this store, never replicated.
CREATE TABLE throttle(
    login TEXT PRIMARY KEY,
    fails INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE look(
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    person BLOB NOT NULL,
    subject BLOB NOT NULL,
    what TEXT NOT NULL
) STRICT;
CREATE TABLE contact(
    id INTEGER PRIMARY KEY,
    peer INTEGER NOT NULL,
    began_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    entries_in INTEGER NOT NULL DEFAULT 0,
    entries_out INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE enrolment(
    token BLOB PRIMARY KEY,
    made_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    device BLOB NOT NULL,
    request BLOB NOT NULL,
    used_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE pin(
    person BLOB PRIMARY KEY,
    phc TEXT NOT NULL
) STRICT, WITHOUT ROWID;
