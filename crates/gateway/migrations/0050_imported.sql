-- Conversations taken over from the Python Grok2API. It kept neither the key nor the answers: until an imported key asks for one, it
-- belongs to nobody (`conversations.key_id` is empty) and its turn has no hashes of ours.
CREATE TABLE imported_conversations (
    conversation_id TEXT NOT NULL PRIMARY KEY REFERENCES conversations (id) ON DELETE CASCADE,
    turn_id         TEXT NOT NULL,
    -- Its fingerprint of system text and questions; empty when it had none.
    history_hash    TEXT NOT NULL
);
CREATE INDEX imported_conversations_by_history ON imported_conversations (history_hash);

-- The keys that may claim them.
CREATE TABLE imported_keys (
    key_id TEXT NOT NULL PRIMARY KEY
);
