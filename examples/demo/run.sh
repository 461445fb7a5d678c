#!/usr/bin/env bash
# Builds Tamis and its plugins, runs an application with Sentry's own SDK against it, and prints what became of its events.
# KEEP=1 leaves Tamis running, and says how to send to it.
set -euo pipefail

demo=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$demo/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
data=$root/target/demo
key=0123456789abcdef0123456789abcdef
project=42
ready_seconds_max=60

say() { printf '\n==> %s\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
seconds() { date +%s.%N; }

check_tools() {
    command -v cargo >/dev/null && command -v rustup >/dev/null ||
        fail "Rust is missing; get it with: curl https://sh.rustup.rs -sSf | sh"
    command -v cc >/dev/null || fail "a C compiler is missing; get it with: apt-get install gcc (macOS: xcode-select --install)"
    command -v python3 >/dev/null || fail "Python 3 is missing; get it with: apt-get install python3 python3-venv"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || fail "Python is older than 3.9; install a newer python3"
    python3 -c 'import venv, ensurepip' 2>/dev/null || fail "Python can not make virtual environments; get it with: apt-get install python3-venv"
}

build() {
    cd "$root"
    say "building tamis (the first time up to ten minutes on two cores; cargo says where it is)"
    rustup target list --installed | grep -q wasm32-wasip1 || rustup target add wasm32-wasip1
    cargo build --workspace --bin tamis
    tamis=$target/debug/tamis
    say "building four plugins into WebAssembly components that import nothing but Tamis"
    local plugin
    for plugin in inbound-filters dynamic-sampler pii-scrubber sentry-grouping; do
        "$tamis" plugin build "plugins/$plugin" --out "$root/target/plugins"
    done
    venv=$root/target/demo-venv
    if ! cmp -s "$demo/requirements.txt" "$venv/requirements.txt"; then
        say "installing sentry-sdk and duckdb into $venv"
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$demo/requirements.txt"
        cp "$demo/requirements.txt" "$venv/requirements.txt"
    fi
}

# Only what this script started is ended, by its id; also when something failed.
tamis_pid=
clean_up() {
    local status=$?
    trap - EXIT
    if [[ -n $tamis_pid ]] && kill -0 "$tamis_pid" 2>/dev/null; then
        kill -TERM "$tamis_pid" 2>/dev/null || true
        wait "$tamis_pid" 2>/dev/null || true
    fi
    if [[ $status -ne 0 && -n ${started:-} && -s $data/tamis.log ]]; then
        printf 'demo: failed with %s; the end of %s:\n' "$status" "$data/tamis.log" >&2
        tail -n 20 "$data/tamis.log" >&2
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start() {
    rm -rf "$data/queue" "$data/store" "$data/sent.json"
    mkdir -p "$data"
    : >"$data/ready"
    say "starting tamis: queue, tables and log are in $data"
    "$tamis" run --config "$demo/tamis.toml" --pipeline "$demo/pipeline.toml" >"$data/ready" 2>"$data/tamis.log" &
    tamis_pid=$!
    started=yes
    local until=$((SECONDS + ready_seconds_max))
    until grep -q '^ready ' "$data/ready"; do
        kill -0 "$tamis_pid" 2>/dev/null || { wait "$tamis_pid" || fail "tamis ended with $? before it was ready"; }
        [[ $SECONDS -lt $until ]] || fail "tamis was not ready within $ready_seconds_max s"
        sleep 0.05
    done
    ingest=$(sed -n 's|^ready ingest=http://\([^ ]*\).*|\1|p' "$data/ready")
    dsn=http://$key@$ingest/$project
}

run_shop() {
    say "running a web shop with the real sentry-sdk: SENTRY_DSN=$dsn"
    # The SDK sends the variables of stack frames, and WSGI puts the whole environment into them: yours is none of its business.
    env -i PATH="$PATH" "$venv/bin/python" "$demo/app.py" --dsn "$dsn" --out "$data/sent.json"
}

stop() {
    say "stopping tamis: it works off its queue and closes its files"
    kill -TERM "$tamis_pid"
    wait "$tamis_pid" || fail "tamis ended with $?"
    tamis_pid=
}

# Left running, the files are complete when the chunks that are open have reached their age.
wait_for_files() {
    say "waiting until the open chunks are closed (age_max in tamis.toml)"
    sleep 4
}

report() {
    "$venv/bin/python" "$demo/report.py" "${data#"$PWD/"}/store" "$data/sent.json"
}

keep() {
    local pid=$tamis_pid
    tamis_pid=
    cat <<END

Tamis is still running. Its DSN:
  $dsn
Send something:
  curl -d '{"message":"hello from curl","level":"info"}' 'http://$ingest/api/$project/store/?sentry_version=7&sentry_key=$key'
See it, some seconds later:
  $venv/bin/python -c "import duckdb; print(duckdb.sql(\"SELECT timestamp, title FROM '$data/store/events/**/*.parquet' ORDER BY 1 DESC LIMIT 5\"))"
Stop it:
  kill $pid
END
}

check_tools
build
begin=$(seconds)
start
run_shop
if [[ -n ${KEEP:-} ]]; then wait_for_files; else stop; fi
say "reading the Parquet files with DuckDB"
report
"$tamis" verify "$data/store" >"$data/verify.txt" || { cat "$data/verify.txt"; fail "tamis verify found a breach"; }
printf '\ntamis verify: chain, offsets and rows are as they should be (%s)\n' "$data/verify.txt"
awk -v a="$begin" -v b="$(seconds)" 'BEGIN { printf "The demo took %.1f s after the build.\n", b - a }'
if [[ -n ${KEEP:-} ]]; then keep; fi
