-- One text for SQLite and PostgreSQL: ids are TEXT, times BIGINT milliseconds since 1970, numbers BIGINT, JSON is TEXT.

CREATE TABLE admins (
    username      TEXT    NOT NULL PRIMARY KEY,
    password_hash TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL
);

CREATE TABLE admin_sessions (
    id_hash      TEXT   NOT NULL PRIMARY KEY,
    username     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    remember     BOOLEAN NOT NULL,
    ip           TEXT,
    user_agent   TEXT
);

CREATE TABLE api_keys (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    secret_hash  TEXT    NOT NULL UNIQUE,
    preview      TEXT    NOT NULL,
    enabled      BOOLEAN NOT NULL,
    reasoning    TEXT,
    created_at   BIGINT  NOT NULL,
    last_used_at BIGINT,
    version      BIGINT  NOT NULL
);

CREATE TABLE accounts (
    id                   TEXT    NOT NULL PRIMARY KEY,
    label                TEXT    NOT NULL,
    tags                 TEXT    NOT NULL,
    token_sealed         TEXT    NOT NULL,
    fingerprint          TEXT    NOT NULL UNIQUE,
    user_id              TEXT,
    tier                 TEXT,
    enabled              BOOLEAN NOT NULL,
    invalid_reason       TEXT,
    invalid_since        BIGINT,
    consecutive_failures BIGINT  NOT NULL,
    created_at           BIGINT  NOT NULL,
    last_used_at         BIGINT,
    version              BIGINT  NOT NULL
);

-- How long an account rests and why. An empty mode means the whole account.
CREATE TABLE account_rests (
    account_id  TEXT   NOT NULL,
    mode        TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    since_at    BIGINT NOT NULL,
    until_at    BIGINT NOT NULL,
    caused_by   TEXT,
    PRIMARY KEY (account_id, mode)
);

CREATE TABLE account_quota (
    account_id  TEXT   NOT NULL,
    mode        TEXT   NOT NULL,
    remaining   BIGINT,
    total       BIGINT,
    window_s    BIGINT,
    resets_at   BIGINT,
    source      TEXT   NOT NULL,
    measured_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, mode)
);

CREATE TABLE conversations (
    id           TEXT   NOT NULL PRIMARY KEY,
    key_id       TEXT   NOT NULL,
    account_id   TEXT   NOT NULL,
    head_turn_id TEXT   NOT NULL,
    title        TEXT,
    client_chat  TEXT,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX conversations_by_use ON conversations (last_used_at);
CREATE INDEX conversations_by_account ON conversations (account_id, last_used_at);

-- One row per answered turn; the rows of a conversation form a tree.
CREATE TABLE turns (
    id                       TEXT   NOT NULL PRIMARY KEY,
    conversation_id          TEXT   NOT NULL,
    parent_id                TEXT,
    depth                    BIGINT NOT NULL,
    chain                    TEXT   NOT NULL,
    user_hash                TEXT   NOT NULL,
    user_lines               TEXT   NOT NULL,
    answer_hash              TEXT   NOT NULL,
    answer_length            BIGINT NOT NULL,
    system_hash              TEXT,
    base                     TEXT,
    account_id               TEXT   NOT NULL,
    upstream_conversation_id TEXT   NOT NULL,
    upstream_response_id     TEXT   NOT NULL,
    share_link               TEXT,
    created_at               BIGINT NOT NULL
);
CREATE INDEX turns_by_conversation ON turns (conversation_id);
CREATE INDEX turns_by_chain ON turns (chain);
CREATE INDEX turns_by_answer ON turns (answer_hash);

CREATE TABLE requests (
    id                TEXT    NOT NULL PRIMARY KEY,
    -- What X-Request-ID says; a client may send the same twice.
    request_id        TEXT    NOT NULL,
    at                BIGINT  NOT NULL,
    key_id            TEXT,
    route             TEXT    NOT NULL,
    model             TEXT,
    mode              TEXT,
    stream            BOOLEAN NOT NULL,
    status            BIGINT  NOT NULL,
    ending            TEXT    NOT NULL,
    error_code        TEXT,
    account_id        TEXT,
    conversation_id   TEXT,
    turn              TEXT,
    attempts          TEXT    NOT NULL,
    first_token_ms    BIGINT,
    duration_ms       BIGINT  NOT NULL,
    bytes             BIGINT  NOT NULL,
    prompt_tokens     BIGINT,
    completion_tokens BIGINT,
    client_ip         TEXT,
    user_agent        TEXT
);
CREATE INDEX requests_by_time ON requests (at);
