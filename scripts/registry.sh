#!/usr/bin/env bash
# A real schema registry (Apicurio Registry, with its Confluent-compatible API) for tests, on loopback.
#
#   registry.sh start [--dir DIR]            start it, or start it again: the same DIR keeps its port and its schemas
#   registry.sh stop  [--dir DIR] [--kill]   stop it (--kill: SIGKILL, as a crash)
#   registry.sh status [--dir DIR]           0 and the URL while it runs, 1 otherwise
#   registry.sh classpath                    class path with Apicurio's Connect converters, Avro, Protobuf and a JSON Schema validator
#
# stdout carries only the URL or the class path; all talk goes to stderr. The registry comes from: SCHEMA_REGISTRY_URL (a running one, left
# alone), or Apicurio's own distribution by Maven (kept in .cache/registry/VERSION). DIR is .cache/registry/run if not given.
set -euo pipefail

REGISTRY_VERSION=${REGISTRY_VERSION:-3.0.9}   # the newest that runs on Java 17
START_SECONDS=120  # a loaded two-core machine needs some 30 s
STOP_SECONDS=30
# Below the range that the system hands to outgoing connections, as in kafka.sh.
FIRST_PORT=20000
PORTS=12000

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${HAWSER_CACHE:-$root/.cache}/registry

say() { echo "registry: $*" >&2; }
fail() { say "$*"; exit 1; }
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }

