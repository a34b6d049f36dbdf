#!/usr/bin/env bash
# rustc for the crates of this workspace, with the counters that libFuzzer is guided by. Build scripts stay as they are.
set -euo pipefail

case " $* " in
*" --crate-name build_script_build "* | *" proc-macro "*) exec "$@" ;;
esac
exec "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
