#!/usr/bin/env bash
# Builds the hostile plugins (tests/fixtures/hostile-suite), each a component of its own, into target/plugins/hostile-suite.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
suite=tests/fixtures/hostile-suite
scripts/wasm-target.sh
"${CARGO:-cargo}" build --release --target wasm32-wasip2 --package hawser-fixture-hostile-suite --features plugins --examples
out=$CARGO_TARGET_DIR/plugins/hostile-suite
mkdir -p "$out"
for source in "$suite"/plugins/*.rs; do
    name=$(basename "$source" .rs)
    cp -u "$CARGO_TARGET_DIR/wasm32-wasip2/release/examples/$name.wasm" "$out/$name.wasm"
done
