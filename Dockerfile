# The gateway in a small image: one binary, no shell tools of its own needed, not root.
#
#   docker build -t grok2api .
#   docker run -p 8000:8000 -v grok2api-data:/data grok2api

# Comes with the C compiler that SQLite and ring are built with.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p grok2api \
 && strip target/release/grok2api

# The binary alone, static, for machines with another or no C library:
#
#   docker build --target static --output out .
FROM rust:1.95-alpine AS build-static
# hadolint ignore=DL3018
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p grok2api \
 && strip target/release/grok2api

FROM scratch AS static
COPY --from=build-static /src/target/release/grok2api /grok2api

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Grok2API" \
      org.opencontainers.image.description="Turns Grok web accounts into an OpenAI-compatible API" \
      org.opencontainers.image.licenses="MIT"
# The number is fixed, so that a mapped directory can be given to it: chown 10001:10001 ./data
RUN groupadd --gid 10001 grok2api \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin grok2api \
 && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /src/target/release/grok2api /usr/local/bin/grok2api
USER 10001:10001
WORKDIR /data
ENV GROK2API_LISTEN=0.0.0.0:8000 \
    GROK2API_DATA_DIR=/data
VOLUME /data
EXPOSE 8000
# Running answers get shutdown_grace seconds to finish after SIGTERM.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["grok2api", "healthcheck"]
ENTRYPOINT ["grok2api"]
CMD ["serve"]
