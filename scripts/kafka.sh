#!/usr/bin/env bash
# A real Apache Kafka (4.x, KRaft, one node) for tests, on loopback.
#
#   kafka.sh start [--dir DIR]            start it, or start it again: the same DIR keeps its port and its data
#   kafka.sh stop  [--dir DIR] [--kill]   stop it (--kill: SIGKILL, as a crash)
#   kafka.sh status [--dir DIR]           0 and the address while it runs, 1 otherwise
#   kafka.sh classpath                    class path with Kafka Connect's runtime, transforms and file connectors
#
# stdout carries only the bootstrap address or the class path; all talk goes to stderr.
# Kafka comes from: KAFKA_BOOTSTRAP (a running one, left alone), KAFKA_HOME or a kafka-server-start.sh on the PATH,
# jars by Maven (kept in .cache/kafka/VERSION), a container where Docker runs. DIR is .cache/kafka/run if not given.
set -euo pipefail

KAFKA_VERSION=${KAFKA_VERSION:-4.3.1}
START_SECONDS=90   # a loaded two-core machine needs some 20 s
STOP_SECONDS=30
# Below the range that the system hands to outgoing connections: while the broker is down, a client that dials its
# port cannot be given that very port and so connect to itself.
FIRST_PORT=20000
PORTS=12000

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${HAWSER_CACHE:-$root/.cache}/kafka

say() { echo "kafka: $*" >&2; }
fail() { say "$*"; exit 1; }
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }

# ---- where Kafka comes from

java_is_17() {
    local major
    major=$(java -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.specification.version = //p')
    [ "${major%%.*}" -ge 17 ] 2>/dev/null
}

# The libs folder of an unpacked Kafka 4.x on this machine, if there is one.
machine_libs() {
    local home=${KAFKA_HOME:-} script
    if [ -z "$home" ]; then
        script=$(command -v kafka-server-start.sh || command -v kafka-server-start) || return 1
        home=$(dirname "$(dirname "$(readlink -f "$script")")")
    fi
    if compgen -G "$home/libs/kafka_2.13-4.*.jar" >/dev/null; then
        echo "$home/libs"
    else
        say "$home/libs holds no Kafka 4.x: not used"
        return 1
    fi
}

# maven_libs NAME GROUP:ARTIFACT... : a folder with these artifacts of $KAFKA_VERSION and all they need.
maven_libs() {
    local libs="$cache/$KAFKA_VERSION/$1" work dependency
    shift
    if [ ! -d "$libs" ]; then
        command -v mvn >/dev/null || { say "no Maven (apt-get install maven): cannot fetch Kafka's jars"; return 1; }
        say "fetching the jars of Kafka $KAFKA_VERSION by Maven into $libs"
        mkdir -p "$cache/$KAFKA_VERSION"
        work=$(mktemp -d "$cache/$KAFKA_VERSION/fetch.XXXXXX")
        {
            echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            echo '<groupId>local</groupId><artifactId>kafka-for-tests</artifactId><version>1</version><packaging>pom</packaging>'
            echo '<dependencies>'
            # The published poms name no logging backend; Kafka's slf4j is 1.7.
            for dependency in "${@/%/:$KAFKA_VERSION}" org.apache.logging.log4j:log4j-slf4j-impl:2.24.3; do
                IFS=: read -r group artifact version <<<"$dependency"
                echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
            done
            echo '</dependencies></project>'
        } >"$work/pom.xml"
        if ! mvn -B -q -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
            -DoutputDirectory="$work/libs" </dev/null >&2; then
            rm -rf "$work"
            say "Maven could not fetch Kafka $KAFKA_VERSION"
            return 1
        fi
        [ -d "$libs" ] || mv "$work/libs" "$libs"   # another start may have been faster
        rm -rf "$work"
    fi
    echo "$libs"
}

broker_libs() {
    java_is_17 || { say "no Java 17 or newer (apt-get install openjdk-17-jre-headless): cannot run Kafka's jars"; return 1; }
    machine_libs || maven_libs broker org.apache.kafka:kafka_2.13
}

docker_runs() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

# ---- a broker in a folder: DIR/port, DIR/kafka.pid or DIR/container, DIR/data, DIR/kafka.log

free_port() {
    local port
    for _ in $(seq 100); do
        port=$((FIRST_PORT + RANDOM % PORTS))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
    done
    fail "found no free port from $FIRST_PORT on"
}

settings() {   # settings PORT CONTROLLER_PORT: what differs from Kafka's defaults, and why it does in tests
    cat <<CONF
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:$2
listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2
advertised.listeners=PLAINTEXT://127.0.0.1:$1
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data
# one node
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# small and quick to create
num.partitions=1
offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.num.partitions=1
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=4194304
# quick to join, to notice a dead member, to clean, and to come back after a crash
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.cleaner.backoff.ms=1000
log.initial.task.delay.ms=1000
log.retention.check.interval.ms=5000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
CONF
}

logging() {
    cat <<'CONF'
status=error
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c %m%n
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
CONF
}

kafka_java() {   # kafka_java LIBS CLASS ARGS...
    local libs=$1
    shift
    exec java -Xms128m -Xmx512m -Dkafka.logs.dir="$dir/logs" -Dlog4j2.configurationFile="$dir/log4j2.properties" \
        -cp "$libs/*" "$@"
}

pid_runs() {   # a process of ours in DIR, not some other that was given its number later
    local pid
    pid=$(cat "$dir/kafka.pid" 2>/dev/null) && [ -n "$pid" ] && ps -ww -o command= -p "$pid" 2>/dev/null | grep -qF -- "$dir/"
}

runs() {
    if [ -f "$dir/container" ]; then
        [ "$(docker inspect -f '{{.State.Running}}' "$(cat "$dir/container")" 2>/dev/null)" = true ]
    else
        pid_runs
    fi
}

write_settings() {
    local port controller
    port=$(free_port)
    controller=$(free_port)
    settings "$port" "$controller" >"$dir/server.properties"
    echo "$port" >"$dir/port"
}

# Returns 0 when the broker serves, 1 when it ended, 2 when it did not answer in time.
wait_until_served() {   # wait_until_served LOG_COMMAND...
    local end=$((SECONDS + START_SECONDS))
    while [ "$SECONDS" -lt "$end" ]; do
        if "$@" | grep -q 'Kafka Server started'; then return 0; fi
        runs || return 1
        sleep 0.2
    done
    return 2
}

start_jars() {   # start_jars LIBS
    local libs=$1 new tries=3 id
    [ -f "$dir/server.properties" ] && new='' || new=yes
    logging >"$dir/log4j2.properties"
    while :; do
        if [ -n "$new" ]; then
            rm -rf "$dir/data"
            write_settings
            id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | tr -d '=')   # a cluster id: 16 bytes in URL-safe base64
            (kafka_java "$libs" kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties") >"$dir/format.log" 2>&1 \
                || { cat "$dir/format.log" >&2; fail "the storage folder could not be formatted"; }
        fi
        (kafka_java "$libs" kafka.Kafka "$dir/server.properties" </dev/null >"$dir/kafka.log" 2>&1) &
        echo $! >"$dir/kafka.pid"
        wait_until_served cat "$dir/kafka.log" && return
        tries=$((tries - 1))
        if [ -n "$new" ] && [ "$tries" -gt 0 ] && grep -q 'Address already in use' "$dir/kafka.log"; then
            say "a port was taken in the meantime: trying others"
            stop_jars KILL
            continue
        fi
        tail -n 30 "$dir/kafka.log" >&2
        stop_jars KILL
        fail "Kafka did not start within $START_SECONDS s (log above, all of it in $dir/kafka.log)"
    done
}

start_container() {
    local name port controller line
    if [ -f "$dir/container" ]; then
        docker start "$(cat "$dir/container")" >/dev/null
    else
        write_settings
        port=$(cat "$dir/port")
        controller=$(sed -n 's/^controller.quorum.voters=.*://p' "$dir/server.properties")
        name=hawser-kafka-$port
        local env=()
        while IFS= read -r line; do   # the image takes each setting as KAFKA_ + its name in capitals
            case $line in
                '#'* | log.dirs=* | listeners=*) continue ;;
            esac
            env+=(-e "KAFKA_$(echo "${line%%=*}" | tr 'a-z.' 'A-Z_')=${line#*=}")
        done <"$dir/server.properties"
        docker run -d --name "$name" -p "127.0.0.1:$port:$port" "${env[@]}" \
            -e "KAFKA_LISTENERS=PLAINTEXT://:$port,CONTROLLER://127.0.0.1:$controller" \
            -e KAFKA_HEAP_OPTS='-Xms128m -Xmx512m' "apache/kafka:$KAFKA_VERSION" >/dev/null
        echo "$name" >"$dir/container"
    fi
    wait_until_served docker logs --since "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(cat "$dir/container")" \
        || fail "the container $(cat "$dir/container") did not start within $START_SECONDS s: see docker logs"
}

