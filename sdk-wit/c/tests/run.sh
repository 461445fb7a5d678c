#!/bin/bash
# The native tests of the SDK for C, with sanitizers, and of the plugin folders that are named as arguments. CC and CXX say which compilers.
set -euo pipefail
sdk=$(cd "$(dirname "$0")/.." && pwd)
CC=${CC:-cc} CXX=${CXX:-c++}
command -v "$CC" >/dev/null || { echo "there is no C compiler: apt-get install gcc g++"; exit 1; }
command -v "$CXX" >/dev/null || { echo "there is no C++ compiler: apt-get install g++"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-Wall -Wextra -Werror -g -fsanitize=address,undefined -fno-sanitize-recover=all "-I$sdk")
# What the arena of a call holds when a test ends is nobody's to free.
export ASAN_OPTIONS=detect_leaks=0

"$CC" -std=c11 "${flags[@]}" -c "$sdk/tamis.c" -o "$work/tamis.o"
for test in "$sdk"/tests/*_test.c; do
    "$CC" -std=c11 "${flags[@]}" "$test" "$work/tamis.o" -o "$work/test" -lm
    "$work/test"
done
"$CXX" -std=c++17 "${flags[@]}" "$sdk/tests/cpp_test.cpp" "$work/tamis.o" -o "$work/test"
"$work/test"
for plugin in "$@"; do
    "$CC" -std=c11 "${flags[@]}" "$plugin/tests/plugin_test.c" "$plugin/src/plugin.c" "$work/tamis.o" -o "$work/test"
    "$work/test"
done
