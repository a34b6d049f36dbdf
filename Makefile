# Thin: each target is a line or two; the work is in scripts/. `make` lists them.

BIN = $(or $(CARGO_TARGET_DIR),target)/release

# Of each target of `make fuzz`.
SECONDS = 60

.DEFAULT_GOAL := help
.PHONY: help run serve plugins test lint bench bench-programs scale fuzz compare kafka clean setup worker

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: worker ## the whole thing once: upload plugins, move 100,000 records file -> Kafka -> transforms -> file, compare
	@scripts/plugins.sh plugins/file plugins/transforms
	@python3 scripts/demo.py $(BIN)/hawser

serve: worker ## a worker with its embedded broker on 127.0.0.1:8083, and curl lines to paste
	@scripts/plugins.sh plugins/file plugins/transforms
	@scripts/serve.sh

plugins: setup ## every plugin -> target/plugins/NAME.wasm
	@scripts/plugins.sh

test: ## everything: format, lints, unit tests, plugins, end-to-end on Apache Kafka and on the development broker
	@scripts/test.sh

lint: setup ## format and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

bench: bench-programs ## figures, as ratios to a plain Kafka client and to Kafka Connect's own classes
	@HAWSER_CONNECT_CLASSPATH=$$(scripts/kafka.sh classpath || true) HAWSER_FORMATS_CLASSPATH=$$(scripts/registry.sh classpath || true) \
	    $(BIN)/hawser-bench

scale: bench-programs ## 1,000 idle connectors on one worker: memory, threads, descriptors, time to all RUNNING
	@$(BIN)/hawser-bench scale

fuzz: setup ## every fuzz target, guided by coverage, SECONDS each (make fuzz SECONDS=1200)
	@scripts/fuzz.sh $(SECONDS)

compare: ## the REST API beside a real Kafka Connect's: some 820 requests to both, each difference told (some minutes)
	@scripts/compare.sh

kafka: setup ## a real Kafka on a free port of this machine (stop it with scripts/kafka.sh stop)
	@scripts/setup.sh test
	@scripts/kafka.sh start

clean: ## what was built and cached; a Kafka of `make kafka` is stopped
	-@scripts/kafka.sh stop
	cargo clean
	rm -rf .cache

bench-programs: setup
	@scripts/plugins.sh plugins/blackhole plugins/datagen plugins/transforms tests/fixtures/hostile
	cargo build --release --bin hawser --bin hawser-dev-broker --bin hawser-bench

setup:
	@scripts/setup.sh build

worker: setup
	cargo build --release --bin hawser
