#!/usr/bin/env bash
# The author's day, in every language: from an empty folder to a filter that decides about live events, and back, with each step's time.
#   examples/five-minutes.sh [LANGUAGE...]      rust go python js ts c zig; all of them if none is named
# Builds `tamis` unless TAMIS names one. What it installs (tools of languages, below target/) is not counted.
set -euo pipefail

examples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$examples/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
tools=$target/plugin-tools
key=0123456789abcdef0123456789abcdef
day_seconds_max=300

fail() { printf 'five-minutes: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$1 is missing; get it with: $2"; }
now() { date +%s%N; }

languages=("$@")
[[ $# -gt 0 ]] || languages=(rust go python js ts c zig)
for language in "${languages[@]}"; do
    case $language in
        rust) need cargo "curl https://sh.rustup.rs -sSf | sh" ;;
        go) need go "https://go.dev/dl, 1.24 or newer" ;;
        js | ts) need npm "apt-get install nodejs npm, Node.js 20 or newer" ;;
        python | c | zig) need python3 "apt-get install python3 python3-venv" ;;
        *) fail "there is no language $language" ;;
    esac
done
need curl "apt-get install curl"
need python3 "apt-get install python3 python3-venv"

work=$(mktemp -d)
tamis_pid=
clean_up() {
    local status=$?
    trap - EXIT
    # Only what this script started is ended, by its id.
    if [[ -n $tamis_pid ]] && kill -0 "$tamis_pid" 2>/dev/null; then
        kill -TERM "$tamis_pid" 2>/dev/null || true
        wait "$tamis_pid" 2>/dev/null || true
    fi
    if [[ $status -ne 0 ]]; then
        printf 'five-minutes: failed; everything is left in %s\n' "$work" >&2
        [[ ! -s $work/step.log ]] || tail -n 40 "$work/step.log" >&2
    else
        rm -rf "$work"
    fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [[ -z ${TAMIS:-} ]]; then
    (cd "$root" && cargo build -q -p tamis)
    TAMIS=$target/debug/tamis
fi
export TAMIS
# Authors call it by its name.
mkdir -p "$work/bin"
ln -s "$TAMIS" "$work/bin/tamis"
export PATH=$work/bin:$PATH

# Zig, the C compiler that comes with it, and Python's tools, for all folders of this run.
CARGO_TARGET_DIR=$target "$root/tests/setup.sh" >"$work/step.log" 2>&1 || fail "the tools can not be installed"
export VIRTUAL_ENV=$tools PATH=$tools/bin:$PATH

# step WHAT COMMAND...: runs it quietly and notes its time.
step() {
    local what=$1 begun
    shift
    begun=$(now)
    "$@" >"$work/step.log" 2>&1 || fail "$language: $what: $* failed"
    took=$((($(now) - begun) / 1000000))
    total=$((total + took))
    row+=$(printf '%10d' "$took")
}

install_tools() {
    case $language in
        rust) cargo fetch --quiet ;;
        js | ts) npm ci --silent --no-audit --no-fund ;;
        *) ;;
    esac
}

native_test() {
    case $language in
        rust) cargo test --quiet ;;
        go) go test ./... ;;
        python) python -m pytest -q ;;
        js | ts) npm test ;;
        c) make test ;;
        zig) python -m ziglang build test ;;
    esac
}

start_host() {
    printf '[http]\nlisten = "127.0.0.1:0"\n[admin]\nlisten = "127.0.0.1:0"\n[[project]]\nid = 1\n[[project.key]]\npublic_key = "%s"\n' "$key" >"$work/tamis.toml"
    : >"$work/pipeline.toml"
    (cd "$work" && exec "$TAMIS" run) >"$work/ready" 2>"$work/tamis.log" &
    tamis_pid=$!
    local until=$((SECONDS + 60))
    until grep -q '^ready ' "$work/ready"; do
        kill -0 "$tamis_pid" 2>/dev/null || fail "tamis ended before it was ready: $(tail -n 5 "$work/tamis.log")"
        [[ $SECONDS -lt $until ]] || fail "tamis was not ready within 60 s"
        sleep 0.05
    done
    ingest=$(sed -n 's|^ready ingest=\([^ ]*\).*|\1|p' "$work/ready")
    TAMIS_ADMIN=$(sed -n 's|.* admin=\(.*\)|\1|p' "$work/ready")
    export TAMIS_ADMIN
}

# Events that were dropped for the template's reason so far: chunks are counted when they are durable, so the stage's own counter says it at once.
asked() { curl -s "$TAMIS_ADMIN/metrics" | sed -n "s/^tamis_stage_events_total{stage=\"$name\".*} \([0-9]*\).*/\1/p" | tail -n 1; }
send() { curl -sf -o "$work/answer" "$ingest/api/1/store/?sentry_key=$key" -d "{\"event_id\":\"$1\",\"release\":\"$2\",\"message\":\"from $language\"}"; }

publish() {
    cat >"$work/$name.toml" <<END
[[stage]]
name = "$name"
kind = "filter"
component = "$work/$name/target/$name.wasm"
golden = "$work/$name/tests"
[stage.config]
releases = ["1.0"]
END
    tamis pipeline publish "$work/$name.toml" --note "from $language"
}

# Sends one event that the filter drops and one that it keeps, and waits until it was asked about both.
live() {
    send "$(printf '%032x' $((number * 2 + 1)))" 1.0
    send "$(printf '%032x' $((number * 2 + 2)))" 1.1
    local until=$((SECONDS + 20))
    until [[ $(asked) == 2 ]]; do
        [[ $SECONDS -lt $until ]] || return 1
        sleep 0.02
    done
}

start_host
printf '%-8s%10s%10s%10s%10s%10s%10s%10s%10s%10s  milliseconds\n' '' new native build golden run publish live rollback total
number=0
for language in "${languages[@]}"; do
    number=$((number + 1)) name=drop-noisy-$language total=0 row=
    cd "$work"
    step new tamis plugin new "$name" --kind filter --lang "$language"
    cd "$name"
    install_tools >"$work/step.log" 2>&1 || fail "$language: its tools can not be installed"
    step "the native test" native_test
    step build tamis plugin build .
    step "golden test" tamis plugin test "target/$name.wasm" --tests tests
    step "one event" tamis plugin run "target/$name.wasm" tests/example.json --config tests/config.json
    cd "$work"
    step publish publish
    step "two live events" live
    step rollback tamis pipeline rollback
    printf '%-8s%s%10d\n' "$language" "$row" "$total"
    [[ $total -lt $((day_seconds_max * 1000)) ]] || fail "$language: it took longer than five minutes"
done

# What became of the events: one dropped and one kept in each language.
kill -TERM "$tamis_pid"
wait "$tamis_pid" || fail "tamis ended with $?"
tamis_pid=
tamis verify "$work/tamis-data/store" >"$work/verify.txt" || fail "tamis verify: $(cat "$work/verify.txt")"
tamis verify "$work/tamis-data/store" --json | python3 -c '
import json, sys
counts = {(c["outcome"], c.get("reason") or ""): c["quantity"] for c in json.load(sys.stdin)["conservation"]}
want = {("accepted", ""): int(sys.argv[1]), ("filtered", "noisy-release"): int(sys.argv[1])}
sys.exit(counts != want and f"outcomes are {counts}, expected {want}")
' "$number" || fail "the outcomes are not as they should be"
echo "In each language one event was dropped live and one was kept; tamis verify is sound."
