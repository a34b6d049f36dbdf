#!/usr/bin/env bash
# Makes the wasm32-wasip2 target available to the active rustc, and does nothing where it is.
#
# In this order: what is installed; `rustup target add`; the library sources and the C library from Debian's
# packages, from which the standard library is built. The machine's own apt set-up is read, never changed.
set -euo pipefail

TARGET=wasm32-wasip2
SUITE=trixie-backports     # the Debian suite that carries rust-src of current compilers and wasi-libc
RUSTUP_SECONDS=180         # longest wait for rustup: a slow line may need it, a closed one answers at once

say() { echo "wasm-target: $*" >&2; }
fail() { say "$*"; exit 1; }

command -v rustc >/dev/null || fail "no rustc found. Install Rust with rustup (see README.md), then run this again."
cd "$(dirname "${BASH_SOURCE[0]}")"   # rustup takes the toolchain from the checkout
version=$(rustc --version | cut -d' ' -f2)
sysroot=$(rustc --print sysroot)
commit=$(rustc --version --verbose | sed -n 's/^commit-hash: //p')
libdir=$(rustc --print target-libdir --target "$TARGET")
advice="Type 'rustup target add $TARGET' on a machine with a network, or install your distribution's Rust library for $TARGET."

installed() {
    compgen -G "$libdir/libstd-*.rlib" >/dev/null && [ -e "$libdir/self-contained/crt1-reactor.o" ]
}

from_rustup() {
    command -v rustup >/dev/null || return 1
    say "rustup target add $TARGET (waits at most $RUSTUP_SECONDS s)"
    local limit=()
    ! command -v timeout >/dev/null || limit=(timeout "$RUSTUP_SECONDS")   # macOS has none
    RUSTUP_MAX_RETRIES=1 ${limit[@]+"${limit[@]}"} rustup target add "$TARGET" >&2 && installed
}

# apt-get with sources, lists and cache of its own under $work/apt.
private_apt() { APT_CONFIG="$work/apt/apt.conf" "$@"; }

download_debian_packages() {
    local mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg source_version
    # shellcheck disable=SC2016  # apt's own variables
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(CREATED_BY) $(REPO_URI)' 2>/dev/null \
        | awk '$1 == "Debian" && $3 !~ /security/ { print $3; exit }')
    [ -n "$mirror" ] || fail "no Debian mirror in this machine's apt sources. $advice"
    mkdir -p "$work"/apt/{lists/partial,cache/archives/partial}
    echo "deb [signed-by=$keyring] $mirror $SUITE main" >"$work/apt/sources.list"
    cat >"$work/apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$work/apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$work/apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$work/apt/cache";
APT::Sandbox::User "root";
CONF
    private_apt apt-get -qq update >&2 || fail "$SUITE of the machine's Debian mirror cannot be read. $advice"
    source_version=$(private_apt apt-cache madison rust-src | awk -v v="$version" 'index($3, v "+") == 1 { print $3; exit }')
    [ -n "$source_version" ] || fail "$SUITE has no rust-src $version. $advice"
    say "downloading rust-src $source_version and wasi-libc"
    (cd "$work" && private_apt apt-get -qq download "rust-src=$source_version" wasi-libc >&2) || return 1
    for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/packages"; done
}

build_std() {
    local sources="$work/packages/usr/src/rustc-$version" link="$sysroot/lib/rustlib/src/rust"
    if [ ! -e "$link/library/Cargo.lock" ]; then   # cargo looks for the library's sources nowhere else
        mkdir -p "${link%/*}"
        ln -sfn "$sources" "$link"
        link_made=$link
    fi
    mkdir -p "$work/probe/src"
    echo '#![no_std]' >"$work/probe/src/lib.rs"
    printf '[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n' >"$work/probe/Cargo.toml"
    say "building the standard library (about half a minute)"
    (cd "$work/probe" && PATH="$sysroot/bin:$PATH" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$work/target" \
        RUSTFLAGS="-Cembed-bitcode=yes --remap-path-prefix=$link=/rustc/$commit" \
        cargo build --quiet --release -Zbuild-std=std,panic_abort --target "$TARGET" >&2)
}

from_debian() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    local staged="$libdir.new"   # moved into place as a whole, so that an interrupted run leaves nothing half done
    rm -rf "$staged"
    mkdir -p "$staged/self-contained" || fail "$libdir is not writable. Run this as the toolchain's owner."
    download_debian_packages && build_std || return 1
    cp "$work/packages/usr/lib/$TARGET"/{crt1-command.o,crt1-reactor.o,libc.a} "$staged/self-contained/" || return 1
    find "$work/target/$TARGET/release/deps" -name '*.rlib' ! -name 'libprobe-*' -exec cp {} "$staged/" \;
    rm -rf "$libdir"
    mv "$staged" "$libdir"
    installed
}

# A component that uses the standard library must build with plain cargo.
verify() {
    mkdir -p "$work/check/src"
    printf '[package]\nname = "check"\nversion = "0.0.0"\nedition = "2024"\n[lib]\ncrate-type = ["cdylib"]\n[workspace]\n' \
        >"$work/check/Cargo.toml"
    cat >"$work/check/src/lib.rs" <<'RUST'
#[unsafe(no_mangle)]
pub extern "C" fn check(out: &mut String) {
    out.push_str(&format!("{:?}", std::time::SystemTime::now()));
}
RUST
    (cd "$work/check" && PATH="$sysroot/bin:$PATH" CARGO_TARGET_DIR="$work/check-target" \
        cargo build --quiet --release --target "$TARGET" >&2)
}

if installed; then
    say "$TARGET is there for rustc $version"
    exit 0
fi

exec 9>"${TMPDIR:-/tmp}/hawser-wasm-target.lock"
! command -v flock >/dev/null || flock 9   # two at once would mix their libraries
link_made=
work=$(mktemp -d)
trap 'rm -rf "$work"; if [ -n "$link_made" ]; then rm -f "$link_made"; fi' EXIT

installed || from_rustup || from_debian || fail "$TARGET could not be made available to rustc $version. $advice"
verify || fail "$TARGET was installed in $libdir, but a test build fails (see above). Remove that folder and run this again."
say "$TARGET is ready for rustc $version"
