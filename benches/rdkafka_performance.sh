#!/usr/bin/env bash
# Builds librdkafka's own benchmark against the very library that Tamis was built with, for `make bench`.
#   benches/rdkafka_performance.sh PROFILE_FOLDER OUT
set -euo pipefail

profile=$(realpath "$1")
mkdir -p "$2"
# The newest, where several settings of features were built.
library=$(ls -t "$profile"/build/rdkafka-sys-*/out/src/librdkafka.a 2>/dev/null | head -1)
[[ -n $library ]] || { echo "rdkafka_performance.sh: no librdkafka.a below $profile: build tamis first" >&2; exit 1; }
built=${library%/src/librdkafka.a}
# Where OpenSSL, zlib and zstd of that build are, librdkafka's own configuration says.
read -r -a folders < <(sed -n 's/^LDFLAGS+=//p' "$built/Makefile.config")
gcc -O2 -w -I "$built/src" -o "$2/rdkafka_performance" "$built/examples/rdkafka_performance.c" "$library" \
    "${folders[@]}" -lssl -lcrypto -lz -lzstd -lm -ldl -lpthread -lrt
