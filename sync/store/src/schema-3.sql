-- Looks: until when, at full numbers or masked ones, for which purpose, and of what a list was.
ALTER TABLE look ADD COLUMN until_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE look ADD COLUMN uncovered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE look ADD COLUMN purpose INTEGER NOT NULL DEFAULT 0;
ALTER TABLE look ADD COLUMN scope TEXT NOT NULL DEFAULT '';
CREATE INDEX look_subject ON look(subject, at_ms);
CREATE INDEX look_at ON look(at_ms);
