#!/usr/bin/env bash
# Builds the component into the file given. 69: componentize-py cannot be had.
set -euo pipefail
out=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${CARGO_TARGET_DIR:-$here/../../target}/python
version=0.25.1 # of componentize-py

if [ ! -x "$venv/bin/componentize-py" ] || [ "$("$venv/bin/componentize-py" --version)" != "componentize-py $version" ]; then
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check "componentize-py==$version"; }; then
        echo "plugins/csv needs Python 3.10 or newer with venv, and componentize-py $version from PyPI: pip install componentize-py==$version"
        exit 69
    fi
fi
"$venv/bin/componentize-py" -d "$here/../../wit/0.1.0" -w sink-plugin componentize -p "$here" -o "$out.new" app
mv "$out.new" "$out"
