-- Closed cases: the bytes of their entries and their document, compressed together. Where they
-- were stands where they are here (pack.rs). Empty: they would not have become shorter.
CREATE TABLE pack(
    subject BLOB PRIMARY KEY,
    upto INTEGER NOT NULL,         -- entries up to this position were looked at
    plain INTEGER NOT NULL,        -- bytes before
    bytes BLOB NOT NULL
) STRICT;
