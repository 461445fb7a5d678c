#!/usr/bin/env bash
# Real Apache Kafka (KRaft) on loopback, from Maven artefacts. Needs bash, java >= 17, mvn (install only), setsid.
#   kafka.sh install          fetch the jars (once)
#   kafka.sh start [N]        fresh N-node cluster (default 1, combined broker+controller); prints BOOTSTRAP=...
#   kafka.sh kill NODE        kill -9 one node           kafka.sh restart NODE   start it again on its old data and port
#   kafka.sh status           one line per node          kafka.sh stop           kill all, delete all but the jars
# env: KAFKA_HOME_DIR (default ./target/kafka), KAFKA_LIB_DIR (default $KAFKA_HOME_DIR/lib), KAFKA_VERSION,
#      KAFKA_HEAP (default 256m), KAFKA_JVM_OPTS, KAFKA_EXTRA_PROPS (file appended to every server.properties; @PORT@ and
#      @CONTROLLER@ in it are the node's ports), KAFKA_FORMAT_ARGS (more for StorageTool format, such as --add-scram),
#      KAFKA_START_TIMEOUT (s, default 60), KAFKA_OWNER_PID (the cluster is stopped when that process is gone)
set -euo pipefail
VERSION=${KAFKA_VERSION:-4.4.0}
LOG4J=2.25.5
HOME_DIR=$(realpath -m "${KAFKA_HOME_DIR:-./target/kafka}") # one spelling: nodes are recognised by this path
LIB=$(realpath -m "${KAFKA_LIB_DIR:-$HOME_DIR/lib}")
RUN=$HOME_DIR/run
HEAP=${KAFKA_HEAP:-256m}
TIMEOUT=${KAFKA_START_TIMEOUT:-60}
JAVA=${JAVA_HOME:+$JAVA_HOME/bin/}java
SELF=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$(basename "${BASH_SOURCE[0]}")
# C1 only, serial GC, no hsperfdata file (kill -9 would leave it in /tmp)
JVM="-Xmx$HEAP -Xms64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Djava.awt.headless=true ${KAFKA_JVM_OPTS:-}"

die() { echo "kafka.sh: $*" >&2; exit 1; }
installed() { [ "$(cat "$LIB/.version" 2>/dev/null || true)" = "$VERSION" ]; }

install() {
  installed && { echo "kafka $VERSION already in $LIB"; return; }
  command -v mvn >/dev/null || die "mvn not found"
  mkdir -p "$(dirname "$LIB")"
  local t; t=$(mktemp -d "$(dirname "$LIB")/.install.XXXXXX")
  cat >"$t/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka-fetch</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$VERSION</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$LOG4J</version></dependency>
  </dependencies>
</project>
POM
  if ! mvn -q -B -ntp -f "$t/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$t/lib" >"$t/mvn.log" 2>&1; then
    tail -20 "$t/mvn.log" >&2; rm -rf "$t"; die "mvn failed"
  fi
  echo "$VERSION" >"$t/lib/.version"
  # whole-directory rename: a second install running at the same time sees all or nothing
  if ! installed; then rm -rf "$LIB"; mv -T "$t/lib" "$LIB" 2>/dev/null || installed || die "cannot move jars to $LIB"; fi
  rm -rf "$t"
  echo "kafka $VERSION installed in $LIB"
}

busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free_ports() { # $1 = how many; below the ephemeral range, so no outgoing connection takes one meanwhile
  local lo=10000 hi p out=" "
  hi=$(cut -f1 /proc/sys/net/ipv4/ip_local_port_range 2>/dev/null || echo 32768)
  [ "$hi" -gt 12000 ] || hi=32768
  while [ "$(wc -w <<<"$out")" -lt "$1" ]; do
    p=$((lo + (RANDOM * 32768 + RANDOM) % (hi - lo)))
    case $out in *" $p "*) continue ;; esac
    busy "$p" || out="$out$p "
  done
  echo "$out"
}

