-- What a key may do, for how long, and what it has done. NULL means no limit.
ALTER TABLE api_keys ADD COLUMN expires_at BIGINT;
ALTER TABLE api_keys ADD COLUMN requests_per_minute BIGINT;
ALTER TABLE api_keys ADD COLUMN requests_per_day BIGINT;
ALTER TABLE api_keys ADD COLUMN concurrent_requests BIGINT;
-- JSON list of model names.
ALTER TABLE api_keys ADD COLUMN models TEXT;
-- The secret before the last rotation, and until when it opens.
ALTER TABLE api_keys ADD COLUMN previous_hash TEXT;
ALTER TABLE api_keys ADD COLUMN previous_until BIGINT;
-- Requests on one day (days since 1970, UTC) and since the key was made.
ALTER TABLE api_keys ADD COLUMN usage_day BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN usage_today BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN usage_total BIGINT NOT NULL DEFAULT 0;
