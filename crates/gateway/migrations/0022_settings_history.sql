-- Every change of the settings, and the settings after it. Ids sort by time.
CREATE TABLE settings_history (
    id              TEXT   NOT NULL PRIMARY KEY,
    at              BIGINT NOT NULL,
    actor           TEXT   NOT NULL,
    -- JSON list of what changed, secrets masked.
    changes         TEXT   NOT NULL,
    -- The whole document, sealed: it may hold a proxy's password.
    document_sealed TEXT   NOT NULL
);
