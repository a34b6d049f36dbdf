#!/usr/bin/env bash
# All tests: formatting, lints, unit tests, plugins, and the end-to-end tests against Apache Kafka and the development broker.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
times=()
not_run=()
left_out=()   # arguments that leave out tests that cannot run here, or need not run again
e2e_threads=4   # more than cores: these tests mostly wait, for groups, intervals and restarts

step() {   # step NAME COMMAND...
    local name=$1 began=$SECONDS
    shift
    echo "==== $name" >&2
    "$@"
    times+=("$(printf '%5d s  %s' $((SECONDS - began)) "$name")")
}

against_kafka() {
    if ! KAFKA_BOOTSTRAP=$(scripts/kafka.sh start --dir "$work/kafka"); then
        [ -z "${CI:-}" ] || { echo "test: CI must have a real Kafka (see above)" >&2; return 1; }
        not_run+=("end-to-end tests against Apache Kafka: none could be started (see above)")
        return
    fi
    HAWSER_TEST_BROKER=kafka KAFKA_BOOTSTRAP=$KAFKA_BOOTSTRAP cargo test --workspace --test e2e -- --test-threads "$e2e_threads" "${left_out[@]}"
    # Minutes of attacks, to which the broker makes no difference.
    left_out+=(--skip siege::)
}

against_connect() {   # the converters beside Kafka Connect's own classes, and those of Avro and the like; a source file is run by java, so that must be a JDK
    local classpath formats
    if ! java --list-modules 2>/dev/null | grep -q '^jdk.compiler@' || ! classpath=$(scripts/kafka.sh classpath); then
        [ -z "${CI:-}" ] || { echo "test: CI must have a JDK and Kafka Connect's jars (see above)" >&2; return 1; }
        not_run+=("converters against Kafka Connect's classes: no JDK, or no jars (see above)")
        return
    fi
    if ! formats=$(scripts/registry.sh classpath); then
        [ -z "${CI:-}" ] || { echo "test: CI must have the jars of Avro, Protobuf and JSON Schema (see above)" >&2; return 1; }
        not_run+=("Avro, Protobuf and JSON Schema against JVM classes: no jars (see above)")
    fi
    HAWSER_CONNECT_CLASSPATH=$classpath HAWSER_FORMATS_CLASSPATH=${formats:+$classpath:$formats} \
        cargo test --workspace --test convert -- kafka formats --nocapture
}

with_registry() {   # the end-to-end tests share one schema registry
    if ! SCHEMA_REGISTRY_URL=$(scripts/registry.sh start --dir "$work/registry"); then
        [ -z "${CI:-}" ] || { echo "test: CI must have a schema registry (see above)" >&2; return 1; }
        not_run+=("end-to-end tests with a schema registry: none could be started (see above)")
        left_out=(--skip registry::)
        return
    fi
    export SCHEMA_REGISTRY_URL
}

against_dev_broker() {
    HAWSER_TEST_BROKER=dev cargo test --workspace --test e2e -- --test-threads "$e2e_threads" "${left_out[@]}"
}

end() {
    SCHEMA_REGISTRY_URL='' scripts/registry.sh stop --dir "$work/registry"
    scripts/kafka.sh stop --dir "$work/kafka"
    rm -rf "$work"
}

work=$(mktemp -d)
trap end EXIT
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
step "set-up" scripts/setup.sh test
step "formatting" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets -- -D warnings
step "plugins" scripts/plugins.sh plugins/*/ tests/fixtures/hostile
step "hostile plugins" scripts/hostile.sh
step "build" cargo build --workspace --all-targets
step "unit tests" cargo test --workspace --exclude hawser-e2e
# The same seed each time: a change is judged by what it does to the inputs of the last run. `make fuzz` goes where none went.
step "fuzzing, a few seconds each" env HAWSER_FUZZ_SEED=1 scripts/fuzz.sh 5
step "converters against Kafka Connect's classes" against_connect
step "schema registry" with_registry
step "end-to-end tests against Apache Kafka" against_kafka
step "end-to-end tests against the development broker" against_dev_broker

echo "==== passed" >&2
printf '%s\n' "${times[@]}" >&2
[ ${#not_run[@]} -eq 0 ] || printf 'NOT RUN: %s\n' "${not_run[@]}" >&2
