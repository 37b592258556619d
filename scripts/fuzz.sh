#!/usr/bin/env bash
# Runs every fuzz target for FUZZ each (60s). What breaks one is written to its
# package's testdata/fuzz and fails `make test` from then on.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOTOOLCHAIN=local
length=${FUZZ:-60s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
targets=$(grep -rn --include='*_test.go' -oE '^func Fuzz[A-Za-z0-9]+' . | sed -E 's|^\./(.*)/[^/]+:[0-9]+:func (.*)$|\1 \2|' | sort -u)
count=0
while read -r folder target; do
  printf '%-22s %s\n' "$target" "$folder"
  # Making an input that is merely interesting smaller would take the time away
  # from looking for others.
  go test "./$folder" -run '^$' -fuzz "^$target\$" -fuzztime "$length" -fuzzminimizetime 5x >"$log" 2>&1 ||
    { cat "$log"; exit 1; }
  grep -E '^fuzz: elapsed' "$log" | tail -1
  count=$((count + 1))
done <<<"$targets"
echo "$count fuzz targets, $length each, nothing found"
