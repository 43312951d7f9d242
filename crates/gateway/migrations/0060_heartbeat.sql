-- One row, written by the writer from time to time: a reader that sees an older number than the writer acknowledged shows that
-- what was acknowledged does not reach the disk.
CREATE TABLE heartbeat (
    id       BIGINT NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL
);
INSERT INTO heartbeat (id, sequence) VALUES (1, 0);
