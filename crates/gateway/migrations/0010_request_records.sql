-- What the request log tells beyond the outcome: how the attempts went, why this account, what took how long.
ALTER TABLE requests ADD COLUMN transport TEXT;
ALTER TABLE requests ADD COLUMN client TEXT;
ALTER TABLE requests ADD COLUMN error_message TEXT;
ALTER TABLE requests ADD COLUMN attempt_count BIGINT NOT NULL DEFAULT 0;
-- JSON: recognition, choice and marks on the request's time line.
ALTER TABLE requests ADD COLUMN routing TEXT NOT NULL DEFAULT '{}';
ALTER TABLE requests ADD COLUMN queue_ms BIGINT;
ALTER TABLE requests ADD COLUMN first_byte_ms BIGINT;
ALTER TABLE requests ADD COLUMN reasoning_tokens BIGINT;

-- The order of the log, and one index for every filter whose values are many. Filters with few values walk the first one.
DROP INDEX requests_by_time;
CREATE INDEX requests_by_time ON requests (at, id);
CREATE INDEX requests_by_key ON requests (key_id, at, id);
CREATE INDEX requests_by_account ON requests (account_id, at, id);
CREATE INDEX requests_by_conversation ON requests (conversation_id, at, id);
CREATE INDEX requests_by_request_id ON requests (request_id);
CREATE INDEX requests_by_error ON requests (error_code, at, id) WHERE error_code IS NOT NULL;

-- Sums over the requests that began within `grain` seconds from `bucket_at`, by one dimension at a time. Written in the transaction
-- that writes the requests, so the two cannot disagree. The histograms' bounds are in the code that writes them.
CREATE TABLE request_stats (
    grain             BIGINT NOT NULL,
    dimension         TEXT   NOT NULL,
    bucket_at         BIGINT NOT NULL,
    value             TEXT   NOT NULL,
    requests          BIGINT NOT NULL,
    succeeded         BIGINT NOT NULL,
    failed            BIGINT NOT NULL,
    cancelled         BIGINT NOT NULL,
    retried           BIGINT NOT NULL,
    prompt_tokens     BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    reasoning_tokens  BIGINT NOT NULL,
    bytes             BIGINT NOT NULL,
    stream_ms         BIGINT NOT NULL,
    first_token_0     BIGINT NOT NULL,
    first_token_1     BIGINT NOT NULL,
    first_token_2     BIGINT NOT NULL,
    first_token_3     BIGINT NOT NULL,
    first_token_4     BIGINT NOT NULL,
    first_token_5     BIGINT NOT NULL,
    first_token_6     BIGINT NOT NULL,
    first_token_7     BIGINT NOT NULL,
    first_token_8     BIGINT NOT NULL,
    first_token_9     BIGINT NOT NULL,
    first_token_10    BIGINT NOT NULL,
    first_token_11    BIGINT NOT NULL,
    duration_0        BIGINT NOT NULL,
    duration_1        BIGINT NOT NULL,
    duration_2        BIGINT NOT NULL,
    duration_3        BIGINT NOT NULL,
    duration_4        BIGINT NOT NULL,
    duration_5        BIGINT NOT NULL,
    duration_6        BIGINT NOT NULL,
    duration_7        BIGINT NOT NULL,
    duration_8        BIGINT NOT NULL,
    duration_9        BIGINT NOT NULL,
    duration_10       BIGINT NOT NULL,
    duration_11       BIGINT NOT NULL,
    PRIMARY KEY (grain, dimension, bucket_at, value)
);
