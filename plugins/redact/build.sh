#!/usr/bin/env bash
# Builds the component into the file given. 69: componentize-js cannot be had.
set -euo pipefail
out=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=${CARGO_TARGET_DIR:-$here/../../target}/javascript

if ! cmp -s "$here/package.json" "$tools/package.json" || [ ! -d "$tools/node_modules/@bytecodealliance/componentize-js" ]; then
    mkdir -p "$tools"
    cp "$here/package.json" "$tools/package.json"
    if ! command -v npm >/dev/null || ! (cd "$tools" && npm install --no-audit --no-fund --silent); then
        rm -f "$tools/package.json"
        echo "plugins/redact needs Node.js 20 or newer, and componentize-js from npm: npm install @bytecodealliance/componentize-js"
        exit 69
    fi
fi
cd "$tools"
node "$here/build.mjs" "$out.new"
mv "$out.new" "$out"
