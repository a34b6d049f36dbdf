#!/usr/bin/env bash
# The worker with its embedded broker in the foreground, and lines to try it with. Its state stays in .cache/serve.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
listen=${LISTEN:-127.0.0.1:8083}
url=http://$listen
work=$root/.cache/serve
mkdir -p "$work/in" "$work/out"
[ -f "$work/in/orders.ndjson" ] || for i in 1 2 3; do echo "{\"order\":$i,\"card\":\"4000-0000-0000-000$i\"}"; done >"$work/in/orders.ndjson"

cat <<SHEET

Paste these into another terminal:

  # what this worker is, and what it can run
  curl -s $url/ ; echo
  curl -s $url/connector-plugins ; echo

  # upload two plugins
  curl -s -X POST -H 'content-type: application/wasm' --data-binary @$target/plugins/file.wasm $url/plugins ; echo
  curl -s -X POST -H 'content-type: application/wasm' --data-binary @$target/plugins/transforms.wasm $url/plugins ; echo

  # a source: lines of a file become records
  curl -s -X PUT -H 'content-type: application/json' $url/connectors/orders-in/config -d '{
    "connector.class": "FileStreamSource", "tasks.max": "1",
    "file": "$work/in/orders.ndjson", "topic": "orders", "sandbox.files": "$work/in:ro",
    "value.converter": "org.apache.kafka.connect.storage.StringConverter"}' ; echo

  # a sink: records become lines of a file, with the card masked
  curl -s -X PUT -H 'content-type: application/json' $url/connectors/orders-out/config -d '{
    "connector.class": "FileStreamSink", "tasks.max": "1",
    "file": "$work/out/orders.ndjson", "topics": "orders", "sandbox.files": "$work/out",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
    "transforms": "mask", "transforms.mask.type": "org.apache.kafka.connect.transforms.MaskField\$Value",
    "transforms.mask.fields": "card"}' ; echo

  # watch, add a line, look
  curl -s '$url/connectors?expand=status' ; echo
  echo '{"order":4,"card":"4000-0000-0000-0004"}' >>$work/in/orders.ndjson
  tail $work/out/orders.ndjson

  # pause, resume, delete
  curl -s -X PUT $url/connectors/orders-out/pause
  curl -s -X PUT $url/connectors/orders-out/resume
  curl -s -X DELETE $url/connectors/orders-out

Ctrl-C stops the worker; 'rm -r $work' forgets what it stored.

SHEET
exec "$target/release/hawser" serve --dev --listen "$listen" --data-dir "$work/data"