pid_of() { # prints the pid only when that process is ours (pids are reused)
  local p; p=$(cat "$RUN/$1/pid" 2>/dev/null) || return 1
  { tr '\0' ' ' <"/proc/$p/cmdline"; } 2>/dev/null | grep -qF "$RUN/$1/server.properties" || return 1
  echo "$p"
}
nodes() { local d; for d in "$RUN"/[0-9]*/; do [ -d "$d" ] && basename "$d"; done; return 0; }

launch() { # $1 = node
  local d=$RUN/$1
  : >"$d/server.log"
  # own session: survives the caller's terminal and its process group; the inner sh records the java pid
  # shellcheck disable=SC2086,SC2016
  setsid sh -c 'echo $$ >"$0"; exec "$@"' "$d/pid" \
    "$JAVA" $JVM -Djava.io.tmpdir="$d/tmp" -Dlog4j2.configurationFile="$RUN/log4j2.properties" \
    -cp "$LIB/*" kafka.Kafka "$d/server.properties" >>"$d/server.log" 2>&1 </dev/null 9>&- &
}
wait_ready() { # nodes...; 0 ready, 1 died or too late, 2 port taken
  local end=$((SECONDS + TIMEOUT)) k
  for k in "$@"; do
    until grep -q 'Kafka Server started' "$RUN/$k/server.log" 2>/dev/null; do
      if [ -s "$RUN/$k/pid" ] && ! pid_of "$k" >/dev/null && ! { sleep 0.2; pid_of "$k" >/dev/null; }; then
        grep -q 'Address already in use' "$RUN/$k/server.log" && return 2
        echo "node $k died:" >&2; tail -25 "$RUN/$k/server.log" >&2; return 1
      fi
      [ $SECONDS -lt $end ] || { echo "node $k not ready in ${TIMEOUT}s:" >&2; tail -25 "$RUN/$k/server.log" >&2; return 1; }
      sleep 0.1
    done
  done
}
kill_wait() { # nodes...; kill -9, then wait until gone (a zombie that nobody reaps counts as gone: empty cmdline)
  local k p _
  for k in "$@"; do if p=$(pid_of "$k"); then kill -9 "$p" 2>/dev/null || true; fi; done
  for k in "$@"; do for _ in $(seq 200); do pid_of "$k" >/dev/null || break; sleep 0.02; done; done
}

