-- What became of accounts' states: rests that began, changed and ended, credentials that died, switches; newest last by id.
CREATE TABLE account_history (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    cause TEXT NOT NULL,
    actor TEXT,
    mode TEXT,
    reason TEXT,
    until_at BIGINT,
    request_id TEXT
);
CREATE INDEX account_history_by_account ON account_history (account_id, id);
