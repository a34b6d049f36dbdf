#!/usr/bin/env bash
# Sends the same requests to a real Kafka Connect and to a worker, and tells each difference that is not meant.
#
#   compare.sh [--all] [FILTER]   --all: those that are meant, too; FILTER: of requests with this text only
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh test
scripts/plugins.sh plugins/file plugins/transforms
cargo build --bin hawser
exec python3 tests/compare/rest.py "$@"
