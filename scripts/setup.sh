#!/usr/bin/env bash
# Sees to what building and testing need: installs it by apt where that is possible, else names the line to type.
#
#   setup.sh build   Rust, a C and C++ compiler, make, pkg-config, OpenSSL and zlib headers, Python 3, ps, curl
#   setup.sh test    these, and Java and Maven for a real Kafka (without them the tests that need one are left out)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
what=${1:-build}

say() { echo "setup: $*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }
have_library() { have pkg-config && pkg-config --exists "$1"; }

missing=()
need() { missing+=("$1"); }

have cc || have gcc || need gcc
have c++ || have g++ || need g++
have make || need make
have pkg-config || need pkg-config
have_library openssl || need libssl-dev
have_library zlib || need zlib1g-dev
have python3 || need python3
have ps || need procps
have curl || need curl
optional=()
if [ "$what" = test ]; then
    have java || optional+=(default-jre-headless)
    have mvn || [ -n "${KAFKA_HOME:-}" ] || optional+=(maven)
fi

install() {
    say "installing by apt: $*"
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" </dev/null >/dev/null
}

if [ $((${#missing[@]} + ${#optional[@]})) -gt 0 ]; then
    if have apt-get && [ "$(id -u)" = 0 ]; then
        apt-get -qq update >&2 || say "apt-get update failed: going on with the lists that are there"
        [ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
        [ ${#optional[@]} -eq 0 ] || install "${optional[@]}" || say "could not install ${optional[*]}: tests against Apache Kafka need them"
    else
        if have apt-get; then line="sudo apt-get install"; else line="install what your system calls these packages of Debian:"; fi
        [ ${#optional[@]} -eq 0 ] || say "for tests against Apache Kafka: $line ${optional[*]}"
        if [ ${#missing[@]} -gt 0 ]; then
            say "missing, and cannot be installed without root: $line ${missing[*]}"
            exit 1
        fi
    fi
fi

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
if ! have cargo; then
    say "no Rust: install it with rustup (https://rustup.rs), $wanted or newer, then run this again"
    exit 1
fi
found=$(cd "$root" && rustc --version | cut -d' ' -f2)
if [ "$(printf '%s\n%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1)" != "$wanted" ]; then
    say "rustc is $found, and $wanted or newer is needed: rustup update stable"
    exit 1
fi
