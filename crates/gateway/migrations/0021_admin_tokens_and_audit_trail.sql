-- Tokens of the admin API for scripts. The secret is here as a hash only.
CREATE TABLE admin_tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    name         TEXT   NOT NULL,
    secret_hash  TEXT   NOT NULL UNIQUE,
    preview      TEXT   NOT NULL,
    -- JSON list of scopes.
    scopes       TEXT   NOT NULL,
    created_by   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT
);

-- Who changed what. Ids sort by time.
CREATE TABLE audit_trail (
    id         TEXT   NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    -- session, token, system
    actor_kind TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    address    TEXT,
    request_id TEXT,
    action     TEXT   NOT NULL,
    subject    TEXT,
    -- JSON of the members that changed, without secrets.
    before     TEXT,
    after      TEXT
);
