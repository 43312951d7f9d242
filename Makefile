# The commands a person types. On a bare Debian with Rust and Node, `make run` and `make test` are all that is needed.

CARGO ?= cargo
# Everything after `make run ARGS=…` goes to the program.
ARGS ?=
MUSL = $(shell uname -m)-unknown-linux-musl

.PHONY: help run demo test faults check fmt generate console e2e pictures clients contract static bench bench-admin size

help: ## Lists the commands.
	@grep -E '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

console: ## Builds the web console when its sources have changed; without Node it says so and goes on.
	@web/build-if-stale

run: console ## Builds and starts the gateway on http://127.0.0.1:8000, data in ./data.
	$(CARGO) run --release --locked -- $(ARGS)

demo: console ## The same with a simulated upstream: no account, no network, nothing kept.
	$(CARGO) run --release --locked -- demo $(ARGS)

test: console ## All Rust tests, through the front door and inside the rooms.
	$(CARGO) test --workspace --locked

faults: console ## Every kind of failing write, under load, and what of the acknowledged is lost; needs root and strace.
	GROK2API_FAULTS=all $(CARGO) test -p grok2api --locked --test it -- disk_faults --nocapture

clients: ## The README's examples through the official OpenAI SDKs for Python and Node.
	tests/clients/run

check: ## Formatting, lints and types, as in CI.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	cd web && { [ -d node_modules ] || npm ci --no-audit --no-fund --loglevel=error; } && npm run --silent check

generate: ## Writes what is generated and committed: the OpenAPI document and the console's types.
	$(CARGO) run --quiet --locked -- openapi > crates/gateway/openapi.json.new
	mv crates/gateway/openapi.json.new crates/gateway/openapi.json
	cd web && { [ -d node_modules ] || npm ci --no-audit --no-fund --loglevel=error; } && npm run --silent schema

e2e: console ## The console in a real browser: the ways of its users, axe, 100,000 accounts; needs Chromium.
	$(CARGO) build --workspace --bins --locked
	cd web && npm run --silent e2e

pictures: console ## Takes the pictures of the README anew.
	$(CARGO) build --workspace --bins --locked
	cd web && node e2e/pictures.mjs

contract: ## The OpenAPI document against the running service, by Schemathesis.
	tests/contract/run

fmt: ## Formats the code.
	$(CARGO) fmt --all

static: console ## A static binary for this machine's kind; needs musl-gcc and the Rust target of the same name.
	CC_$(subst -,_,$(MUSL))=musl-gcc $(CARGO) build --release --locked -p grok2api --target $(MUSL)

bench-admin: ## Request log and statistics over 1,000,000 requests.
	bench/admin

bench: ## Gateway against nginx and the simulator itself, as ratios of one run; `make bench -- --only hostile` attacks it.
	bench/run $(BENCH_ARGS)

# What follows `make bench --` goes to the program and is nothing to be made.
ifeq (bench,$(firstword $(MAKECMDGOALS)))
BENCH_ARGS := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
ifneq (,$(BENCH_ARGS))
.PHONY: $(BENCH_ARGS)
$(BENCH_ARGS): ; @:
endif
endif

size: ## Lines of code by room.
	@find crates -name '*.rs' -not -path '*/target/*' | xargs wc -l | sort -n | tail -60