java_is_17() {
    local major
    major=$(java -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.specification.version = //p')
    [ "${major%%.*}" -ge 17 ] 2>/dev/null
}

distribution() {   # the folder with the unpacked distribution
    local home=$cache/$REGISTRY_VERSION work
    if [ ! -d "$home" ]; then
        command -v mvn >/dev/null || { say "no Maven (apt-get install maven): cannot fetch the registry"; return 1; }
        say "fetching Apicurio Registry $REGISTRY_VERSION (110 MB) by Maven into $home"
        mkdir -p "$cache"
        work=$(mktemp -d "$cache/fetch.XXXXXX")
        if ! mvn -B -q dependency:copy -DoutputDirectory="$work" \
            -Dartifact="io.apicurio:apicurio-registry-app:$REGISTRY_VERSION:tar.gz:all" </dev/null >&2; then
            rm -rf "$work"
            say "Maven could not fetch Apicurio Registry $REGISTRY_VERSION"
            return 1
        fi
        mkdir "$work/home"
        tar xzf "$work"/*.tar.gz -C "$work/home"
        [ -d "$home" ] || mv "$work/home" "$home"   # another start may have been faster
        rm -rf "$work"
    fi
    echo "$home"
}

classpath() {   # behind Kafka Connect's own class path
    local home converters=$cache/converters-$REGISTRY_VERSION work artifact
    home=$(distribution) || fail "no jars of Apicurio Registry to be had"
    if [ ! -d "$converters" ]; then
        work=$(mktemp -d "$cache/fetch.XXXXXX")
        # The registry's own Avro, 1.12.0, reads lists of doubles as floats.
        for artifact in io.apicurio:apicurio-registry-{utils-converter,serde-common-avro}:"$REGISTRY_VERSION" \
            org.apache.avro:avro:1.12.1; do
            if ! mvn -B -q dependency:copy -DoutputDirectory="$work" -Dartifact="$artifact" </dev/null >&2; then
                rm -rf "$work"
                fail "Maven could not fetch Apicurio's converters $REGISTRY_VERSION"
            fi
        done
        [ -d "$converters" ] || mv "$work" "$converters"   # another start may have been faster
        rm -rf "$work"
    fi
    echo "$converters/*:$home/lib/*"
}

free_port() {
    local port
    for _ in $(seq 100); do
        port=$((FIRST_PORT + RANDOM % PORTS))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
    done
    fail "found no free port from $FIRST_PORT on"
}

url() { echo "http://127.0.0.1:$(cat "$dir/port")/apis/ccompat/v7"; }

runs() {   # a process of ours in DIR, not some other that was given its number later
    local pid
    pid=$(cat "$dir/registry.pid" 2>/dev/null) && [ -n "$pid" ] && ps -ww -o command= -p "$pid" 2>/dev/null | grep -qF -- "$dir/"
}

# Returns 0 when the registry answers, 1 when it ended, 2 when it did not answer in time.
wait_until_served() {
    local end=$((SECONDS + START_SECONDS))
    while [ "$SECONDS" -lt "$end" ]; do
        if curl -sf -m 5 -o /dev/null "$(url)/subjects"; then return 0; fi
        runs || return 1
        sleep 0.3
    done
    return 2
}

launch() {   # launch HOME
    (exec java -Xms64m -Xmx512m -XX:TieredStopAtLevel=1 \
        -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$(cat "$dir/port")" -Dquarkus.log.level=WARN \
        -Dapicurio.storage.kind=sql -Dapicurio.storage.sql.kind=h2 \
        -Dapicurio.datasource.url="jdbc:h2:file:$dir/data/registry" -Djava.io.tmpdir="$dir/tmp" \
        -cp "$1/*:$1/lib/*" io.quarkus.runner.GeneratedMain </dev/null >"$dir/registry.log" 2>&1) &
    echo $! >"$dir/registry.pid"
}

start() {
    local home new tries=3
    if [ -n "${SCHEMA_REGISTRY_URL:-}" ]; then
        say "using the given SCHEMA_REGISTRY_URL"
        echo "$SCHEMA_REGISTRY_URL"
        return
    fi
    mkdir -p "$dir/tmp"
    if runs; then
        say "already runs in $dir"
    else
        java_is_17 || fail "no Java 17 or newer (apt-get install openjdk-17-jre-headless): cannot run the registry"
        home=$(distribution) || fail "no schema registry to be had: give SCHEMA_REGISTRY_URL"
        [ -f "$dir/port" ] && new='' || new=yes
        while :; do
            [ -z "$new" ] || free_port >"$dir/port"
            launch "$home"
            wait_until_served && break
            tries=$((tries - 1))
            stop_process KILL
            if [ -n "$new" ] && [ "$tries" -gt 0 ] && grep -q 'already in use' "$dir/registry.log"; then
                say "a port was taken in the meantime: trying another"
                continue
            fi
            tail -n 30 "$dir/registry.log" >&2
            fail "the registry did not start within $START_SECONDS s (log above, all of it in $dir/registry.log)"
        done
        say "Apicurio Registry $REGISTRY_VERSION runs (process $(cat "$dir/registry.pid"), data and log in $dir)"
    fi
    url
}

stop_process() {   # stop_process SIGNAL
    local pid end=$((SECONDS + STOP_SECONDS))
    if runs; then
        pid=$(cat "$dir/registry.pid")
        kill -s "$1" "$pid" 2>/dev/null || true
        while runs; do
            if [ "$SECONDS" -ge "$end" ]; then
                say "process $pid did not stop within $STOP_SECONDS s: killed"
                kill -s KILL "$pid" 2>/dev/null || true
            fi
            sleep 0.1
        done
    fi
    rm -f "$dir/registry.pid"
}

stop() {   # stop SIGNAL
    if [ -n "${SCHEMA_REGISTRY_URL:-}" ]; then
        say "the given SCHEMA_REGISTRY_URL is left running"
    else
        stop_process "$1"
    fi
}

status() {
    if [ -n "${SCHEMA_REGISTRY_URL:-}" ]; then
        echo "$SCHEMA_REGISTRY_URL"
    elif runs; then
        url
    else
        say "not running in $dir"
        return 1
    fi
}

[ $# -ge 1 ] || usage
command=$1
shift
dir=$cache/run
signal=TERM
while [ $# -gt 0 ]; do
    case $1 in
        --dir) [ $# -ge 2 ] || usage; dir=$2; shift 2 ;;
        --kill) signal=KILL; shift ;;
        *) usage ;;
    esac
done
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac

case $command in
    start) start ;;
    stop) stop "$signal" ;;
    status) status ;;
    classpath) classpath ;;
    *) usage ;;
esac
