#!/usr/bin/env bash
# Runs every fuzz target for FUZZ each (60s), FUZZ_JOBS of them side by side (as
# many as there are cores), each on one core. `scripts/fuzz.sh Page` runs those
# whose folder or name matches. What breaks one is written to its package's
# testdata/fuzz and fails `make test` from then on.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOTOOLCHAIN=local FUZZ=${FUZZ:-60s}

one() { # folder, target
  local log
  log=$(mktemp)
  # Making an input that is merely interesting smaller would take the time away
  # from looking for others.
  if go test "./$1" -run '^$' -fuzz "^$2\$" -fuzztime "$FUZZ" -fuzzminimizetime 5x -parallel 1 >"$log" 2>&1; then
    printf '%-22s %-20s %s\n' "$2" "$1" "$(grep -E '^fuzz: elapsed' "$log" | tail -1)"
    rm -f "$log"
  else
    printf '%-22s %s\n%s\n' "$2" "$1" "$(cat "$log")"
    rm -f "$log"
    return 255 # xargs starts no more
  fi
}
export -f one

targets=$(grep -rn --include='*_test.go' -oE '^func Fuzz[A-Za-z0-9]+' . |
  sed -E 's|^\./(.*)/[^/]+:[0-9]+:func (.*)$|\1 \2|' | sort -u | grep -E -- "${1:-.}")
xargs -P "${FUZZ_JOBS:-$(nproc)}" -L 1 bash -c 'one "$@"' fuzz <<<"$targets"
echo "$(wc -l <<<"$targets") fuzz targets, $FUZZ each, nothing found"
