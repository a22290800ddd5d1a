# The one runner: people, hooks and CI call these targets. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# What `make load` does; profiles are in loadtest/profiles.
PROFILE ?= smoke

# Used to make .venv; after that only .venv's own Python runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILT := $(VENV)/.built
# Folders are listed too: one changes when a file in it is removed.
RUST := Cargo.toml Cargo.lock $(shell find rust)
TARPAULIN := target/tools/bin/cargo-tarpaulin

# rustup's place, for shells that have not read its profile
export PATH := $(PATH):$(HOME)/.cargo/bin:$(CURDIR)/target/tools/bin
# One interpreter for every cargo command, so that none rebuilds what another built.
CARGO := PYO3_PYTHON=$(CURDIR)/$(BIN)/python cargo

# Rust's tests link libpython, which need not be where the loader looks.
LIBPYTHON = LD_LIBRARY_PATH="$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}"

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## start the server on http://127.0.0.1:8080 (Ctrl+C stops it)
	@exec $(BIN)/pychat serve --config configs/pychat.toml

.PHONY: demo
demo: build ## start a server full of people and talk, on the same address; gone when it stops
	@exec $(BIN)/python -m demo

.PHONY: up
up: ## start everything in containers: pychat, Postgres, nginx, Prometheus, Grafana
	@scripts/up

.PHONY: down
down: ## stop the containers; their data stays
	@docker compose down

.PHONY: build
build: $(BUILT) ## make .venv with all dependencies and the Rust extension in it

$(VENV)/.tools: constraints.txt
	@PYTHON="$(PYTHON)" scripts/check_tools build
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt maturin
	@touch $@

$(BUILT): $(VENV)/.tools pyproject.toml constraints.txt $(RUST)
	@PYTHON="$(BIN)/python" scripts/check_tools build
	@# maturin writes into the old file, which would crash a server that is running from it
	@rm -f pychat/_core*.so
	@PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1 VIRTUAL_ENV=$(CURDIR)/$(VENV) \
		$(BIN)/maturin develop --release --locked --extras dev,load
	@touch $@

.PHONY: test
test: build ## all tests: Rust, then Python
	@PYTHON="$(BIN)/python" scripts/check_tools test
	$(LIBPYTHON) $(CARGO) test --locked --quiet --workspace
	$(LIBPYTHON) $(CARGO) test --locked --quiet --features models --test models
	$(BIN)/pytest -n logical

.PHONY: stress
stress: build ## a minute of many threads on one hub, and 50 crashes under load, every message counted
	$(LIBPYTHON) PYCHAT_STRESS_SECONDS=60 $(CARGO) test --locked --release --test stress -- --nocapture
	PYCHAT_CRASH_ROUNDS=50 $(BIN)/pytest tests/e2e/test_crashes.py

.PHONY: lint
lint: build ## formatting, lint and types of Python and Rust
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest pychat._core pychat.structures
	cargo fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --features models --test models -- -D warnings

# A folder of its own, for what is instrumented would make every other cargo command build anew. The counters are to be
# written through to their files, which the flag is for: servers of the tests are killed.
COVERED = $(LIBPYTHON) $(CARGO) tarpaulin --locked --release --engine llvm --skip-clean --target-dir target/coverage/build \
	--rustflags=-Cllvm-args=-runtime-counter-relocation --include-files 'rust/*' \
	--exclude-files 'rust/tests/*' 'rust/**/tests.rs' 'rust/api/fuzz*' rust/sync/stand_ins.rs

.PHONY: coverage
coverage: build $(TARPAULIN) ## what the tests reach: tables, htmlcov/, target/coverage/, and the figures in README.md
	$(COVERED) --no-run
	@# The next make builds the usual extension again.
	@rm $(BUILT) pychat/_core*.so
	cp target/coverage/build/release/deps/libpychat_core.so pychat/_core.abi3.so
	$(COVERED) --objects pychat/_core.abi3.so --output-dir target/coverage --out Json --out Html --out Stdout -- --include-ignored
	scripts/write_coverage target/coverage/python.json target/coverage/tarpaulin-report.json

$(TARPAULIN):
	cargo install --locked --quiet --version 0.35.5 --root target/tools --target-dir target/tools/build cargo-tarpaulin
	@rm -r target/tools/build

.PHONY: load
load: build ## people who chat, by a profile: make load PROFILE=smoke|steady|ramp|spike|soak; writes a report with charts
	@$(BIN)/python -m loadtest $(PROFILE)

.PHONY: driver
driver: ## build target/release/pychat-load, which loads a server at a fixed rate; see loadtest/README.md
	cargo build --locked --release --package pychat-load

.PHONY: compare
compare: build driver ## pychat beside nchan, centrifuge, socket.io, bare Granian and nginx: a table and a chart
	@$(BIN)/python -m loadtest.compare

.PHONY: scaling
scaling: build driver ## what a send costs with more people, sessions, bytes, sends, threads: charts
	@$(BIN)/python -m loadtest.scaling

.PHONY: flamegraph
flamegraph: build driver ## where the CPU time goes under load: Python, Rust and Postgres in one picture
	@$(BIN)/python -m loadtest.flamegraph

.PHONY: bench
bench: build driver ## every measurement, beside what one would use instead (needs wrk and nchan); see benches/README.md
	$(BIN)/python -m benches

.PHONY: bench-check
bench-check: build ## fail where ratios of the Python API, the edge or a growing history are much worse than the committed ones; a minute or two
	$(BIN)/python -m benches.guard

.PHONY: screenshots
screenshots: build ## take the README's pictures of the page anew (needs Chromium)
	$(BIN)/python -m demo.screenshots
