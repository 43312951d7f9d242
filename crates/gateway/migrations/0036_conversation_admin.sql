-- What is told of conversations besides what continuing them needs.
-- Until when an admin keeps it, whatever its age; the model asked for last; how often it changed its account.
ALTER TABLE conversations ADD COLUMN keep_until BIGINT;
ALTER TABLE conversations ADD COLUMN model TEXT;
ALTER TABLE conversations ADD COLUMN moves BIGINT NOT NULL DEFAULT 0;

-- Of which request the turn is, and how it went. NULL for turns from before.
ALTER TABLE turns ADD COLUMN request_id TEXT;
ALTER TABLE turns ADD COLUMN model TEXT;
ALTER TABLE turns ADD COLUMN receipt TEXT;
ALTER TABLE turns ADD COLUMN recognised TEXT;

-- The order of the list, and one index for every filter whose values are many.
DROP INDEX conversations_by_use;
DROP INDEX conversations_by_account;
CREATE INDEX conversations_by_use ON conversations (last_used_at, id);
CREATE INDEX conversations_by_account ON conversations (account_id, last_used_at, id);
CREATE INDEX conversations_by_key ON conversations (key_id, last_used_at, id);
CREATE INDEX conversations_by_model ON conversations (model, last_used_at, id) WHERE model IS NOT NULL;
CREATE INDEX conversations_moved ON conversations (last_used_at, id) WHERE moves > 0;

-- Every change of a conversation's account. Ids sort by time.
CREATE TABLE conversation_moves (
    id                            TEXT   NOT NULL PRIMARY KEY,
    conversation_id               TEXT   NOT NULL,
    at                            BIGINT NOT NULL,
    -- The turn that was carried over, or the first one of the history that was replayed.
    turn_id                       TEXT   NOT NULL,
    from_account_id               TEXT   NOT NULL,
    to_account_id                 TEXT   NOT NULL,
    -- What is left of it at the account it came from.
    from_upstream_conversation_id TEXT   NOT NULL,
    -- carried, replayed
    kind                          TEXT   NOT NULL,
    -- NULL: an admin moved it.
    request_id                    TEXT
);
CREATE INDEX conversation_moves_by_conversation ON conversation_moves (conversation_id, at);
