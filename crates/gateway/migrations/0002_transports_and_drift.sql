-- What an account's turns went over last, and until when the WebSocket is known not to be there for it.
ALTER TABLE accounts ADD COLUMN transport TEXT;
ALTER TABLE accounts ADD COLUMN websocket_missing_until BIGINT;

-- What the upstream said that this program does not know. A sample shows the shape alone.
CREATE TABLE drift (
    transport TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    count     BIGINT NOT NULL,
    first_at  BIGINT NOT NULL,
    last_at   BIGINT NOT NULL,
    sample    TEXT   NOT NULL,
    PRIMARY KEY (transport, kind)
);
