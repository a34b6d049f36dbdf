#!/usr/bin/env bash
# Runs the fuzz targets guided by coverage: fuzz.sh SECONDS [TARGET...] (all, one after the other).
#
# HAWSER_FUZZ_SEED is the seed of chance, for runs that are alike.
# Works with the stable compiler: the worker's own crates are built with LLVM's coverage counters by a wrapper around rustc, their
# dependencies as always. New inputs gather in target/fuzz/corpus; what fails is left in target/fuzz/failed, and belongs, made
# small, into fuzz/corpus, where a test replays it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:?usage: fuzz.sh SECONDS [TARGET...]}
shift
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
[ $# -gt 0 ] || set -- $(ls fuzz/corpus)

RUSTC_WORKSPACE_WRAPPER=$PWD/scripts/fuzz-rustc.sh CARGO_PROFILE_DEV_OPT_LEVEL=2 \
    "${CARGO:-cargo}" build --package hawser-fuzz --features libfuzzer --bin hawser-fuzz
out=$CARGO_TARGET_DIR/fuzz
mkdir -p "$out/failed"
cp "$CARGO_TARGET_DIR/debug/hawser-fuzz" "$out/hawser-fuzz.new"
mv "$out/hawser-fuzz.new" "$out/hawser-fuzz"
for target in "$@"; do
    echo "fuzz: $target, $seconds s" >&2
    mkdir -p "$out/corpus/$target"
    dictionary=fuzz/dictionaries/$target.txt
    options=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=3072 -max_len=4096 -print_final_stats=1 -artifact_prefix="$out/failed/$target-")
    [ -z "${HAWSER_FUZZ_SEED:-}" ] || options+=(-seed="$HAWSER_FUZZ_SEED")
    [ ! -f "$dictionary" ] || options+=(-dict="$dictionary")
    HAWSER_FUZZ=$target "$out/hawser-fuzz" "${options[@]}" "$out/corpus/$target" "fuzz/corpus/$target"
done