start() {
    local libs
    if [ -n "${KAFKA_BOOTSTRAP:-}" ]; then
        say "using the given KAFKA_BOOTSTRAP"
        echo "$KAFKA_BOOTSTRAP"
        return
    fi
    mkdir -p "$dir"
    if runs; then
        say "already runs in $dir"
    elif [ ! -f "$dir/container" ] && libs=$(broker_libs); then
        start_jars "$libs"
        say "runs from the jars in $libs (process $(cat "$dir/kafka.pid"), data and log in $dir)"
    elif docker_runs; then
        start_container
        say "runs in the container $(cat "$dir/container")"
    else
        fail "no Kafka to be had: give KAFKA_BOOTSTRAP=HOST:PORT, or install Java 17 and Maven" \
            "(apt-get install openjdk-17-jre-headless maven), or start Docker"
    fi
    echo "127.0.0.1:$(cat "$dir/port")"
}

stop_jars() {   # stop_jars SIGNAL
    local pid end=$((SECONDS + STOP_SECONDS))
    if pid_runs; then
        pid=$(cat "$dir/kafka.pid")
        kill -s "$1" "$pid" 2>/dev/null || true
        while pid_runs; do
            if [ "$SECONDS" -ge "$end" ]; then
                say "process $pid did not stop within $STOP_SECONDS s: killed"
                kill -s KILL "$pid" 2>/dev/null || true
            fi
            sleep 0.1
        done
    fi
    rm -f "$dir/kafka.pid"
}

stop() {   # stop SIGNAL
    if [ -n "${KAFKA_BOOTSTRAP:-}" ]; then
        say "the given KAFKA_BOOTSTRAP is left running"
    elif [ -f "$dir/container" ]; then
        if [ "$1" = KILL ]; then docker kill "$(cat "$dir/container")"; else docker stop "$(cat "$dir/container")"; fi >/dev/null || true
    else
        stop_jars "$1"
    fi
}

status() {
    if [ -n "${KAFKA_BOOTSTRAP:-}" ]; then
        echo "$KAFKA_BOOTSTRAP"
    elif runs; then
        echo "127.0.0.1:$(cat "$dir/port")"
    else
        say "not running in $dir"
        return 1
    fi
}

classpath() {
    local libs
    libs=$(maven_libs connect org.apache.kafka:connect-{api,json,transforms,file,runtime}) || exit 1
    find "$libs" -name '*.jar' | sort | paste -sd: -
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
