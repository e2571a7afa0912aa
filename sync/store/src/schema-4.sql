-- Looks of boxes at the county: on which device, when it came here; and at a box, whether it has
-- left for the county. Zeros: looked at here.
ALTER TABLE look ADD COLUMN device BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';
ALTER TABLE look ADD COLUMN received_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE look ADD COLUMN sent INTEGER NOT NULL DEFAULT 0;
UPDATE look SET received_ms = at_ms;
CREATE INDEX look_unsent ON look(at_ms) WHERE sent = 0;
CREATE INDEX look_received ON look(received_ms);
