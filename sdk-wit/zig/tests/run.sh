#!/bin/bash
# The native tests of the SDK for Zig, and of the plugin folders that are named as arguments. ZIG says which compiler.
set -euo pipefail
sdk=$(cd "$(dirname "$0")/.." && pwd)
zig=${ZIG:-zig}
command -v ${zig%% *} >/dev/null || { echo "there is no Zig: pip install ziglang==0.17.1, and ZIG='python3 -m ziglang'"; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2086
run() { $zig test --cache-dir "$work" "$@"; }
run "$sdk/tamis.zig"
for test in "$sdk"/tests/*.zig; do
    run --dep tamis "-Mroot=$test" "-Mtamis=$sdk/tamis.zig"
done
for plugin in "$@"; do
    run --dep tamis "-Mroot=$plugin/src/plugin.zig" "-Mtamis=$sdk/tamis.zig"
done
