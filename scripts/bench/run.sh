#!/usr/bin/env bash
# Measures every budget and prints promised beside measured; fails when one is
# broken. BENCH_SOFT=1 only reports, BENCH_RUNS=5 takes medians of five runs
# instead of three, BENCH_DIR is where the data goes (a disk, not tmpfs).
# The table is all that goes to stdout. How each figure is measured: README.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
export GOTOOLCHAIN=local CGO_ENABLED=0

say() { echo "bench: $*" >&2; }

[ "$(uname -s)/$(go env GOHOSTARCH)" = Linux/amd64 ] || {
  say "needs Linux on amd64: it reads /proc and runs a 386 binary natively"; exit 2; }

missing=()
for tool in xz:xz-utils sqlite3:sqlite3 curl:curl python3:python3; do
  command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "missing: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    say "install them, for instance: apt-get install ${missing[*]}"; exit 2
  fi
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2
fi

base=${BENCH_DIR:-dist}
mkdir -p "$base"
dir=$(mktemp -d "$(realpath "$base")/bench.XXXXXX")
trap 'rm -rf "$dir"' EXIT

say "building into $dir"
build() { go build -trimpath -tags nethttpomithttp2 -ldflags '-s -w' "$@"; } # as in the Makefile
build -o "$dir/ostatok" ./cmd/ostatok
build -o "$dir/ostatok-sandbox" ./cmd/ostatok-sandbox
build -o "$dir/bench" ./scripts/bench
build -o "$dir/idle" ./scripts/bench/idle
GOARCH=386 build -o "$dir/ostatok-386" ./cmd/ostatok
GOARCH=arm GOARM=7 build -o "$dir/ostatok-arm" ./cmd/ostatok

soft=()
[ "${BENCH_SOFT:-}" != 1 ] || soft=(-soft)
"$dir/bench" -dir "$dir" -runs "${BENCH_RUNS:-3}" "${soft[@]}" "$@"
