-- A deleted account stays for a week, so that it can be had back with its conversations; NULL: it is in the pool.
ALTER TABLE accounts ADD COLUMN deleted_at BIGINT;
CREATE INDEX accounts_by_deletion ON accounts (deleted_at) WHERE deleted_at IS NOT NULL;
