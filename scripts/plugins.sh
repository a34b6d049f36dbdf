#!/usr/bin/env bash
# Builds plugins into target/plugins/NAME.wasm: those named, else all under plugins/.
#
# A folder with a Cargo.toml is a Rust plugin. Any other has a build.sh, which is given the path of the component to write; it exits
# with 69 (EX_UNAVAILABLE) after a word why when its toolchain cannot be had, and the plugin is left out.
set -euo pipefail

UNAVAILABLE=69
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
out=$CARGO_TARGET_DIR/plugins

say() { echo "plugins: $*" >&2; }

build_rust() {
    local name=$1 messages component
    messages=$(cargo build --release --target wasm32-wasip2 --manifest-path "plugins/$name/Cargo.toml" \
        --message-format json-render-diagnostics)
    component=$(sed -n 's/.*"filenames":\["\([^"]*\.wasm\)".*/\1/p' <<<"$messages" | tail -n 1)
    [ -n "$component" ] || { say "plugins/$name builds no component: its crate-type must be cdylib"; return 1; }
    cp "$component" "$out/$name.wasm.new"
    mv "$out/$name.wasm.new" "$out/$name.wasm"
}

build_other() {
    local name=$1 status=0
    if [ -f "$out/$name.wasm" ] && [ -z "$(find "plugins/$name" wit plugin-sdk -newer "$out/$name.wasm" -type f \
        -not -path '*/node_modules/*' -not -path '*/target/*' -not -path '*/__pycache__/*' -print -quit)" ]; then
        return
    fi
    bash "plugins/$name/build.sh" "$out/$name.wasm" </dev/null >&2 || status=$?
    if [ "$status" -eq "$UNAVAILABLE" ]; then
        say "plugins/$name is left out: its toolchain cannot be had here (see above)"
        left_out+=("$name")
        rm -f "$out/$name.wasm"
        return
    fi
    return "$status"
}

mkdir -p "$out"
scripts/wasm-target.sh
left_out=()
[ $# -gt 0 ] || set -- plugins/*/
for name in "$@"; do
    name=$(basename "$name")
    say "$name"
    if [ -f "plugins/$name/Cargo.toml" ]; then
        build_rust "$name"
    elif [ -f "plugins/$name/build.sh" ]; then
        build_other "$name"
    else
        say "plugins/$name has neither a Cargo.toml nor a build.sh"
        exit 1
    fi
done
ls -l "$out"/*.wasm >&2
[ ${#left_out[@]} -eq 0 ] || say "left out: ${left_out[*]}"
