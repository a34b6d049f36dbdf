#!/usr/bin/env bash
# Builds plugins into target/plugins/NAME.wasm: those in the folders given (plugins/file), else all under plugins/.
#
# A folder with a Cargo.toml is a Rust plugin. Any other has a build.sh, which is given the path of the component to write; it exits
# with 69 (EX_UNAVAILABLE) after a word why when its toolchain cannot be had, and the plugin is left out.
set -euo pipefail

UNAVAILABLE=69
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
out=$CARGO_TARGET_DIR/plugins
# As in .cargo/config.toml, which a variable of the caller takes the place of: names stay for backtraces; the rest of the debug information
# would be most of an upload.
export CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS=${CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS:--Cstrip=debuginfo -Ctarget-feature=+simd128}
# A plugin is optimised as a whole, its SDK and the standard library included: its calls are short and many.
export CARGO_PROFILE_RELEASE_LTO=${CARGO_PROFILE_RELEASE_LTO:-fat} CARGO_PROFILE_RELEASE_CODEGEN_UNITS=${CARGO_PROFILE_RELEASE_CODEGEN_UNITS:-1}

say() { echo "plugins: $*" >&2; }

build_rust() {
    local folder=$1 name=$2 messages component
    messages=$(cargo build --release --target wasm32-wasip2 --manifest-path "$folder/Cargo.toml" \
        --message-format json-render-diagnostics)
    component=$(sed -n 's/.*"filenames":\["\([^"]*\.wasm\)".*/\1/p' <<<"$messages" | tail -n 1)
    [ -n "$component" ] || { say "$folder builds no component: its crate-type must be cdylib"; return 1; }
    cp "$component" "$out/$name.wasm.new"
    mv "$out/$name.wasm.new" "$out/$name.wasm"
}

build_other() {
    local folder=$1 name=$2 status=0
    if [ -f "$out/$name.wasm" ] && [ -z "$(find "$folder" wit plugin-sdk -newer "$out/$name.wasm" -type f \
        -not -path '*/node_modules/*' -not -path '*/target/*' -not -path '*/__pycache__/*' -print -quit)" ]; then
        return
    fi
    bash "$folder/build.sh" "$out/$name.wasm" </dev/null >&2 || status=$?
    if [ "$status" -eq "$UNAVAILABLE" ]; then
        say "$folder is left out: its toolchain cannot be had here (see above)"
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
for folder in "$@"; do
    folder=${folder%/}
    name=$(basename "$folder")
    say "$folder"
    if [ -f "$folder/Cargo.toml" ]; then
        build_rust "$folder" "$name"
    elif [ -f "$folder/build.sh" ]; then
        build_other "$folder" "$name"
    else
        say "$folder has neither a Cargo.toml nor a build.sh"
        exit 1
    fi
done
ls -l "$out"/*.wasm >&2
[ ${#left_out[@]} -eq 0 ] || say "left out: ${left_out[*]}"
