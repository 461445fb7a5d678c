#!/usr/bin/env bash
# Builds the yardstick of every language, and what `tamis plugin new` makes in each of them, for `make bench`.
#   benches/guests/build.sh TAMIS OUT
set -euo pipefail

guests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export TAMIS
TAMIS=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
tools=$(realpath "$out/../plugin-tools")
export VIRTUAL_ENV=$tools PATH=$tools/bin:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for language in c zig go js python; do
    [[ $language != js ]] || (cd "$guests/js" && npm ci --silent --no-audit --no-fund)
    "$TAMIS" plugin build "$guests/$language" --out "$out"
done
for language in rust c zig go js python; do
    (
        cd "$work"
        "$TAMIS" plugin new "new-$language" --kind filter --lang "$language" >new.log
        cd "new-$language"
        [[ $language != js ]] || npm ci --silent --no-audit --no-fund
        "$TAMIS" plugin build . --out "$out"
    )
done
