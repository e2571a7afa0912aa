-- Entries whose bytes did not agree with their name: emptied, and to be healed from a peer.
CREATE TABLE rotten(
    pos INTEGER PRIMARY KEY,
    found_ms INTEGER NOT NULL
) STRICT;
