#!/usr/bin/env bash
# Fuzzes every target for so many seconds, one after the other, and ends with 1 if any of them found something.
#   tests/fuzz/run.sh [SECONDS] [TARGET...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=${1:-600}
targets=("${@:2}")
[[ ${#targets[@]} -gt 0 ]] || targets=(envelope selectors columns edits)

rustup run nightly cargo --version >/dev/null 2>&1 ||
    { echo "tests/fuzz/run.sh: needs a nightly toolchain: rustup toolchain install nightly --profile minimal" >&2; exit 1; }
command -v cargo-fuzz >/dev/null ||
    { echo "tests/fuzz/run.sh: needs cargo-fuzz: cargo install cargo-fuzz --version 0.13.2 --locked" >&2; exit 1; }

found=()
for target in "${targets[@]}"; do
    echo "fuzzing $target for $seconds s" >&2
    mkdir -p "corpus/$target"
    cargo +nightly fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -dict=json.dict -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 ||
        found+=("$target")
done
if [[ ${#found[@]} -gt 0 ]]; then
    echo "found something: ${found[*]} (see tests/fuzz/artifacts)" >&2
    exit 1
fi
echo "nothing found in $seconds s each: ${targets[*]}"
