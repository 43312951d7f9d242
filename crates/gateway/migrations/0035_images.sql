-- Images that the model made: which answer they belong to, and what of them is kept.
CREATE TABLE images (
    id          TEXT NOT NULL PRIMARY KEY,
    account_id  TEXT NOT NULL,
    key_id      TEXT,
    request_id  TEXT NOT NULL,
    model       TEXT,
    -- Where the upstream has it.
    source      TEXT NOT NULL,
    -- What it is and how large; unknown (and 0) until its bytes are kept.
    media_type  TEXT,
    bytes       BIGINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    hits        BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX images_by_time ON images (created_at, id);
CREATE INDEX images_by_request ON images (request_id);
