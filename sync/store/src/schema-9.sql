-- Bytes that went between this box and each relay, by month (year * 100 + month, Beijing time).
CREATE TABLE traffic(
  month INTEGER NOT NULL,
  device BLOB NOT NULL,
  name TEXT NOT NULL,
  sent INTEGER NOT NULL,
  received INTEGER NOT NULL,
  PRIMARY KEY(month, device)
) STRICT, WITHOUT ROWID;