configure() { # $1 = N; writes $RUN afresh
  local n=$1 rf=1 isr=1 k voters="" boot="" id
  [ "$n" -ge 3 ] && rf=3 && isr=2
  # shellcheck disable=SC2046
  set -- $(free_ports $((2 * n)))
  local ports=("$@")
  for k in $(seq "$n"); do
    boot="$boot${boot:+,}127.0.0.1:${ports[$((2 * k - 2))]}"
    voters="$voters${voters:+,}$k@127.0.0.1:${ports[$((2 * k - 1))]}"
  done
  mkdir -p "$RUN"
  cat >"$RUN/log4j2.properties" <<'L4J'
status = error
appender.o.type = Console
appender.o.name = o
appender.o.layout.type = PatternLayout
appender.o.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.o.ref = o
logger.cfg.name = org.apache.kafka.common.config.AbstractConfig
logger.cfg.level = warn
L4J
  for k in $(seq "$n"); do
    mkdir -p "$RUN/$k/tmp"
    cat >"$RUN/$k/server.properties" <<P
process.roles=broker,controller
node.id=$k
controller.quorum.voters=$voters
listeners=PLAINTEXT://127.0.0.1:${ports[$((2 * k - 2))]},CONTROLLER://127.0.0.1:${ports[$((2 * k - 1))]}
advertised.listeners=PLAINTEXT://127.0.0.1:${ports[$((2 * k - 2))]}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$RUN/$k/data
num.network.threads=2
num.io.threads=4
num.partitions=1
default.replication.factor=$rf
min.insync.replicas=$isr
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=$rf
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=$rf
transaction.state.log.min.isr=$isr
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=$rf
share.coordinator.state.topic.min.isr=$isr
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.cleaner.dedupe.buffer.size=8388608
log.index.size.max.bytes=1048576
P
    if [ -n "${KAFKA_EXTRA_PROPS:-}" ]; then sed "s/@PORT@/${ports[$((2 * k - 2))]}/g; s/@CONTROLLER@/${ports[$((2 * k - 1))]}/g" "$KAFKA_EXTRA_PROPS" >>"$RUN/$k/server.properties"; fi
  done
  # cluster id: 16 bytes, url-safe base64 without padding; a leading '-' would be read as an option
  id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c1-22 | sed 's/^-/A/')
  local pids=() p
  for k in $(seq "$n"); do
    # shellcheck disable=SC2086
    "$JAVA" $JVM -Djava.io.tmpdir="$RUN/$k/tmp" -Dlog4j2.configurationFile="$RUN/log4j2.properties" -cp "$LIB/*" kafka.tools.StorageTool \
      format -t "$id" -c "$RUN/$k/server.properties" ${KAFKA_FORMAT_ARGS:-} >"$RUN/$k/format.log" 2>&1 &
    pids+=($!)
  done
  for p in "${pids[@]}"; do wait "$p" || { cat "$RUN"/*/format.log >&2; return 1; }; done
  echo "BOOTSTRAP=$boot" >"$RUN/env"
}

stop() {
  # shellcheck disable=SC2046
  kill_wait $(nodes) # the data is thrown away: no graceful shutdown (7 s for three nodes)
  rm -rf "$RUN"
  rmdir "$HOME_DIR" 2>/dev/null || true
}

start() {
  local n=${1:-1} try rc k
  [[ $n =~ ^[1-9]$ ]] || die "start [1..9]"
  installed || install >&2
  for k in $(nodes); do if pid_of "$k" >/dev/null; then die "already running in $RUN (stop first)"; fi; done
  trap 'rc=$?; [ $rc = 0 ] || stop' EXIT
  trap 'exit 130' INT TERM HUP
  for try in 1 2 3; do
    stop; configure "$n" || die "format failed"
    for k in $(seq "$n"); do launch "$k"; done
    rc=0
    # shellcheck disable=SC2046
    wait_ready $(seq "$n") || rc=$?
    [ $rc = 2 ] || break # 2: somebody took a port between the check and the bind
  done
  [ $rc = 0 ] || die "start failed"
  if [ -n "${KAFKA_OWNER_PID:-}" ]; then
    KAFKA_HOME_DIR=$HOME_DIR KAFKA_LIB_DIR=$LIB setsid "$BASH" "$SELF" _watch "$KAFKA_OWNER_PID" "$RUN/env" >/dev/null 2>&1 </dev/null &
  fi
  cat "$RUN/env"
}

case ${1:-} in
  install) install ;;
  start) start "${2:-1}" ;;
  stop) stop ;;
  kill) pid_of "${2:?node}" >/dev/null || die "node $2 is not running"; kill_wait "$2" ;;
  restart) [ -d "$RUN/${2:?node}" ] || die "no node $2"; ! pid_of "$2" >/dev/null || die "node $2 is running"
    rm -f "$RUN/$2/pid"; launch "$2"; wait_ready "$2" ;;
  status) for k in $(nodes); do if p=$(pid_of "$k"); then echo "node $k pid $p rss_mb $(($(awk '/VmRSS/{print $2}' "/proc/$p/status") / 1024))"; else echo "node $k down"; fi; done
    cat "$RUN/env" 2>/dev/null || { echo stopped; exit 3; } ;;
  _watch) i=$(stat -c %i "$3"); while kill -0 "$2" 2>/dev/null && [ "$(stat -c %i "$3" 2>/dev/null)" = "$i" ]; do sleep 1; done
    [ "$(stat -c %i "$3" 2>/dev/null)" = "$i" ] && stop ;;
  *) sed -n '2,10p' "$SELF"; exit 2 ;;
esac
