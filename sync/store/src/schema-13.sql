-- A conversation: over what it went (0 not said, 1 QUIC, 2 HTTPS), its bytes each way, when it was
-- over, and how it ended (0 not said; the link has the numbers). ended_ms is when everything was
-- last exchanged in it.
ALTER TABLE contact ADD COLUMN way INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contact ADD COLUMN sent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contact ADD COLUMN received INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contact ADD COLUMN over_ms INTEGER;
ALTER TABLE contact ADD COLUMN ending INTEGER NOT NULL DEFAULT 0;
CREATE INDEX contact_peer ON contact(peer, id);
-- Attempts to reach a relay that came to nothing for one reason, one after another.
CREATE TABLE unreached(
    id INTEGER PRIMARY KEY,
    relay TEXT NOT NULL,           -- as it is configured
    why INTEGER NOT NULL,          -- the link has the numbers
    began_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    times INTEGER NOT NULL
) STRICT;
-- Attachments that were made here and that no relay was given whole: only_here. given: the relay
-- that was, until it asks for it again. What an older program made counts while its case has not
-- been seen by the county.
ALTER TABLE attachment ADD COLUMN only_here INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attachment ADD COLUMN given BLOB;
UPDATE attachment SET only_here = 1 WHERE state = 1 AND id IN (
    SELECT o.attachment FROM attachment_of o JOIN case_row c ON c.subject = o.subject
    WHERE c.uploaded = 0 AND EXISTS (
        SELECT 1 FROM entry e WHERE e.subject = c.subject AND e.via = 0));
-- 0: the subject named it once and does not any more (a photo that was taken again): nobody asks for it.
ALTER TABLE attachment_of ADD COLUMN named INTEGER NOT NULL DEFAULT 1;
CREATE INDEX attachment_only_here ON attachment(id) WHERE only_here = 1;
-- How far a case has come; absent in rows of an older program until the case is materialised again.
ALTER TABLE case_row ADD COLUMN rungs INTEGER;
CREATE INDEX case_conflict ON case_row(subject) WHERE conflict = 1;
CREATE INDEX case_aside ON case_row(subject) WHERE aside > 0;
