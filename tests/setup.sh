#!/usr/bin/env bash
# Installs what the end-to-end tests run beside Tamis: Sentry's own clients, and the engines that read the tables back.
# Everything goes below target/, with exact versions. It is done once: a stamp holds the digest of what was asked for.
set -euo pipefail

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=${CARGO_TARGET_DIR:-$tests/../target}
mkdir -p "$target"

missing() { echo "tests/setup.sh: $1 is missing: $2" >&2; exit 1; }
command -v python3 >/dev/null || missing python3 "install Python 3.11 or newer (Debian: apt-get install python3 python3-venv)"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || missing "Python 3.11" "exception groups are tested, install a newer Python"
command -v npm >/dev/null || missing npm "install Node.js 20 or newer"

# once FOLDER COMMAND FILE...: runs COMMAND unless FOLDER was made from these very files.
once() {
    local folder=$1 install=$2 want
    shift 2
    want=$(cat "$@" | sha256sum)
    if [[ -f $folder/.stamp && $(<"$folder/.stamp") == "$want" ]]; then return; fi
    echo "tests/setup.sh: installing $(basename "$folder")" >&2
    rm -rf "$folder"
    "$install" "$folder"
    echo "$want" >"$folder/.stamp"
}

install_python() {
    python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check -r "$tests/python/requirements.txt"
}

install_node() {
    mkdir -p "$1"
    cp "$tests/node/package.json" "$tests/node/package-lock.json" "$1/"
    npm ci --prefix "$1" --no-audit --no-fund --loglevel=error
}

once "$target/test-venv" install_python "$tests/python/requirements.txt"
once "$target/test-node" install_node "$tests/node/package.json" "$tests/node/package-lock.json"
