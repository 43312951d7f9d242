-- Work in the background, started by a person or a script. `options` and `result` are JSON.
CREATE TABLE jobs (
    id          TEXT   NOT NULL PRIMARY KEY,
    kind        TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    options     TEXT   NOT NULL,
    created_by  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    started_at  BIGINT,
    finished_at BIGINT,
    total       BIGINT NOT NULL,
    succeeded   BIGINT NOT NULL,
    failed      BIGINT NOT NULL,
    skipped     BIGINT NOT NULL,
    result      TEXT,
    error       TEXT
);
CREATE INDEX jobs_by_time ON jobs (created_at, id);

-- What a job does, thing by thing. The outcome is empty until it is done; `payload` is sealed and goes when the thing is done.
CREATE TABLE job_items (
    job_id          TEXT   NOT NULL,
    position        BIGINT NOT NULL,
    subject         TEXT   NOT NULL,
    payload         TEXT,
    outcome         TEXT   NOT NULL,
    code            TEXT,
    message         TEXT,
    upstream_status BIGINT,
    duration_ms     BIGINT,
    finished_at     BIGINT,
    PRIMARY KEY (job_id, position)
);
CREATE INDEX job_items_by_outcome ON job_items (job_id, outcome, position);
